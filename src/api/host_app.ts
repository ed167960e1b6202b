import { attachmentRoutes } from "./attachments.ts";
import { documentRoute } from "./document_route.ts";
import { hostRoutes } from "./host.ts";
import type { HostContext } from "./host_context.ts";
import { MAX_BODY_BYTES, readBody } from "./input.ts";
import type { HostControl } from "./ports.ts";
import { ApiProblem } from "./problem.ts";
import type { Route } from "./route.ts";
import { type AppCounters, type AppOptions, Served } from "./serve.ts";

/** What a host serves on its unix socket. */
export interface HostApp {
  /** Answers a request; never rejects. */
  fetch(request: Request): Promise<Response>;
  /** As they are now. */
  readonly counters: AppCounters;
}

/** What the agent itself asks of the leader, and nobody beside it. */
const AGENTS_OWN = /^\/v1\/(self\/|join$)/;

/** Every route that the host answers itself. */
export function hostAppRoutes(version: string): readonly Route<HostContext>[] {
  const own: readonly Route<HostContext>[] = [...attachmentRoutes, ...hostRoutes];
  const document: Route<HostContext> = documentRoute({
    access: "local-root",
    title: "agent, a host's own socket",
    version,
    routes: async () => {
      const { clusterAppRoutes } = await import("./app.ts");
      const all = [...own, document];
      const taken = new Set(all.map(({ path }) => path));
      const forwarded = clusterAppRoutes(version).filter(({ path }) =>
        !taken.has(path) && !AGENTS_OWN.test(path)
      );
      return [...all, ...forwarded];
    },
  });
  return [...own, document];
}

/** Makes the app of a host's socket: its own routes, and everything else goes to the leader. */
export function createHostApp(host: HostControl, options: AppOptions): HostApp {
  const served = new Served<HostContext>({
    routes: hostAppRoutes(options.agentVersion),
    admit: () => {},
    callerOf: () => ({ principal: "local-root", peer: "local" }),
    otherwise: (request) => forward(host, request),
  }, options);
  return {
    fetch: (request) => served.fetch(request, { host }),
    get counters() {
      return served.counters;
    },
  };
}

async function forward(host: HostControl, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (AGENTS_OWN.test(pathname)) {
    throw new ApiProblem("no-such-path", `${pathname} is what the agent itself asks of the leader`);
  }
  const { method, url, headers, signal } = request;
  const body = await readBody(request, MAX_BODY_BYTES);
  return await host.forward(
    new Request(url, { method, headers, signal, ...(body.length === 0 ? {} : { body }) }),
  );
}
