import { type HostContext, hostRoute } from "./host_context.ts";
import type { Projection } from "../state/mod.ts";
import type { ProjectionView } from "./host_types.ts";
import { ApiProblem } from "./problem.ts";
import type { Route } from "./route.ts";
import { followRequest, hostStatus, managerFollowed, planView, projection } from "./schema/host.ts";
import { healthView } from "./schema/cluster.ts";
import { noQuery, nothing } from "./schema/parts.ts";

const getStatus = hostRoute({
  method: "GET",
  path: "/v1/self",
  operationId: "getStatus",
  summary: "How this host is, whether a manager can be reached or not",
  access: "local-root",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: hostStatus,
  handle: async ({ context }) => ({ body: await context.host.status() }),
});

const getPlan = hostRoute({
  method: "GET",
  path: "/v1/plan",
  operationId: "getPlan",
  summary: "What this host would change in its kernel now",
  access: "local-root",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: planView,
  handle: async ({ context }) => ({ body: await context.host.plan() }),
});

const getProjection = hostRoute({
  method: "GET",
  path: "/v1/self/projection",
  operationId: "getProjection",
  summary: "What this host should have, as it last heard from a leader",
  access: "local-root",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: projection,
  handle: ({ context }) => {
    const newest = context.host.projection();
    if (newest !== null) return { body: shownOf(newest) };
    throw new ApiProblem("not-found", "This host has not heard from a leader since it started");
  },
});

const follow = hostRoute({
  method: "POST",
  path: "/v1/self/managers",
  operationId: "followManager",
  repeats: "by-content",
  summary: "Ask this manager from now on: for a host that knows of none that still answers",
  access: "local-root",
  status: 200,
  problems: [],
  body: followRequest,
  query: noQuery,
  reply: managerFollowed,
  handle: async ({ context, body }) => ({ body: await context.host.follow(body.address) }),
});

const getHealth = hostRoute({
  method: "GET",
  path: "/healthz",
  operationId: "getHostHealth",
  summary: "This host's agent answers",
  access: "local-root",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: healthView,
  handle: () => ({ body: { status: "ok" } }),
});

/** Secrets of networks are for the kernel only: not even this host's root is shown them. */
function shownOf(projection: Projection): ProjectionView {
  const networks = projection.networks.map(({ encryption, ...network }) => ({
    ...network,
    encryption: encryption === null
      ? null
      : { ...encryption, epochs: encryption.epochs.map(({ epoch }) => epoch) },
  }));
  return { ...projection, networks };
}

/** What is about this host alone, but for attachments. */
export const hostRoutes: readonly Route<HostContext>[] = [
  getStatus,
  getPlan,
  getProjection,
  follow,
  getHealth,
];
