import { assert, present } from "../base/mod.ts";
import type { Storage } from "./storage.ts";
import { type Entry, entryBytes, type Position, type SnapshotMeta } from "./types.ts";

/**
 * The log as the core sees it: what is on disk, then what is not saved yet.
 *
 * ```
 *   base   snapshot      commit        last saved      last
 *    │ ──────┼─────────────┼───────────────│─ unsaved ───│
 * ```
 *
 * `commit` may be anywhere between the snapshot and the last entry. While a snapshot has been
 * received and not installed, everything on disk is as good as gone.
 */
export class Log {
  readonly #storage: Storage;
  /** A received snapshot that is not on disk yet. */
  #received: SnapshotMeta | null = null;
  #unsaved: Entry[] = [];
  /** Index of the first unsaved entry, or of the next one. */
  #unsavedFrom: number;
  #commit: number;
  #applied: number;

  constructor(storage: Storage) {
    this.#storage = storage;
    this.#unsavedFrom = storage.lastIndex() + 1;
    const { index } = storage.snapshot();
    this.#applied = index;
    this.#commit = Math.max(index, Math.min(storage.hardState().commit, storage.lastIndex()));
  }

  /** All up to here will stay in every log. */
  get commit(): number {
    return this.#commit;
  }

  /** All up to here has gone into the state machine. */
  get applied(): number {
    return this.#applied;
  }

  /** End of the log. */
  get last(): Position {
    const entry = this.#unsaved.at(-1);
    if (entry !== undefined) return { term: entry.term, index: entry.index };
    if (this.#received !== null) return this.#received;
    const index = this.#storage.lastIndex();
    // Entries beyond the first unsaved one are of a log that a leader has overruled.
    const kept = Math.min(index, this.#unsavedFrom - 1);
    return { term: this.#storage.term(kept), index: kept };
  }

  /** Index of the last entry that is on disk for good. */
  get savedIndex(): number {
    return this.#received === null ? this.#unsavedFrom - 1 : 0;
  }

  /** The newest snapshot that this log continues. */
  get snapshot(): SnapshotMeta {
    return this.#received ?? this.#storage.snapshot();
  }

  /** The received snapshot that has to be installed. */
  get received(): SnapshotMeta | null {
    return this.#received;
  }

  /** What has to be saved. */
  get unsaved(): readonly Entry[] {
    return this.#unsaved;
  }

  /** Term of the entry at `index`, or null where the log does not reach (any more). */
  term(index: number): number | null {
    const unsaved = this.#unsaved[index - this.#unsavedFrom];
    if (unsaved !== undefined) return unsaved.term;
    if (this.#received !== null) return index === this.#received.index ? this.#received.term : null;
    if (index < this.#storage.base().index || index >= this.#unsavedFrom) return null;
    return this.#storage.term(index);
  }

  /** Whether the log has this very entry: then all before it agree too (Log Matching). */
  matches(position: Position): boolean {
    return this.term(position.index) === position.term;
  }

  /**
   * The last position up to `from` whose term is not above `term`: where two logs may agree at
   * best. Where the log does not reach back so far, its beginning.
   */
  lastNotAbove(from: number, term: number): Position {
    let index = Math.min(from, this.last.index);
    let found = this.term(index);
    while (found !== null && found > term && index > 0) found = this.term(--index);
    return { term: found ?? 0, index };
  }

  /** Entries in `from` … `to`, as many as fit; at least one, when there is one. */
  entries(from: number, to: number, maxBytes: number): readonly Entry[] {
    if (from > to) return [];
    if (from < this.#unsavedFrom) {
      const end = Math.min(to, this.#unsavedFrom - 1);
      const saved = this.#storage.entries(from, end, maxBytes);
      assert(saved.length > 0 && saved[0]?.index === from, `the storage has entry ${from}`);
      // The rest comes with the next call: joining the two is not worth a copy.
      return saved;
    }
    const begin = from - this.#unsavedFrom;
    let end = begin;
    let bytes = 0;
    for (; end <= to - this.#unsavedFrom; end++) {
      bytes += entryBytes(present(this.#unsaved[end], "an unsaved entry"));
      if (end > begin && bytes > maxBytes) break;
    }
    return this.#unsaved.slice(begin, end);
  }

  /** Adds entries that continue the log. */
  append(entries: readonly Entry[]): void {
    let { term, index } = this.last;
    for (const entry of entries) {
      assert(entry.index === ++index, `entry ${entry.index} does not follow ${index - 1}`);
      assert(entry.term >= term, `entry ${index} goes back from term ${term} to ${entry.term}`);
      term = entry.term;
      this.#unsaved.push(entry);
    }
  }

  /** Drops the entry at `index` and all after it: a leader has others there. */
  truncateFrom(index: number): void {
    assert(index > this.#commit, `entry ${index} is committed and stays`);
    if (index >= this.#unsavedFrom) {
      this.#unsaved.length = index - this.#unsavedFrom;
    } else {
      this.#unsaved = [];
      this.#unsavedFrom = index;
    }
  }

  /** Moves the commit index forward. */
  commitTo(index: number): void {
    assert(index >= this.#commit, `commit index goes back from ${this.#commit} to ${index}`);
    assert(index <= this.last.index, `entry ${index} is committed and not in the log`);
    this.#commit = index;
  }

  /** Puts a received snapshot in the place of everything. */
  restore(meta: SnapshotMeta): void {
    assert(meta.index > this.#commit, `a snapshot of ${meta.index} takes committed entries away`);
    this.#received = meta;
    this.#unsaved = [];
    this.#unsavedFrom = meta.index + 1;
    this.#commit = meta.index;
  }

  /** Entries that may be applied now, but no more than `maxBytes` at a time. */
  unapplied(maxBytes: number): readonly Entry[] {
    const from = Math.max(this.#applied, this.#received?.index ?? 0) + 1;
    return this.entries(from, this.#commit, maxBytes);
  }

  /** All of these are on disk. They may have been overruled in the meantime. */
  saved(snapshot: SnapshotMeta | null, entries: readonly Entry[]): void {
    if (snapshot !== null && snapshot === this.#received) {
      this.#received = null;
      this.#applied = snapshot.index;
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    const count = last.index - this.#unsavedFrom + 1;
    // Log Matching: the same last entry means the same entries before it.
    if (this.#unsaved[count - 1]?.term !== last.term) return;
    this.#unsaved.splice(0, count);
    this.#unsavedFrom += count;
  }

  /** All up to `index` has been applied. */
  appliedTo(index: number): void {
    assert(index > this.#applied && index <= this.#commit, `entry ${index} is applied in its turn`);
    this.#applied = index;
  }
}
