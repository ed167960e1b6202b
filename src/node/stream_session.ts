import { type Cancel, type Clock, type Frame, FrameDecoder } from "../base/mod.ts";
import type { DialStream } from "../tls/mod.ts";

/** Three heartbeats and a bit: then the link is dead, though nobody has said so. */
const SILENCE_MS = 7_000;

/** One stream from a leader, listened to until it ends. */
export class StreamSession {
  /** Resolves with the reason when nothing more comes. */
  readonly ended: Promise<string>;
  readonly #stream: DialStream;
  readonly #clock: Clock;
  #cancelWatchdog: Cancel = () => {};
  #reason: string | null = null;

  /** Begins to listen. Once it is closed `onFrame` is not called any more. */
  constructor(stream: DialStream, clock: Clock, onFrame: (frame: Frame) => void) {
    this.#stream = stream;
    this.#clock = clock;
    this.#watch();
    this.ended = this.#listen(onFrame).then(
      () => this.close("The leader has ended the stream"),
      (error) => this.close(error instanceof Error ? error.message : String(error)),
    );
  }

  /** Ends it; the reason is the first that was given. */
  close(reason: string): string {
    this.#reason ??= reason;
    this.#cancelWatchdog();
    this.#stream.close();
    return this.#reason;
  }

  async #listen(onFrame: (frame: Frame) => void): Promise<void> {
    const decoder = new FrameDecoder();
    for await (const chunk of this.#stream.chunks) {
      for (const frame of decoder.push(chunk)) {
        // What had arrived before it was closed is still given out.
        if (this.#reason !== null) return;
        this.#watch();
        onFrame(frame);
      }
    }
  }

  #watch(): void {
    this.#cancelWatchdog();
    this.#cancelWatchdog = this.#clock.schedule(SILENCE_MS, () => {
      this.close(`Nothing came from the leader for ${SILENCE_MS} ms`);
    });
  }
}
