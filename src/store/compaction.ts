import { setImmediate } from "node:timers/promises";
import type { SnapshotMeta } from "../raft/mod.ts";
import { type RaftDisk, SNAPSHOT_PART_BYTES } from "./disk.ts";

const DEFAULT_SNAPSHOT_EVERY = 10_000;
const DEFAULT_KEEP_ENTRIES = 1_000;
/** A log of large entries is compacted before it has many. */
const SNAPSHOT_EVERY_BYTES = 16 * 1024 * 1024;
/** As long as a follower is being sent a snapshot, the log may grow to this many times its usual length. */
const PATIENCE = 8;

/** When snapshots are made. */
export interface CompactionOptions {
  readonly snapshotEvery?: number;
  readonly keepEntries?: number;
}

/** What {@linkcode Compaction} needs of the store. */
export interface Compacted {
  readonly disk: RaftDisk;
  /** What the state machine holds. */
  appliedIndex(): number;
  /** Place and bytes of the state as it is now; `null` when this is no moment for a snapshot. */
  encode(): { readonly meta: SnapshotMeta; readonly bytes: Uint8Array } | null;
  /** The disk has refused. */
  fail(cause: unknown): void;
}

/**
 * Keeps the log from growing for ever. The state is encoded in one turn of the event loop and written
 * in many, so that heartbeats pass in between.
 */
export class Compaction {
  readonly #store: Compacted;
  readonly #snapshotEvery: number;
  readonly #keepEntries: number;
  #writing: Promise<void> | null = null;
  #stopped = false;

  constructor(store: Compacted, options: CompactionOptions) {
    this.#store = store;
    this.#snapshotEvery = options.snapshotEvery ?? DEFAULT_SNAPSHOT_EVERY;
    this.#keepEntries = options.keepEntries ?? DEFAULT_KEEP_ENTRIES;
  }

  /**
   * Begins a snapshot if it is time. `sending`: a follower is being sent the one that there is, and
   * would have to begin again.
   */
  consider({ sending }: { readonly sending: boolean }): void {
    if (this.#writing !== null || this.#stopped) return;
    const { disk } = this.#store;
    const entries = this.#store.appliedIndex() - disk.snapshot().index;
    // A large state is not written again and again for a few entries.
    const everyBytes = Math.max(SNAPSHOT_EVERY_BYTES, disk.snapshotSizeBytes);
    const patience = sending ? PATIENCE : 1;
    const isDue = entries >= this.#snapshotEvery * patience ||
      disk.bytesSinceSnapshot >= everyBytes * patience;
    if (entries < 1 || !isDue) return;
    this.#writing = this.#write().finally(() => this.#writing = null);
  }

  /** Stops at the next part; what was written of a snapshot does not count. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { disk, encode, fail } = this.#store;
    try {
      const snapshot = encode();
      if (snapshot === null) return;
      const { meta, bytes } = snapshot;
      let offset = 0;
      do {
        const part = bytes.subarray(offset, offset + SNAPSHOT_PART_BYTES);
        if (!disk.writePart(meta, offset, part)) return;
        offset += part.length;
        await setImmediate();
        if (this.#stopped) return;
      } while (offset < bytes.length);
      disk.finishSnapshot(meta, this.#keepEntries);
    } catch (cause) {
      fail(cause);
    }
  }
}
