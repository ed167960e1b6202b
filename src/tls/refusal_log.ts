import type { Clock, LogFields, Logger } from "../base/mod.ts";

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 20;

/** Says who was refused what and why, so that a flood of refusals is not a flood of log lines. */
export class RefusalLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #windowStartMs = -Infinity;
  #lines = 0;
  #unsaid = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  note(message: string, fields: LogFields): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines === LINES_PER_WINDOW) {
      this.#unsaid++;
      return;
    }
    this.#lines++;
    this.#logger.warn(message, this.#unsaid === 0 ? fields : { ...fields, unsaid: this.#unsaid });
    this.#unsaid = 0;
  }
}
