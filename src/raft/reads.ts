import type { ConfirmedRead } from "./types.ts";

/** Bounds what callers can make a leader remember. */
const MAX_READS = 65_536;

/**
 * Reads on their way through ReadIndex (thesis, 6.4): a read takes the commit index, and waits until
 * a majority has answered a heartbeat that was sent after it came. Then no later leader can have
 * acknowledged anything more before the read came. All that wait share one round of heartbeats.
 */
export class Reads {
  /** The newest round; 0 before the first. */
  round = 0;
  #new: number[] = [];
  #asked: { readonly id: number; readonly index: number; readonly round: number }[] = [];
  #confirmed: ConfirmedRead[] = [];

  /** Takes a read; false when there are too many. */
  add(id: number): boolean {
    if (this.#new.length + this.#asked.length >= MAX_READS) return false;
    this.#new.push(id);
    return true;
  }

  /** Begins a round for the reads that have come; false when there are none. */
  begin(commit: number): boolean {
    if (this.#new.length === 0) return false;
    const round = ++this.round;
    for (const id of this.#new) this.#asked.push({ id, index: commit, round });
    this.#new = [];
    return true;
  }

  /** A majority has answered this round, and so all before. */
  confirm(round: number): void {
    let count = 0;
    for (const read of this.#asked) {
      if (read.round > round) break;
      this.#confirmed.push({ id: read.id, index: read.index });
      count++;
    }
    this.#asked.splice(0, count);
  }

  /** Takes out what is confirmed. */
  takeConfirmed(): readonly ConfirmedRead[] {
    const confirmed = this.#confirmed;
    this.#confirmed = [];
    return confirmed;
  }

  /** Takes out what is not confirmed. */
  drain(): readonly number[] {
    const lost = [...this.#asked.map((read) => read.id), ...this.#new];
    this.#asked = [];
    this.#new = [];
    return lost;
  }
}
