import { type Bytes, type Clock, type Id, type Logger, type Random } from "../base/mod.ts";
import type { Limits, MemberId, Membership } from "../raft/mod.ts";
import { LogDatabase } from "./database.ts";
import { RaftDisk, SNAPSHOT_PART_BYTES } from "./disk.ts";
import { DataLostError, type StoreFailedError } from "./errors.ts";
import { Floor } from "./floor.ts";
import { FOUNDER, migrate, nameFounder } from "./migration.ts";
import type { RaftTransport, StateMachine, Store } from "./port.ts";
import { RaftStore } from "./raft_store.ts";
import { Sealer } from "./seal.ts";
import type { Timing } from "./timing.ts";

/** What SQLite says when the file may be as it was; the runtime passes no codes on. */
const NOT_THE_FILE = /is locked|is full|readonly|unable to open/;

/** What {@linkcode createStore} needs. */
export interface CreateStoreOptions {
  /** Made by it. */
  readonly directory: string;
  /** Of the cluster: messages and rows of another incarnation are refused. */
  readonly incarnation: Id;
  /** For the key that seals what is on disk. */
  readonly random: Random;
  /**
   * `found` (the default): the first member of a new cluster, and its only voter. `join`: a member of
   * no cluster yet, which a leader elsewhere adds.
   */
  readonly begin?: "found" | "join";
  /** The state that a founder begins with; by default there is none. */
  readonly snapshot?: Uint8Array;
  /** The founder's id; if it is not known yet, {@linkcode openStore} says it. */
  readonly memberId?: MemberId;
}

/** What {@linkcode openSingleStore} needs. */
export interface SingleStoreOptions<Result> {
  /** What {@linkcode createStore} has made. */
  readonly directory: string;
  /** Where the entries go; it must be empty. */
  readonly machine: StateMachine<Result>;
  /** For the salt of what is sealed. */
  readonly random: Random;
  /** Called once, when the disk has failed: the process must end, for it can acknowledge nothing. */
  readonly onFailure: (error: StoreFailedError | DataLostError) => void;
  /** Entries between two snapshots; fewer when they are large. */
  readonly snapshotEvery?: number;
  /** Entries that stay behind a snapshot, for followers that are a little behind. */
  readonly keepEntries?: number;
}

/** What {@linkcode openStore} needs. */
export interface StoreOptions<Result> extends SingleStoreOptions<Result> {
  /** This member: its node's id. A disk that was lost comes back under another one. */
  readonly memberId: MemberId;
  /** For ticks. */
  readonly clock: Clock;
  /** Who takes messages to the others. It stays the caller's to close, after the store. */
  readonly transport: RaftTransport;
  /** Hears of peers that say what they must not, and of changes of the leader. */
  readonly logger: Logger;
  /** By default {@linkcode LOCAL_TIMING}. The same on all managers. */
  readonly timing?: Timing;
  /** Length of a tick in ms where it may change while the store runs: asked for at each of them. */
  readonly tickMs?: () => number;
  /** A member's control address, for those who ask the wrong one. */
  readonly addressOf?: (id: MemberId) => string | null;
  /** Where the core's bounds do not suit; its times are `timing`'s. */
  readonly limits?: Partial<Omit<Limits, "heartbeatTicks" | "electionTicks">>;
}

/**
 * Makes the files of a new store, durably: `data.key`, `floor`, `log.db`, and the directory.
 *
 * @throws {Deno.errors.AlreadyExists} when a store is there
 */
export function createStore(options: CreateStoreOptions): void {
  const { directory, incarnation, random, begin = "found", memberId = FOUNDER, snapshot } = options;
  Deno.mkdirSync(directory, { mode: 0o700 });
  const key = Deno.openSync(`${directory}/data.key`, { createNew: true, write: true, mode: 0o600 });
  const dataKey = random.bytes(32);
  let written = 0;
  while (written < dataKey.length) written += key.writeSync(dataKey.subarray(written));
  key.syncSync();
  key.close();
  Floor.create(`${directory}/floor`, incarnation).close();
  const database = new LogDatabase(
    `${directory}/log.db`,
    new Sealer(dataKey, random),
    incarnation,
  );
  const membership = { voters: begin === "found" ? [memberId] : [], learners: [] };
  database.transaction(() => writeFirstRows(database, membership, snapshot));
  database.close();
  syncDirectory(directory);
  syncDirectory(`${directory}/..`);
}

/**
 * Opens the store of one of several managers. It takes part as soon as its transport brings messages;
 * alone among the voters, it leads when this returns.
 *
 * @throws {DataLostError} when anything is missing or damaged that this member has promised to keep: it
 * must not take part any more. Remove it from the cluster, and let the host join as a new member.
 */
export function openStore<Result>(options: StoreOptions<Result>): Store<Result> {
  const disk = openDisk(options);
  return startOn(disk, () => new RaftStore({ ...options, disk, network: options }));
}

/**
 * Opens the store of a cluster with one manager: it leads when this returns. A store of several is
 * opened with {@linkcode openStore}.
 *
 * @throws {DataLostError} when acknowledged entries are missing or damaged
 */
export function openSingleStore<Result>(options: SingleStoreOptions<Result>): Store<Result> {
  const disk = openDisk(options);
  return startOn(disk, () => {
    const [only, ...others] = disk.snapshot().membership.voters;
    if (only === undefined || others.length > 0) {
      throw new TypeError(`Cannot open ${options.directory} alone: it is one of several managers'`);
    }
    return new RaftStore({ ...options, memberId: only, disk, network: null });
  });
}

/** @throws {DataLostError} when anything is missing or damaged */
export function openDisk(
  options: { readonly directory: string; readonly random: Random; readonly memberId?: MemberId },
): RaftDisk {
  const { directory, random, memberId } = options;
  const dataKey: Bytes = Deno.readFileSync(`${directory}/data.key`);
  const floor = Floor.open(`${directory}/floor`);
  const closing: { close(): void }[] = [floor];
  try {
    const path = `${directory}/log.db`;
    const database = new LogDatabase(path, new Sealer(dataKey, random), floor.incarnation);
    closing.push(database);
    migrate(database, floor, path);
    if (memberId !== undefined) nameFounder(database, memberId);
    return new RaftDisk(database, floor);
  } catch (cause) {
    for (const file of closing) file.close();
    throw lossOf(cause, directory);
  }
}

function startOn<T>(disk: RaftDisk, start: () => T): T {
  try {
    return start();
  } catch (error) {
    disk.release();
    throw error;
  }
}

/** What SQLite says of a file that it cannot read is a loss too; a person has to act the same. */
function lossOf(cause: unknown, directory: string): unknown {
  if (!(cause instanceof Error)) return cause;
  const isUnreadable = "code" in cause && cause.code === "ERR_SQLITE_ERROR" &&
    !NOT_THE_FILE.test(cause.message);
  if (!isUnreadable && !(cause instanceof DataLostError)) return cause;
  return new DataLostError(
    `The store in ${directory} is damaged (${cause.message}): what was promised with it cannot be ` +
      "kept. Nothing was changed. Remove this manager from the cluster and let the host join " +
      "again, or restore the file system or a backup where it is the only one",
    { cause },
  );
}

function writeFirstRows(
  database: LogDatabase,
  membership: Membership,
  snapshot: Uint8Array | undefined,
): void {
  // What is at index 0 counts as nothing.
  const start = snapshot === undefined ? { term: 0, index: 0 } : { term: 1, index: 1 };
  database.createTables();
  let parts = 0;
  for (let offset = 0; offset < (snapshot?.length ?? 0); offset += SNAPSHOT_PART_BYTES) {
    const part = snapshot?.subarray(offset, offset + SNAPSHOT_PART_BYTES) ?? new Uint8Array();
    database.insertPart(start, parts++, part);
  }
  database.writeSnapshot({ ...start, parts, membership });
  database.writeHardState({
    term: start.term,
    vote: null,
    commit: start.index,
    serial: 0,
    base: start,
    last: start,
  });
}

function syncDirectory(path: string): void {
  const handle = Deno.openSync(path);
  handle.syncSync();
  handle.close();
}
