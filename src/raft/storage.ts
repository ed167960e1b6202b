import type { Entry, HardState, Position, SnapshotMeta } from "./types.ts";

/**
 * What is on disk, as far as the core has to read it. The caller writes it, as each
 * {@linkcode Ready} says. Answers are immediate: keep the end of the log in memory
 * ({@linkcode MemoryStorage} does).
 */
export interface Storage {
  /** As last saved. */
  hardState(): HardState;
  /** The newest complete snapshot. A new cluster has one at index 0, with the first membership. */
  snapshot(): SnapshotMeta;
  /**
   * The place right before the first entry that is kept; not above the snapshot's. Keeping some
   * entries behind the snapshot spares a follower that is a little slow the whole snapshot.
   */
  base(): Position;
  /** Index of the last entry; that of the snapshot when there is none after it. */
  lastIndex(): number;
  /** Term of the entry at `index`, which is in `base().index` … `lastIndex()`. */
  term(index: number): number;
  /**
   * Entries from `from` on, not beyond `to`: as many as fit in `maxBytes` by
   * {@linkcode entryBytes}, at least one. All of them are within `base().index + 1` … `lastIndex()`.
   */
  entries(from: number, to: number, maxBytes: number): readonly Entry[];
  /**
   * A piece of the snapshot at `place`, of at most `maxBytes`, with at least one byte unless it is
   * the last; null when that snapshot has been replaced. From `offset` beyond the end on there is
   * nothing more: an empty piece, and the last.
   */
  snapshotPart(
    place: Position,
    offset: number,
    maxBytes: number,
  ): { readonly data: Uint8Array; readonly done: boolean } | null;
}
