import { assert, concatBytes, present } from "../base/mod.ts";
import type { Ready } from "./ready.ts";
import type { Storage } from "./storage.ts";
import {
  type Entry,
  entryBytes,
  type HardState,
  type Membership,
  NO_BYTES,
  type Position,
  type SnapshotChunk,
  type SnapshotMeta,
} from "./types.ts";

/** A {@linkcode Storage} in memory: beside a disk that only writes, or alone in tests. */
export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: null, commit: 0, serial: 0 };
  #snapshot: SnapshotMeta;
  #snapshotBytes: Uint8Array = NO_BYTES;
  #incoming: SnapshotChunk[] = [];
  #base: Position = { term: 0, index: 0 };
  #entries: Entry[] = [];

  /** An empty log. Who founds a cluster is its only voter; who joins gives no members at all. */
  constructor(membership: Membership) {
    this.#snapshot = { term: 0, index: 0, membership };
  }

  hardState(): HardState {
    return this.#hardState;
  }

  snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  base(): Position {
    return this.#base;
  }

  lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  term(index: number): number {
    return index === this.#base.index ? this.#base.term : this.#at(index).term;
  }

  entries(from: number, to: number, maxBytes: number): readonly Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const entry = this.#at(index);
      bytes += entryBytes(entry);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(entry);
    }
    return taken;
  }

  snapshotPart(
    place: Position,
    offset: number,
    maxBytes: number,
  ): { readonly data: Uint8Array; readonly done: boolean } | null {
    const { index, term } = this.#snapshot;
    if (place.index !== index || place.term !== term) return null;
    const end = Math.min(offset + maxBytes, this.#snapshotBytes.length);
    return {
      data: this.#snapshotBytes.subarray(offset, end),
      done: end === this.#snapshotBytes.length,
    };
  }

  /** All bytes of the snapshot, for the state machine. */
  snapshotBytes(): Uint8Array {
    return this.#snapshotBytes;
  }

  /** Does step 1 of the contract. */
  save(ready: Ready): void {
    for (const chunk of ready.chunks) {
      if (chunk.offset === 0) this.#incoming = [];
      this.#incoming.push(chunk);
    }
    if (ready.snapshot !== null) {
      this.#snapshot = ready.snapshot;
      this.#snapshotBytes = concatBytes(...this.#incoming.map((chunk) => chunk.data));
      this.#incoming = [];
      this.#base = { term: ready.snapshot.term, index: ready.snapshot.index };
      this.#entries = [];
    }
    const [first] = ready.entries;
    if (first !== undefined) {
      const kept = first.index - this.#base.index - 1;
      assert(kept >= 0 && kept <= this.#entries.length, "saved entries leave no gap");
      this.#entries.splice(kept, Infinity, ...ready.entries);
    }
    if (ready.hardState !== null) this.#hardState = ready.hardState;
  }

  /** Keeps a snapshot of this member's own, and of the entries in it only the last few. */
  saveSnapshot(
    meta: SnapshotMeta,
    bytes: Uint8Array,
    options: { readonly keepEntries: number },
  ): void {
    if (meta.index <= this.#snapshot.index) return;
    assert(meta.index <= this.lastIndex(), "a snapshot is of entries that are in the log");
    this.#snapshot = meta;
    this.#snapshotBytes = bytes;
    const index = Math.max(this.#base.index, meta.index - options.keepEntries);
    const term = this.term(index);
    this.#entries.splice(0, index - this.#base.index);
    this.#base = { term, index };
  }

  #at(index: number): Entry {
    return present(this.#entries[index - this.#base.index - 1], `entry ${index}`);
  }
}
