import { clearImmediate, setImmediate } from "node:timers";
import type { Cancel, Clock } from "../base/mod.ts";

/** The longest a timer of the runtime can be: a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The machine's time. Delays count on the kernel's monotonic clock, which stands still while the
 * machine sleeps: who waits for a date looks at the date when woken.
 */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs: number, callback: () => void): Cancel => {
    if (delayMs <= 0) {
      // A timer of no delay comes 1 to 3 ms late. Sockets and timers that are due still have their turn.
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const end = performance.now() + delayMs;
    let timer: ReturnType<typeof setTimeout>;
    const wait = (restMs: number) => {
      timer = restMs <= LONGEST_TIMER_MS
        ? setTimeout(callback, restMs)
        : setTimeout(() => wait(end - performance.now()), LONGEST_TIMER_MS);
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};
