/**
 * The HTTP API: two Hono apps over one kind of route table. A route is data: method, path, schemas,
 * who may call it and a handler. Validation, the OpenAPI 3.1 document at
 * `/openapi.json` and the checks in the tests all come from that one description.
 *
 * - {@linkcode loadClusterApp} is what managers serve on the control port. It stands on
 *   {@linkcode Control}; who calls is a fact of the connection, handed in beside the request.
 * - {@linkcode createHostApp} is what every host serves on its unix socket, to its own root. It
 *   stands on {@linkcode HostControl}, which also forwards all that is not the host's own to the
 *   leader.
 *
 * Whatever is refused is an RFC 9457 problem document with a {@linkcode ProblemCode}. A port says
 * no by throwing any `Error` that has such a `code` (see {@linkcode PortError}); every other error
 * is a defect and is answered 500, its text in the log only.
 *
 * A network's secrets, and tokens' but for the one answer to whoever makes one, are in no answer but a
 * backup, sealed.
 *
 * Headers beside the standard ones: `Agent-Leader` of a 421 is the leader's address;
 * `Agent-Request: <id>;from=<ms>` comes from a node that forwards a request whose client gave no
 * `Idempotency-Key`, with an id that the node has drawn and the state time as it knows it: so it
 * may send the request again when an answer is lost. `Agent-Incarnation: <generation>.<id>` is which life
 * of the cluster the calling node is in: a manager that leads an earlier one answers 503.
 *
 * A command line imports types from here, nothing else: the schemas behind them cost time to load.
 *
 * ```ts
 * import { type Control, loadClusterApp } from "./mod.ts";
 * import type { Logger, Principal } from "../base/mod.ts";
 *
 * async function serve(control: Control, logger: Logger, principal: Principal): Promise<Response> {
 *   const app = await loadClusterApp(control, { logger, agentVersion: "0.1.0" });
 *   const request = new Request("https://manager/v1/networks", {
 *     method: "POST",
 *     headers: { "content-type": "application/json", "idempotency-key": "shop-1" },
 *     body: JSON.stringify({ name: "shop" }),
 *   });
 *   return app.fetch(request, { principal, address: "192.0.2.7" });
 * }
 * ```
 *
 * @module
 */
export type { ClusterApp, Peer } from "./app.ts";
export { createHostApp, type HostApp } from "./host_app.ts";
export { loadClusterApp } from "./load_cluster_app.ts";
export type * from "./ports.ts";
export type { ApiCode, PortError, ProblemCode, ProblemDocument } from "./problem.ts";
export type { AppCounters, AppOptions } from "./serve.ts";
export type * from "./types.ts";
export type * from "./host_types.ts";
