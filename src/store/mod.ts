/**
 * Where a manager keeps the log, and the port through which the rest of it writes and reads:
 * {@linkcode Store}. Entries are opaque bytes; what they mean is the business of the
 * {@linkcode StateMachine} that the caller brings.
 *
 * The contract of every store:
 *
 * - `propose` resolves only after the entry is on disk (and, with several managers, on a majority
 *   of disks), and after it has been applied here. What has resolved is never lost.
 * - `read` resolves when the state machine holds all that had been acknowledged, by any manager,
 *   before the call: what is read then is linearizable.
 * - When the disk fails, nothing more is acknowledged, ever: the process has to end.
 *
 * ```ts
 * const store = openSingleStore({ directory, machine, random, onFailure });
 * await store.propose(entry);
 * ```
 *
 * @module
 */
export { DataLostError, StoreFailedError } from "./errors.ts";
export * from "./port.ts";
export { createStore, openSingleStore, type SingleStoreOptions } from "./single.ts";
