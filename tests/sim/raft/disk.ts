import {
  type Entry,
  entryBytes,
  type HardState,
  type Membership,
  type Position,
  type Ready,
  type SnapshotChunk,
  type SnapshotMeta,
  type Storage,
} from "../../../src/raft/mod.ts";
import type { Prng } from "./prng.ts";

/** What is on a disk at one moment; it never changes, another state is another image. */
interface Image {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  readonly snapshotBytes: Uint8Array;
  readonly incoming: readonly SnapshotChunk[];
  readonly base: Position;
  readonly entries: readonly Entry[];
}

/** How many earlier images a disk can fall back to when it loses what was synced. */
const REMEMBERED = 40;

/** The disk refuses to go on. */
export class DiskError extends Error {
  override name = "DiskError";
}

/**
 * A disk that a database writes to: transactions are whole or not there (a torn one is rolled
 * back), in the order in which they were made; what was not synced may be lost in a crash, from the
 * end. The floor is a second file.
 */
export class Disk implements Storage {
  #images: [Image, ...Image[]];
  /** How many of the images, from the first on, are certain to survive. */
  #synced: Image;
  /** What this disk had when it lost data. */
  readonly #lost: Image[] = [];
  /** Synced images of the past. */
  #past: Image[] = [];
  #floor = 0;
  full = false;
  failNextSync = false;

  constructor(membership: Membership) {
    const image = {
      hardState: { term: 0, vote: null, commit: 0, serial: 0 },
      snapshot: { term: 0, index: 0, membership },
      snapshotBytes: new Uint8Array(),
      incoming: [],
      base: { term: 0, index: 0 },
      entries: [],
    };
    this.#images = [image];
    this.#synced = image;
  }

  hardState(): HardState {
    return this.#now.hardState;
  }

  snapshot(): SnapshotMeta {
    return this.#now.snapshot;
  }

  snapshotBytes(): Uint8Array {
    return this.#now.snapshotBytes;
  }

  base(): Position {
    return this.#now.base;
  }

  lastIndex(): number {
    return lastIndex(this.#now);
  }

  term(index: number): number {
    const term = termIn(this.#now, index);
    if (term === null) throw new RangeError(`Cannot tell the term of entry ${index}: not on disk`);
    return term;
  }

  entries(from: number, to: number, maxBytes: number): readonly Entry[] {
    const { base, entries } = this.#now;
    const taken: Entry[] = [];
    let bytes = 0;
    for (const entry of entries.slice(from - base.index - 1, to - base.index)) {
      bytes += entryBytes(entry);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(entry);
    }
    return taken;
  }

  snapshotPart(place: Position, offset: number, maxBytes: number) {
    const { snapshot, snapshotBytes } = this.#now;
    if (snapshot.index !== place.index || snapshot.term !== place.term) return null;
    const data = snapshotBytes.subarray(offset, offset + maxBytes);
    return { data, done: offset + data.length >= snapshotBytes.length };
  }

  /** Whether it ever lost what was certain. */
  get hasLostData(): boolean {
    return this.#lost.length > 0;
  }

  /** The serial that was last recorded. */
  floor(): number {
    return this.#floor;
  }

  /**
   * Whether the entry is certain to survive a crash, by itself or in a snapshot; or was, until this
   * disk lost data: who had its word for it could rely on it.
   */
  keeps({ index, term }: Position): boolean {
    return [this.#synced, ...this.#lost].some((image) =>
      index <= image.snapshot.index || termIn(image, index) === term
    );
  }

  /** Writes what a {@linkcode Ready} says, without syncing. */
  write(ready: Ready): void {
    if (this.full) throw new DiskError("No space left on device");
    for (const chunk of ready.chunks) {
      const { incoming } = this.#now;
      this.#commit({ incoming: chunk.offset === 0 ? [chunk] : [...incoming, chunk] });
    }
    let { snapshot, snapshotBytes, incoming, base, entries, hardState } = this.#now;
    if (ready.snapshot !== null) {
      snapshot = ready.snapshot;
      snapshotBytes = join(incoming.map((chunk) => chunk.data));
      incoming = [];
      base = { term: snapshot.term, index: snapshot.index };
      entries = [];
    }
    const [first] = ready.entries;
    if (first !== undefined) {
      entries = [...entries.slice(0, first.index - base.index - 1), ...ready.entries];
    }
    if (ready.hardState !== null) hardState = ready.hardState;
    this.#commit({ snapshot, snapshotBytes, incoming, base, entries, hardState });
  }

  /** Writes a snapshot and drops entries that are in it. */
  writeSnapshot(meta: SnapshotMeta, bytes: Uint8Array, keepEntries: number): void {
    if (this.full) throw new DiskError("No space left on device");
    const { base, entries } = this.#now;
    const index = Math.max(base.index, meta.index - keepEntries);
    this.#commit({
      snapshot: meta,
      snapshotBytes: bytes,
      base: { term: this.term(index), index },
      entries: entries.slice(index - base.index),
    });
  }

  /** Makes everything written certain. */
  sync(): void {
    if (this.failNextSync) {
      this.failNextSync = false;
      throw new DiskError("Input/output error");
    }
    this.#past.push(this.#synced);
    if (this.#past.length > REMEMBERED) this.#past.shift();
    this.#synced = this.#now;
    this.#images = [this.#now];
  }

  /** Records a serial in its file, and syncs it. */
  writeFloor(floor: number): void {
    if (this.full) throw new DiskError("No space left on device");
    this.#floor = floor;
  }

  /** Everything that is not certain may go, from the end. */
  crash(prng: Prng): void {
    const kept = this.#images[prng.below(this.#images.length)] ?? this.#synced;
    this.#images = [kept];
    this.#synced = kept;
    this.failNextSync = false;
  }

  /** A defect: what was certain is lost too. False when nothing of weight was. */
  loseSynced(prng: Prng): boolean {
    const before = this.#now;
    const after = this.#past.length > 0 ? prng.pick(this.#past) : before;
    this.#lost.push(this.#synced);
    this.#images = [after];
    this.#synced = after;
    return after.hardState.serial < before.hardState.serial;
  }

  get #now(): Image {
    return this.#images.at(-1) ?? this.#synced;
  }

  #commit(change: Partial<Image>): void {
    this.#images.push({ ...this.#now, ...change });
  }
}

function lastIndex({ base, entries }: Image): number {
  return base.index + entries.length;
}

function termIn({ base, entries }: Image, index: number): number | null {
  return index === base.index ? base.term : entries[index - base.index - 1]?.term ?? null;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
