import type { Clock } from "../base/mod.ts";

/** After so long the thread is given back. Netlink is synchronous, so nothing else runs meanwhile. */
const SLICE_MS = 3;

/** Cuts long work into slices, between which the rest of the program has its turn. */
export class Slicer {
  readonly #clock: Clock;
  #startedMs: number;
  #longestMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** The longest time between two chances to give the thread back. */
  get longestMs(): number {
    return this.#longestMs;
  }

  /** Begins a slice: the thread was somebody else's before. */
  begin(): void {
    this.#startedMs = this.#clock.monotonicMs();
  }

  /** Resolves at once, or when others have had their turn. To be called between small steps. */
  async pause(): Promise<void> {
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMs;
    this.#longestMs = Math.max(this.#longestMs, elapsedMs);
    if (elapsedMs < SLICE_MS) return;
    await this.sleep(0);
  }

  /** Gives the thread back for a while. */
  async sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.schedule(delayMs, resolve));
    this.begin();
  }

  /** Runs what works off the thread. */
  async offThread<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.begin();
    }
  }
}
