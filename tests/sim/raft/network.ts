import type { MemberId, Message } from "../../../src/raft/mod.ts";
import type { Prng } from "./prng.ts";
import type { Timeline } from "./timeline.ts";

/** Carries messages, badly. */
export class Network {
  /** Share of messages that is lost. */
  loss = 0;
  /** Share of messages that comes twice. */
  doubled = 0;
  /** The longest that a message may take. */
  maxDelayMs = 4;
  /** Directions in which nothing passes: `from>to`. */
  readonly #cut = new Set<string>();
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #deliver: (message: Message) => void;

  constructor(timeline: Timeline, prng: Prng, deliver: (message: Message) => void) {
    this.#timeline = timeline;
    this.#prng = prng;
    this.#deliver = deliver;
  }

  /** Lets nothing pass from one member to another. */
  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Everything passes again. */
  heal(): void {
    this.#cut.clear();
    this.loss = 0;
    this.doubled = 0;
    this.maxDelayMs = 4;
  }

  /** Sends a message; it may come never, late, twice, or before one that was sent earlier. */
  send(message: Message): void {
    if (this.#prng.chance(this.loss)) return;
    const copies = this.#prng.chance(this.doubled) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      // Most are quick, whatever the longest is: so late ones meet newer ones.
      const slow = this.#prng.chance(0.3);
      const delayMs = 1 + this.#prng.below(slow ? this.maxDelayMs : Math.min(4, this.maxDelayMs));
      this.#timeline.after(delayMs, () => {
        if (!this.#cut.has(`${message.from}>${message.to}`)) this.#deliver(message);
      });
    }
  }
}
