// Clocks of tests, and what waits by them.
import type { Cancel, Clock } from "../base/mod.ts";

/** For tests that wait for real timers. */
export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Real, but somebody sets the wall clock. */
export class WallClock implements Clock {
  #aheadMs = 0;
  readonly monotonicMs = realClock.monotonicMs;
  readonly schedule = realClock.schedule;

  nowMs(): number {
    return Date.now() + this.#aheadMs;
  }

  jump(ms: number): void {
    this.#aheadMs += ms;
  }
}

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Stands still until a test turns it. It begins at the real time, for certificates are real. */
export class HandClock implements Clock {
  #nowMs = Date.now();
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  schedule(delayMs: number, callback: () => void): Cancel {
    const timer = { atMs: this.#monotonicMs + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers run. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Time goes by: timers fire in their order, each at its time. */
  pass(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((one, other) => one.atMs - other.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#turn(next.atMs - this.#monotonicMs);
      this.#timers.delete(next);
      next.callback();
    }
    this.#turn(endMs - this.#monotonicMs);
  }

  /** Somebody sets the wall clock, or the machine has slept: no timer notices. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  #turn(ms: number): void {
    this.#nowMs += Math.max(0, ms);
    this.#monotonicMs += Math.max(0, ms);
  }
}

/** Longer than anything takes that goes well, on a machine with much else to do. */
const PATIENCE_MS = 30_000;

/** Resolves when `condition` holds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`Waited in vain until ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Turns a clock until `condition` holds: what it waits for in between is real. */
export async function crank(clock: HandClock, condition: () => boolean): Promise<void> {
  await eventually(() => {
    if (condition()) return true;
    clock.pass(50);
    return false;
  });
}
