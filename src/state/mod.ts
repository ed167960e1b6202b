/**
 * The replicated state: a pure, deterministic machine. A command that the log has committed goes
 * into {@linkcode ClusterState.apply}, which is total: it changes the state and says so, or it
 * rejects the command and nothing has changed. It never signs, draws or reads a clock; the
 * state's time is the highest that any entry carried.
 *
 * {@linkcode project} says what one node should have; the {@linkcode ChangeSet} of each applied
 * entry says whose projection to make again. {@linkcode encodeEntry} and
 * {@linkcode encodeSnapshot} are what the log and the snapshots hold.
 *
 * Who may ask for a command is decided before it is proposed, not here. A request's `from` must
 * come from max(state time, leader's clock) as the leader last told it: the state's own time stands
 * still while nothing is written, and a request that seems over a minute old is refused.
 *
 * ```ts
 * import { ClusterState, decodeEntry, NOTHING_INSTALLED, project, valueOf } from "./mod.ts";
 *
 * declare const bytes: Uint8Array;
 * const state = ClusterState.empty();
 * const { outcome, changed } = state.apply(decodeEntry(bytes));
 * if (outcome.ok) valueOf("network.create", outcome.value).vni;
 * for (const nodeId of changed.nodes) project(state, nodeId, NOTHING_INSTALLED);
 * ```
 *
 * @module
 */
export type { Applied, Change, ChangeSet } from "./applied.ts";
export { ClusterState } from "./cluster_state.ts";
export type * from "./command.ts";
export { StateDecodeError, type StateDecodeErrorCode } from "./decode_error.ts";
export { type Encapsulation, overlayMtuBytes, underlayMtuBytesFor } from "./encapsulation.ts";
export { decodeEntry, encodeEntry } from "./entry.ts";
export { type CommandValues, valueOf } from "./outcome.ts";
export type * from "./pair_check.ts";
export { project } from "./project.ts";
export { type InstalledSource, NOTHING_INSTALLED } from "./project_keys.ts";
export type * from "./projection.ts";
export * from "./protocol.ts";
export { DEFAULT_SETTINGS } from "./settings.ts";
export { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";
export type * from "./types.ts";
