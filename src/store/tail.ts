import { assert, present } from "../base/mod.ts";
import { type Entry, entryBytes, type Position } from "../raft/mod.ts";

/** Entries in memory: enough for followers that keep up; others are read from the disk. */
const DEFAULT_MAX_BYTES = 8 * 1024 * 1024;

/** The places of all entries that are on disk, and the last of the entries themselves. */
export class LogTail {
  readonly #maxBytes: number;
  #base: Position;
  #lastIndex: number;
  /** Where each term begins after `base`, in order: thousands of entries share a term. */
  #terms: { readonly from: number; readonly term: number }[] = [];
  /** The last entries; the first of them is `lastIndex − length + 1`. */
  #entries: Entry[] = [];
  #bytes = 0;

  constructor(base: Position, options: { readonly maxBytes?: number } = {}) {
    this.#base = { term: base.term, index: base.index };
    this.#lastIndex = base.index;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  }

  /** The place right before the first entry. */
  get base(): Position {
    return this.#base;
  }

  /** The place of the last entry, or the base. */
  get last(): Position {
    return { term: this.term(this.#lastIndex), index: this.#lastIndex };
  }

  /** Index of the first entry that is in memory, or of the next one. */
  get cachedFrom(): number {
    return this.#lastIndex - this.#entries.length + 1;
  }

  /** Term of the entry at `index`, which is in `base.index` … `last.index`. */
  term(index: number): number {
    assert(index >= this.#base.index && index <= this.#lastIndex, `entry ${index} is in the log`);
    if (index === this.#base.index) return this.#base.term;
    return present(this.#terms.findLast(({ from }) => from <= index), `entry ${index}`).term;
  }

  /** Adds the next entry. */
  push(entry: Entry): void {
    assert(entry.index === this.#lastIndex + 1, `entry ${entry.index} follows ${this.#lastIndex}`);
    if (entry.term !== this.#terms.at(-1)?.term) {
      this.#terms.push({ from: entry.index, term: entry.term });
    }
    this.#lastIndex = entry.index;
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
    if (this.#bytes > this.#maxBytes) this.#evict();
  }

  /** Drops the entry at `index` and all after it. */
  truncateFrom(index: number): void {
    assert(index > this.#base.index, `entry ${index} is in the log`);
    while (this.#lastIndex >= index) {
      const entry = this.#entries.pop();
      if (entry !== undefined) this.#bytes -= entryBytes(entry);
      this.#lastIndex--;
    }
    while ((this.#terms.at(-1)?.from ?? 0) >= index) this.#terms.pop();
  }

  /** Drops all up to `index`, which stays as the base. */
  compactTo(index: number): void {
    if (index <= this.#base.index) return;
    const term = this.term(index);
    const dropped = this.#entries.splice(0, Math.max(0, index - this.cachedFrom + 1));
    for (const entry of dropped) this.#bytes -= entryBytes(entry);
    this.#base = { term, index };
    while (this.#terms[1] !== undefined && this.#terms[1].from <= index + 1) this.#terms.shift();
    if (index === this.#lastIndex) this.#terms = [];
  }

  /** A snapshot takes the place of everything. */
  restart(base: Position): void {
    this.#base = { term: base.term, index: base.index };
    this.#lastIndex = base.index;
    this.#terms = [];
    this.#entries = [];
    this.#bytes = 0;
  }

  /** Entries from `from` on that are in memory, as `Storage.entries` wants them. */
  cached(from: number, to: number, maxBytes: number): readonly Entry[] {
    const first = this.cachedFrom;
    let bytes = 0;
    let end = from;
    for (; end <= to; end++) {
      bytes += entryBytes(present(this.#entries[end - first], `entry ${end}`));
      if (end > from && bytes > maxBytes) break;
    }
    return this.#entries.slice(from - first, end - first);
  }

  /** A quarter at a time, for taking from the front of an array moves all the rest. */
  #evict(): void {
    let count = 0;
    while (this.#bytes > this.#maxBytes * 0.75 && count < this.#entries.length) {
      this.#bytes -= entryBytes(present(this.#entries[count++], "a cached entry"));
    }
    this.#entries.splice(0, count);
  }
}
