import {
  type Bytes,
  type Clock,
  encodeFrame,
  type Frame,
  FrameDecoder,
  FrameError,
} from "../base/mod.ts";
import { ACK_KIND, PING_KIND, type StreamLimits } from "./stream_limits.ts";
import type { ByteStream } from "./upgrade.ts";

/** What {@linkcode IncomingStream} needs. */
export interface IncomingStreamOptions {
  readonly stream: ByteStream;
  readonly lane: string;
  readonly clock: Clock;
  readonly limits: StreamLimits;
  readonly deliver: (frame: Frame) => void;
  readonly onClose: (why: string | null) => void;
}

/** The other end of an {@linkcode OutgoingStream}: takes frames, acknowledges what has been dealt with. */
export class IncomingStream {
  readonly stream: ByteStream;
  readonly lane: string;
  readonly #options: IncomingStreamOptions;
  readonly #decoder = new FrameDecoder();
  #receivedBytes = 0;
  #ackedBytes = 0;
  #heardAtMs: number;
  #why: string | null = null;

  constructor(options: IncomingStreamOptions) {
    this.#options = options;
    this.stream = options.stream;
    this.lane = options.lane;
    this.#heardAtMs = options.clock.monotonicMs();
  }

  start(): void {
    this.stream.start({
      onData: (bytes) => this.#take(bytes),
      onClose: () => this.#options.onClose(this.#why),
    });
  }

  /** Looks whether the other end, which pings all the time, is still there. */
  check(options: { readonly stoodStill: boolean }): void {
    const { clock, limits } = this.#options;
    const monotonicMs = clock.monotonicMs();
    if (options.stoodStill) this.#heardAtMs = monotonicMs;
    if (monotonicMs - this.#heardAtMs >= limits.deadAfterMs) this.stream.close();
  }

  #take(bytes: Bytes): void {
    const { clock, limits, deliver } = this.#options;
    this.#heardAtMs = clock.monotonicMs();
    let isPinged = false;
    try {
      for (const frame of this.#decoder.push(bytes)) {
        if (frame.kind === PING_KIND) isPinged = true;
        else if (frame.kind < 240) deliver(frame);
        else throw new FrameError(`Frames of kind ${frame.kind} are not known here`);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#why = error.message;
      return this.stream.close();
    }
    this.#receivedBytes += bytes.length;
    if (isPinged || this.#receivedBytes - this.#ackedBytes >= limits.ackEveryBytes) {
      this.#ackedBytes = this.#receivedBytes;
      const header = { received: this.#receivedBytes };
      this.stream.write(encodeFrame({ kind: ACK_KIND, header, body: new Uint8Array() }));
    }
  }
}
