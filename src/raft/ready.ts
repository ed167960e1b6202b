import type { Message } from "./message.ts";
import type { ConfirmedRead, Entry, HardState, SnapshotChunk, SnapshotMeta } from "./types.ts";

/** What the caller has to do now, in this order of fields; then {@linkcode Raft.advance}. */
export interface Ready {
  /**
   * What a leader tells the others: may be sent before anything is saved, for it promises nothing of this
   * member's disk, and their disks work at the same time as its own (thesis, 10.2.1).
   */
  readonly early: readonly Message[];
  /** Pieces of a snapshot to write down; they count only when `snapshot` says so. */
  readonly chunks: readonly SnapshotChunk[];
  /**
   * The chunks so far are a whole snapshot: it takes the place of the snapshot and of every entry
   * on disk, in the same transaction as the next two.
   */
  readonly snapshot: SnapshotMeta | null;
  /** Entries to save; whatever the disk has from the first one's index on goes. */
  readonly entries: readonly Entry[];
  /** To save; null when it is as it was. */
  readonly hardState: HardState | null;
  /**
   * Whether the above must be on the disk, fsync included, before a message goes out. Where not,
   * only the commit index has moved: saving it can wait, or never happen.
   */
  readonly mustSync: boolean;
  /** To be sent, in any order; none of them before all of the above is saved. */
  readonly messages: readonly Message[];
  /** To be applied in this order; after `snapshot`, if there is one, has been restored. */
  readonly committed: readonly Entry[];
  /** Reads that are good as soon as their index is applied. */
  readonly reads: readonly ConfirmedRead[];
  /** Reads that this member cannot confirm, for it leads no more: the client asks another. */
  readonly lostReads: readonly number[];
}
