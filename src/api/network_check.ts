import type { NetworkCheck } from "../state/mod.ts";
import { type ClusterContext, clusterRoute, Found } from "./context.ts";
import { ApiProblem } from "./problem.ts";
import type { Route } from "./route.ts";
import { networkCheck } from "./schema/check.ts";
import { noQuery, nothing } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { NetworkCheckView } from "./types.ts";

const IN_PATH = { in: "path", field: "network" } as const;
const PATH = "/v1/networks/{network}/check";

const checkNetwork = clusterRoute({
  method: "POST",
  path: PATH,
  operationId: "checkNetwork",
  // Made again while it runs it is the same check, and afterwards no harm.
  repeats: "by-content",
  summary:
    "Have the hosts of an encrypted network send each other packets now; what comes of it is asked for with GET",
  access: "operator",
  status: 200,
  problems: ["not-found", "not-encrypted"],
  body: nothing,
  query: noQuery,
  reply: networkCheck,
  handle: async (call) => {
    const { control } = call.context;
    const found = new Found(await control.read(), call);
    const { id, name, keys } = found.must(found.network(call.param, IN_PATH).object);
    if (keys === null) {
      throw new ApiProblem(
        "not-encrypted",
        `${name} is not encrypted: what its hosts send each other passes no IPsec that could be checked`,
      );
    }
    return { body: viewOf(await control.checkNetwork(id)) };
  },
});

const getCheck = clusterRoute({
  method: "GET",
  path: PATH,
  operationId: "getNetworkCheck",
  summary: "The newest check of an encrypted network, be it running",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: networkCheck,
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const { id, name } = found.must(found.network(call.param, IN_PATH).object);
    const check = view.check(id);
    if (check !== null) return { body: viewOf(check) };
    throw new ApiProblem(
      "not-found",
      `${name} was not checked since this manager leads: begin a check with POST`,
    );
  },
});

/** `/v1/networks/{network}/check`. */
export const networkCheckRoutes: readonly Route<ClusterContext>[] = [checkNetwork, getCheck];

function viewOf({ checkId, startedAtMs, finishedAtMs, ...same }: NetworkCheck): NetworkCheckView {
  return {
    ...same,
    id: checkId,
    startedAt: formatTime(startedAtMs),
    finishedAt: finishedAtMs === null ? null : formatTime(finishedAtMs),
  };
}
