import type { Cancel, Clock, Id } from "../base/mod.ts";

/** What comes within this time goes out together. */
const BATCH_MS = 20;
/** No more than one part in so many of the thread's time goes into projections that are made anew. */
const SHARE = 5;

/**
 * Tells nodes what others have reported. In a rotation every member of a network reports, and each
 * report concerns all others: told one by one, a thousand reports would make a million projections.
 */
export class Spread {
  readonly #clock: Clock;
  readonly #refresh: (networkIds: ReadonlySet<Id>) => void;
  readonly #due = new Set<Id>();
  #cancel: Cancel | null = null;
  #notBeforeMs = 0;
  #closed = false;

  /** `refresh` makes the projections of those networks' members anew. */
  constructor(clock: Clock, refresh: (networkIds: ReadonlySet<Id>) => void) {
    this.#clock = clock;
    this.#refresh = refresh;
  }

  /** Members of these networks have something to hear. */
  add(networkIds: Iterable<Id>): void {
    for (const networkId of networkIds) this.#due.add(networkId);
    if (this.#closed || this.#due.size === 0 || this.#cancel !== null) return;
    const delayMs = Math.max(BATCH_MS, this.#notBeforeMs - this.#clock.monotonicMs());
    this.#cancel = this.#clock.schedule(delayMs, () => this.#run());
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = null;
    this.#due.clear();
  }

  #run(): void {
    this.#cancel = null;
    const due = new Set(this.#due);
    this.#due.clear();
    const beganMs = this.#clock.monotonicMs();
    this.#refresh(due);
    const endedMs = this.#clock.monotonicMs();
    this.#notBeforeMs = endedMs + (endedMs - beganMs) * (SHARE - 1);
  }
}
