import { assert, concatBytes, type Id, present } from "../base/mod.ts";
import {
  type Entry,
  entryBytes,
  type HardState,
  type Position,
  type Ready,
  type SnapshotChunk,
  type SnapshotMeta,
  type Storage,
} from "../raft/mod.ts";
import type { LogDatabase } from "./database.ts";
import { DataLostError } from "./errors.ts";
import type { Floor } from "./floor.ts";
import { LogTail } from "./tail.ts";

/** A larger row holds the thread: one of 20 MiB does so for 110 ms. */
export const SNAPSHOT_PART_BYTES = 256 * 1024;

/** A snapshot whose parts are being written. */
interface Unfinished {
  readonly place: Position;
  /** Where each part begins. */
  readonly starts: number[];
  lengthBytes: number;
}

/**
 * What a member has on its disk: a database for everything, and the floor. Writes as `raft/mod.ts`
 * says. When a method throws, the disk has refused, what is in memory may be ahead of it, and nothing
 * may be done with it any more but {@linkcode RaftDisk.release}.
 */
export class RaftDisk implements Storage {
  readonly #database: LogDatabase;
  readonly #floor: Floor;
  readonly #tail: LogTail;
  #snapshot: SnapshotMeta;
  /** Where each part of the snapshot begins, and its end. */
  #starts: readonly number[];
  #snapshotBytes: number;
  #hardState: HardState;
  /** Of this member's own, and of a leader; the latter's place is always the later one. */
  #own: Unfinished | null = null;
  #received: Unfinished | null = null;
  #bytesSinceSnapshot = 0;

  /**
   * Reads and checks everything once.
   *
   * @throws {DataLostError} when anything is missing or damaged
   */
  constructor(database: LogDatabase, floor: Floor) {
    this.#database = database;
    this.#floor = floor;
    const { base, last, ...hardState } = database.readHardState();
    this.#hardState = hardState;
    const saved = database.readSnapshot();
    if (saved === null) throw new DataLostError("The snapshot is missing");
    const membership = present(saved.membership, "a membership in a migrated store");
    this.#snapshot = { term: saved.term, index: saved.index, membership };
    const starts = [];
    this.#snapshotBytes = 0;
    for (let part = 0; part < saved.parts; part++) {
      starts.push(this.#snapshotBytes);
      this.#snapshotBytes += database.readPart(saved, part).length;
    }
    this.#starts = starts;
    this.#tail = new LogTail(base);
    for (const entry of database.entries(base.index + 1, Number.MAX_SAFE_INTEGER)) {
      this.#tail.push(entry);
      if (entry.index > saved.index) this.#bytesSinceSnapshot += entryBytes(entry);
    }
    const found = this.#tail.last;
    if (found.index !== last.index || found.term !== last.term) {
      throw new DataLostError(`The log ends at entry ${found.index} and not at ${last.index}`);
    }
  }

  get incarnation(): Id {
    return this.#floor.incarnation;
  }

  /** For `RaftOptions.floor`. */
  get floor(): number {
    return this.#floor.serial;
  }

  /** Bytes that have been logged since the snapshot, by `entryBytes`. */
  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  /** How long the snapshot is. */
  get snapshotSizeBytes(): number {
    return this.#snapshotBytes;
  }

  hardState(): HardState {
    return this.#hardState;
  }

  snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  base(): Position {
    return this.#tail.base;
  }

  lastIndex(): number {
    return this.#tail.last.index;
  }

  term(index: number): number {
    return this.#tail.term(index);
  }

  entries(from: number, to: number, maxBytes: number): readonly Entry[] {
    const { cachedFrom } = this.#tail;
    if (from >= cachedFrom) return this.#tail.cached(from, to, maxBytes);
    const taken: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#database.entries(from, Math.min(to, cachedFrom - 1))) {
      bytes += entryBytes(entry);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(entry);
    }
    if (taken.length === 0) throw new DataLostError(`Entry ${from} is missing`);
    return taken;
  }

  snapshotPart(
    place: Position,
    offset: number,
    maxBytes: number,
  ): { readonly data: Uint8Array; readonly done: boolean } | null {
    const { index, term } = this.#snapshot;
    if (place.index !== index || place.term !== term) return null;
    const part = this.#starts.findLastIndex((start) => start <= offset);
    const start = this.#starts[part];
    if (start === undefined || offset >= this.#snapshotBytes) {
      return { data: new Uint8Array(), done: true };
    }
    const data = this.#database.readPart(place, part)
      .subarray(offset - start, offset - start + maxBytes);
    return { data, done: offset + data.length === this.#snapshotBytes };
  }

  /** All bytes of the snapshot, for the state machine; none when there is nothing in it yet. */
  snapshotBytes(): Uint8Array {
    return concatBytes(
      ...this.#starts.map((_, part) => this.#database.readPart(this.#snapshot, part)),
    );
  }

  /** Steps 1 and 2 of the contract: durable when it returns, if the {@linkcode Ready} asks for that. */
  save(ready: Ready): void {
    const { chunks, snapshot, entries, hardState, mustSync } = ready;
    // Nothing but the commit index has moved: the next save takes it along.
    if (!mustSync) {
      if (hardState !== null) this.#hardState = hardState;
      if (chunks.length > 0) {
        this.#database.transactionWithoutSync(() => this.#writeChunks(chunks));
      }
      return;
    }
    assert(hardState !== null, "what must be on disk has a serial");
    this.#database.transaction(() => {
      this.#writeChunks(chunks);
      if (snapshot !== null) this.#installReceived(snapshot);
      this.#writeEntries(entries);
      this.#writeHardState(hardState);
    });
    this.#hardState = hardState;
    this.#floor.raise(hardState.serial);
  }

  /**
   * Writes a part of a snapshot of this member's own, of at most {@linkcode SNAPSHOT_PART_BYTES};
   * false when a leader's has been installed in between, and this one is worthless. It counts only
   * when {@linkcode finishSnapshot} says so.
   */
  writePart(place: Position, offset: number, data: Uint8Array): boolean {
    if (offset === 0) this.#own = unfinishedAt(place);
    const own = this.#own;
    if (own === null) return false;
    this.#database.transactionWithoutSync(() => this.#writePart(own, place, offset, data));
    return true;
  }

  /**
   * Makes the snapshot count, and drops entries that are in it, but for the last `keepEntries`. False
   * as with {@linkcode writePart}.
   */
  finishSnapshot(meta: SnapshotMeta, keepEntries: number): boolean {
    const own = this.#own;
    if (own === null) return false;
    assert(own.place.index === meta.index, "the parts are of this snapshot");
    const baseIndex = Math.max(this.#tail.base.index, meta.index - keepEntries);
    const base = { term: this.#tail.term(baseIndex), index: baseIndex };
    this.#database.transaction(() => {
      this.#database.writeSnapshot({ ...meta, parts: own.starts.length });
      this.#database.run("DELETE FROM entry WHERE position <= ?", baseIndex);
      this.#database.writeHardState({ ...this.#hardState, base, last: this.#tail.last });
    });
    this.#tail.compactTo(baseIndex);
    this.#adopt(meta, own);
    return true;
  }

  /** Saves the commit index, so that the next start finds it, and lets go of the files. */
  close(): void {
    try {
      this.#database.transaction(() => this.#writeHardState(this.#hardState));
    } finally {
      this.release();
    }
  }

  /** Lets go of the files as they are: after the disk has refused. */
  release(): void {
    this.#database.close();
    this.#floor.close();
  }

  #writeChunks(chunks: readonly SnapshotChunk[]): void {
    for (const { meta, offset, data } of chunks) {
      if (offset === 0) this.#received = unfinishedAt(meta);
      this.#writePart(present(this.#received, "the first chunk"), meta, offset, data);
    }
  }

  #writePart(to: Unfinished, place: Position, offset: number, data: Uint8Array): void {
    const { term, index } = to.place;
    assert(
      place.term === term && place.index === index && to.lengthBytes === offset,
      "the parts of a snapshot leave no gap",
    );
    if (offset === 0) {
      const other = to === this.#own ? this.#received : this.#own;
      this.#database.run(
        "DELETE FROM snapshot_part WHERE position NOT IN (?, ?)",
        this.#snapshot.index,
        other?.place.index ?? this.#snapshot.index,
      );
    }
    // An end without bytes is no part.
    if (data.length === 0) return;
    this.#database.insertPart(to.place, to.starts.length, data);
    to.starts.push(offset);
    to.lengthBytes += data.length;
  }

  #installReceived(meta: SnapshotMeta): void {
    const received = present(this.#received, "the chunks of the snapshot");
    assert(received.place.index === meta.index, "the chunks are of this snapshot");
    this.#database.writeSnapshot({ ...meta, parts: received.starts.length });
    this.#database.run("DELETE FROM entry");
    this.#tail.restart(meta);
    this.#received = null;
    this.#adopt(meta, received);
  }

  #adopt(meta: SnapshotMeta, unfinished: Unfinished): void {
    this.#snapshot = meta;
    this.#starts = unfinished.starts;
    this.#snapshotBytes = unfinished.lengthBytes;
    this.#own = null;
    this.#bytesSinceSnapshot = 0;
  }

  #writeEntries(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    if (first.index <= this.#tail.last.index) {
      this.#database.run("DELETE FROM entry WHERE position >= ?", first.index);
      this.#tail.truncateFrom(first.index);
    }
    for (const entry of entries) {
      this.#database.insertEntry(entry);
      this.#tail.push(entry);
      this.#bytesSinceSnapshot += entryBytes(entry);
    }
  }

  #writeHardState(hardState: HardState): void {
    const { base, last } = this.#tail;
    this.#database.writeHardState({ ...hardState, base, last });
  }
}

function unfinishedAt({ term, index }: Position): Unfinished {
  return { place: { term, index }, starts: [], lengthBytes: 0 };
}
