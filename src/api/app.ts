import type { Principal } from "../base/mod.ts";
import { formatPrincipal } from "../base/mod.ts";
import { assertAccess } from "./access.ts";
import { clusterRoutes } from "./cluster.ts";
import type { ClusterContext } from "./context.ts";
import { documentRoute } from "./document_route.ts";
import { endpointRoutes } from "./endpoints.ts";
import { networkCheckRoutes } from "./network_check.ts";
import { networkRoutes } from "./networks.ts";
import { nodeRoutes } from "./nodes.ts";
import type { Control, Incarnation } from "./ports.ts";
import { ApiProblem } from "./problem.ts";
import type { Route } from "./route.ts";
import { selfRoutes } from "./self.ts";
import { type AppCounters, type AppOptions, Served } from "./serve.ts";
import { tokenRoutes } from "./tokens.ts";

/** Who is at the other end of a connection: never taken from what the request says. */
export interface Peer {
  /** As the connection's certificate and the state give it. */
  readonly principal: Principal;
  /** IP address. */
  readonly address: string;
}

/** What a manager serves on the control port. */
export interface ClusterApp {
  /** Answers a request; never rejects. */
  fetch(request: Request, peer: Peer): Promise<Response>;
  /** As they are now. */
  readonly counters: AppCounters;
}

/** Paths that exist on a host's own socket only: they are about that host. */
const HOST_ONLY = /^\/v1\/(attachments|plan|self)(\/|$)/;

/** Every route of the control port. */
export function clusterAppRoutes(version: string): readonly Route<ClusterContext>[] {
  const routes: readonly Route<ClusterContext>[] = [
    ...clusterRoutes,
    ...networkRoutes,
    ...networkCheckRoutes,
    ...endpointRoutes,
    ...nodeRoutes,
    ...tokenRoutes,
    ...selfRoutes,
    documentRoute({
      access: "member",
      title: "agent, control port",
      version,
      routes: () => Promise.resolve(routes),
    }),
  ];
  return routes;
}

/** Makes the app that managers serve on the control port, and that forwarded calls come to. */
export function createClusterApp(control: Control, options: AppOptions): ClusterApp {
  const served = new Served<ClusterContext>({
    routes: clusterAppRoutes(options.agentVersion),
    admit: async ({ access, method, path }, { control, principal, incarnation }) => {
      if (access === "local-root") return;
      if (principal.kind === "node" && incarnation !== null) control.heard(incarnation);
      try {
        assertAccess(access, principal, `${method} ${path}`);
      } catch (denial) {
        // A node that is told that it is nobody takes its networks down. Only who leads knows that: one
        // who is behind, or was deposed, may not have heard of the node yet.
        await control.read();
        throw denial;
      }
    },
    callerOf: ({ principal, peerAddress }) => ({
      principal: formatPrincipal(principal),
      peer: peerAddress,
    }),
    otherwise: (request) => Promise.reject(noSuchPath(new URL(request.url).pathname)),
  }, options);
  return {
    fetch: (request, { principal, address }) =>
      served.fetch(request, {
        control,
        principal,
        peerAddress: address,
        incarnation: incarnationOf(request),
      }),
    get counters() {
      return served.counters;
    },
  };
}

/** As a node's link to its leader says it: `1.<id>`. */
function incarnationOf({ headers }: Request): Incarnation | null {
  const text = headers.get("agent-incarnation") ?? "";
  const [, generation, id] = /^([0-9]{1,15})\.([a-z2-7]{26})$/.exec(text) ?? [];
  return generation === undefined || id === undefined
    ? null
    : { generation: Number(generation), id };
}

function noSuchPath(path: string): ApiProblem {
  const shown = path.slice(0, 128);
  return new ApiProblem(
    "no-such-path",
    HOST_ONLY.test(path)
      ? `${shown} is about one host, and is there on that host's own socket only`
      : `There is no ${shown}: /openapi.json says what there is`,
  );
}
