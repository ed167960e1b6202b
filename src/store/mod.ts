/**
 * Where a manager keeps the log, and the port through which the rest of it writes and reads:
 * {@linkcode Store}. Entries are opaque bytes; what they mean is the business of the
 * {@linkcode StateMachine} that the caller brings. Behind it is one member of `raft`: its disk, its
 * clock, and its connections to the other managers. A cluster of one manager is the same with one
 * voter, so there is one format on disk, and growing from one to three is three calls.
 *
 * The contract of every store:
 *
 * - `propose` resolves only after the entry is on disk (and, with several managers, on a majority
 *   of disks), and after it has been applied here. What has resolved is never lost.
 * - `read` resolves when the state machine holds all that had been acknowledged, by any manager,
 *   before the call: what is read then is linearizable.
 * - Only the leader takes either. Errors say which of three happened: nothing
 *   ({@linkcode NotLeaderError}, {@linkcode StoreRefusedError}), nobody knows
 *   ({@linkcode OutcomeUnknownError}: repeat under the same request id), or this manager is out of
 *   action ({@linkcode StoreFailedError}, {@linkcode DataLostError}).
 * - When the disk fails, nothing more is acknowledged, ever: the process has to end.
 * - A disk that has lost or damaged what was promised with it is noticed, when the store is opened or
 *   by the leader: it votes for nobody and acknowledges nothing. It is not repaired: the member is
 *   removed, and the host joins as a new one.
 *
 * ```ts
 * const store = openStore({ directory, machine, memberId, random, clock, transport, logger, onFailure });
 * await store.propose(entry);
 * ```
 *
 * @module
 */
export {
  DataLostError,
  type LeaderHint,
  NotLeaderError,
  OutcomeUnknownError,
  StoreFailedError,
  type StoreRefusalCode,
  StoreRefusedError,
} from "./errors.ts";
export {
  createStore,
  type CreateStoreOptions,
  openSingleStore,
  openStore,
  type SingleStoreOptions,
  type StoreOptions,
} from "./open.ts";
export * from "./port.ts";
export { type Salvaged, type SalvageOptions, salvageStore } from "./salvage.ts";
export { Sealer, UnsealError } from "./seal.ts";
export { LOCAL_TIMING, type Timing, WIDE_AREA_TIMING } from "./timing.ts";
