import { setImmediate } from "node:timers";
import { assert, type Bytes, type Id, type Random } from "../base/mod.ts";
import { DataLostError, StoreFailedError } from "./errors.ts";
import { Floor, isBefore } from "./floor.ts";
import { LogDatabase, type LogEntry } from "./log.ts";
import type { StateMachine, Store } from "./port.ts";
import { Sealer } from "./seal.ts";

/** One manager has one term: nobody was ever elected. */
const TERM = 1;
const DEFAULT_SNAPSHOT_EVERY = 10_000;

/** What {@linkcode openSingleStore} needs. */
export interface SingleStoreOptions<Result> {
  /** What {@linkcode createStore} has made. */
  readonly directory: string;
  /** Where the entries go; it must be empty. */
  readonly machine: StateMachine<Result>;
  /** For the salt of what is sealed. */
  readonly random: Random;
  /** Called once, when the disk has failed: the process must end, for it can acknowledge nothing. */
  readonly onFailure: (error: StoreFailedError) => void;
  /** Entries between two snapshots. */
  readonly snapshotEvery?: number;
}

/**
 * Makes the files of a new store, durably: `data.key`, `floor`, and the directory.
 *
 * @throws {Deno.errors.AlreadyExists} when a store is there
 */
export function createStore(
  options: { readonly directory: string; readonly incarnation: Id; readonly random: Random },
): void {
  const { directory, incarnation, random } = options;
  Deno.mkdirSync(directory, { mode: 0o700 });
  const key = Deno.openSync(`${directory}/data.key`, { createNew: true, write: true, mode: 0o600 });
  const dataKey = random.bytes(32);
  let written = 0;
  while (written < dataKey.length) written += key.writeSync(dataKey.subarray(written));
  key.syncSync();
  key.close();
  Floor.create(`${directory}/floor`, incarnation).close();
  const handle = Deno.openSync(directory);
  handle.syncSync();
  handle.close();
}

/**
 * Opens the store of a cluster with one manager: snapshot and log are read into `machine`.
 *
 * @throws {DataLostError} when acknowledged entries are missing or damaged
 */
export function openSingleStore<Result>(options: SingleStoreOptions<Result>): Store<Result> {
  const { directory } = options;
  const dataKey: Bytes = Deno.readFileSync(`${directory}/data.key`);
  const floor = Floor.open(`${directory}/floor`);
  const log = new LogDatabase(
    `${directory}/log.db`,
    new Sealer(dataKey, options.random),
    floor.incarnation,
  );
  try {
    return new SingleStore(options, floor, log);
  } catch (error) {
    log.close();
    floor.close();
    throw error;
  }
}

interface Proposal<Result> {
  readonly entry: Uint8Array;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

class SingleStore<Result> implements Store<Result> {
  readonly isLeader = true;
  readonly #machine: StateMachine<Result>;
  readonly #floor: Floor;
  readonly #log: LogDatabase;
  readonly #onFailure: (error: StoreFailedError) => void;
  readonly #snapshotEvery: number;
  readonly #listeners = new Set<(results: readonly Result[]) => void>();
  #pending: Proposal<Result>[] = [];
  #flushing = Promise.resolve();
  #lastIndex: number;
  #snapshotIndex: number;
  #failure: StoreFailedError | null = null;
  #closed = false;

  constructor(options: SingleStoreOptions<Result>, floor: Floor, log: LogDatabase) {
    this.#machine = options.machine;
    this.#floor = floor;
    this.#log = log;
    this.#onFailure = options.onFailure;
    this.#snapshotEvery = options.snapshotEvery ?? DEFAULT_SNAPSHOT_EVERY;
    const last = log.lastPosition();
    if (isBefore(last, floor.position)) {
      throw new DataLostError(
        `${options.directory} ends at entry ${last.index}, but entry ${floor.position.index} was ` +
          "acknowledged: the disk has lost data. Restore the file system or a backup; " +
          "nothing was changed",
      );
    }
    const snapshot = log.readSnapshot();
    if (snapshot !== null) this.#machine.restoreSnapshot(snapshot.data);
    this.#snapshotIndex = snapshot?.index ?? 0;
    for (const entry of log.entriesAfter(this.#snapshotIndex)) this.#machine.apply(entry.data);
    this.#lastIndex = last.index;
  }

  propose(entry: Uint8Array): Promise<Result> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    assert(!this.#closed, "a closed store is not written to");
    return new Promise((resolve, reject) => {
      if (this.#pending.length === 0) this.#scheduleFlush();
      this.#pending.push({ entry, resolve, reject });
    });
  }

  read(): Promise<void> {
    return this.#failure === null ? Promise.resolve() : Promise.reject(this.#failure);
  }

  watch(listener: (results: readonly Result[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    this.#log.close();
    this.#floor.close();
  }

  /**
   * All that is proposed in one turn of the event loop shares one transaction and its fsync: a
   * crowd of writers costs as little as one.
   */
  #scheduleFlush(): void {
    this.#flushing = new Promise((resolve) => {
      setImmediate(() => {
        this.#flush();
        resolve();
      });
    });
  }

  #flush(): void {
    const batch = this.#pending;
    this.#pending = [];
    const entries: LogEntry[] = batch.map((proposal, offset) => ({
      index: this.#lastIndex + 1 + offset,
      term: TERM,
      data: proposal.entry,
    }));
    try {
      this.#log.append(entries);
      this.#lastIndex += entries.length;
      this.#floor.raise({ term: TERM, index: this.#lastIndex });
    } catch (cause) {
      this.#fail(batch, cause);
      return;
    }
    const results = batch.map((proposal) => this.#machine.apply(proposal.entry));
    for (const listener of this.#listeners) listener(results);
    results.forEach((result, index) => batch[index]?.resolve(result));
    if (this.#lastIndex - this.#snapshotIndex >= this.#snapshotEvery) this.#compact(batch);
  }

  #compact(batch: readonly Proposal<Result>[]): void {
    try {
      const data = this.#machine.encodeSnapshot();
      this.#log.writeSnapshot({ term: TERM, index: this.#lastIndex, data });
      this.#snapshotIndex = this.#lastIndex;
    } catch (cause) {
      this.#fail(batch, cause);
    }
  }

  /**
   * After a failed fsync the kernel may have dropped the pages, and a second fsync may say that all
   * is well: so the first failure is the last word.
   */
  #fail(batch: readonly Proposal<Result>[], cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#failure = new StoreFailedError(
      `The disk refused a write (${reason}): this manager acknowledges nothing more`,
      { cause },
    );
    for (const proposal of batch) proposal.reject(this.#failure);
    this.#onFailure(this.#failure);
  }
}
