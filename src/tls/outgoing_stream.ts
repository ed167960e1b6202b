import {
  type Bytes,
  type Cancel,
  type Clock,
  concatBytes,
  encodeFrame,
  type Frame,
  FrameDecoder,
  FrameError,
  type Id,
  type Logger,
  type Random,
} from "../base/mod.ts";
import { ACK_KIND, PING_KIND, type StreamLimits } from "./stream_limits.ts";
import type { ByteStream } from "./upgrade.ts";

/** What {@linkcode OutgoingStream} needs. */
export interface OutgoingStreamOptions {
  readonly to: Id;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: StreamLimits;
  /** Where the manager may be found, the likeliest first. */
  addresses(): readonly string[];
  dial(address: string, signal: AbortSignal): Promise<ByteStream>;
}

/** What has become of what was sent. */
export interface StreamStats {
  /** Whether there is a connection. */
  readonly isOpen: boolean;
  /** Bytes that are not acknowledged, or wait for a connection. */
  readonly pendingBytes: number;
  /** Frames that were given up, for the window was full or there was no connection. */
  readonly droppedFrames: number;
}

/**
 * One direction of what two managers say to each other: frames go out, acknowledgements come back.
 * It connects when there is something to send, and again when the connection ends.
 */
export class OutgoingStream {
  readonly #options: OutgoingStreamOptions;
  #current: Connection | null = null;
  /** Replaced, and still waiting for what the other end has not acknowledged. */
  readonly #old = new Set<Connection>();
  #dialling: AbortController | null = null;
  #cancelRetry: Cancel | null = null;
  #failures = 0;
  #queue: Bytes[] = [];
  #queuedBytes = 0;
  #droppedFrames = 0;
  #usedAtMs: number;
  #isResting = false;
  #isClosed = false;
  /** Whether to connect also when there is nothing to send. */
  isKept = false;

  constructor(options: OutgoingStreamOptions) {
    this.#options = options;
    this.#usedAtMs = options.clock.monotonicMs();
  }

  get stats(): StreamStats {
    let pendingBytes = this.#queuedBytes + (this.#current?.unackedBytes ?? 0);
    for (const { unackedBytes } of this.#old) pendingBytes += unackedBytes;
    return {
      isOpen: this.#current !== null,
      pendingBytes,
      droppedFrames: this.#droppedFrames,
    };
  }

  /** Whether there is nothing left that anybody could miss. */
  get isIdle(): boolean {
    const { clock, limits } = this.#options;
    return !this.isKept && clock.monotonicMs() - this.#usedAtMs >= limits.idleMs;
  }

  /** Sends all of it or nothing. */
  send(frames: readonly Frame[]): void {
    if (this.#isClosed) return;
    const { clock, limits } = this.#options;
    this.#usedAtMs = clock.monotonicMs();
    this.#isResting = false;
    const bytes = concatBytes(...frames.map(encodeFrame));
    const { stats } = this;
    const limit = stats.isOpen ? limits.windowBytes : limits.queueBytes;
    // A single frame that is longer than the queue may wait in it alone.
    if (stats.pendingBytes + bytes.length > limit && stats.pendingBytes > 0) {
      this.#droppedFrames += frames.length;
    } else if (this.#current !== null) {
      this.#current.write(bytes);
    } else {
      this.#queue.push(bytes);
      this.#queuedBytes += bytes.length;
    }
    this.connect();
  }

  /** Connects, unless it is connected, or waits before the next attempt. */
  connect(): void {
    if (this.#current === null && this.#cancelRetry === null) this.#dial();
  }

  /** The other end is there: there is no reason to wait any longer. */
  connectNow(): void {
    this.#failures = 0;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.connect();
  }

  /** Puts another connection in the place of this one, which goes on until that is there. */
  renew(): void {
    if (this.#current !== null) this.#dial();
  }

  /** Looks whether the other end is still there; to be called every `pingIntervalMs`. */
  check(options: { readonly stoodStill: boolean }): void {
    const { clock, limits } = this.#options;
    const monotonicMs = clock.monotonicMs();
    for (const connection of [...this.#old]) {
      if (
        connection.unackedBytes === 0 || monotonicMs - connection.replacedAtMs > limits.deadAfterMs
      ) {
        connection.close();
      }
    }
    const current = this.#current;
    if (current === null) return;
    if (options.stoodStill) current.heardAtMs = monotonicMs;
    if (monotonicMs - current.heardAtMs >= limits.deadAfterMs) {
      this.#options.logger.warn("A manager has fallen silent: connecting again", {
        manager: this.#options.to,
        address: current.address,
      });
      return current.close();
    }
    current.ping();
    if (clock.nowMs() >= current.renewAtMs) this.renew();
  }

  /** Ends the connection until there is something to send again. */
  rest(): void {
    this.#isResting = true;
    this.#current?.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#dialling?.abort();
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#current?.close();
    for (const connection of [...this.#old]) connection.close();
  }

  #dial(): void {
    if (this.#isClosed || this.#dialling !== null) return;
    const { addresses, dial, to } = this.#options;
    const candidates = addresses();
    const address = candidates[this.#failures % Math.max(1, candidates.length)];
    if (address === undefined) return this.#failed(new Error("its address is not known"), null);
    const dialling = new AbortController();
    this.#dialling = dialling;
    dial(address, dialling.signal).then(
      (stream) => {
        this.#dialling = null;
        if (this.#isClosed) stream.close();
        else if (stream.peer.id === to) this.#adopt(stream);
        else {
          stream.close();
          this.#failed(new Error(`${stream.peer.id} answers there`), address);
        }
      },
      (error: unknown) => {
        this.#dialling = null;
        if (!this.#isClosed) this.#failed(error, address);
      },
    );
  }

  #adopt(stream: ByteStream): void {
    const { clock, logger, to } = this.#options;
    if (this.#failures > 1) logger.info("A manager is there again", { manager: to });
    this.#failures = 0;
    const replaced = this.#current;
    if (replaced !== null) {
      replaced.replacedAtMs = clock.monotonicMs();
      this.#old.add(replaced);
    }
    const connection = new Connection(stream, clock, () => {
      this.#old.delete(connection);
      if (this.#current !== connection) return;
      this.#current = null;
      if (!this.#isClosed && !this.#isResting) {
        this.#failed(new Error("the connection ended"), stream.address);
      }
    });
    this.#current = connection;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    connection.start();
    for (const bytes of queue) connection.write(bytes);
  }

  #failed(error: unknown, address: string | null): void {
    const { clock, limits, logger, random, to } = this.#options;
    this.#failures++;
    // The first failure is how a connection ends; when it cannot be had again, that is news.
    if (this.#failures === 2) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn("A manager cannot be reached", { manager: to, address, reason });
    }
    const longestMs = Math.min(limits.lastRetryMs, limits.firstRetryMs * 2 ** (this.#failures - 1));
    // Not all at once, when a manager that many wait for is back.
    const delayMs = longestMs / 2 + random.below(Math.ceil(longestMs / 2) + 1);
    this.#cancelRetry?.();
    this.#cancelRetry = clock.schedule(delayMs, () => {
      this.#cancelRetry = null;
      if (this.isKept || this.#queue.length > 0) this.connect();
    });
  }
}

/** A stream that is open. */
class Connection {
  readonly address: string;
  /** When another should take its place: well before the other end's certificate runs out. */
  readonly renewAtMs: number;
  heardAtMs: number;
  replacedAtMs = Infinity;
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  readonly #decoder = new FrameDecoder();
  #sentBytes = 0;
  #ackedBytes = 0;

  constructor(stream: ByteStream, clock: Clock, onClose: () => void) {
    this.#stream = stream;
    this.#clock = clock;
    this.#onClose = onClose;
    this.address = stream.address;
    this.heardAtMs = clock.monotonicMs();
    const nowMs = clock.nowMs();
    this.renewAtMs = nowMs + 0.8 * (stream.peer.notAfterMs - nowMs);
  }

  get unackedBytes(): number {
    return this.#sentBytes - this.#ackedBytes;
  }

  start(): void {
    this.#stream.start({
      onData: (bytes) => this.#hear(bytes),
      onClose: this.#onClose,
    });
  }

  write(bytes: Bytes): void {
    this.#sentBytes += bytes.length;
    this.#stream.write(bytes);
  }

  ping(): void {
    this.write(encodeFrame({ kind: PING_KIND, header: {}, body: new Uint8Array() }));
  }

  close(): void {
    this.#stream.close();
  }

  #hear(bytes: Bytes): void {
    this.heardAtMs = this.#clock.monotonicMs();
    try {
      for (const { kind, header } of this.#decoder.push(bytes)) {
        const { received } = header;
        const isAck = kind === ACK_KIND && typeof received === "number" &&
          received >= this.#ackedBytes && received <= this.#sentBytes;
        // Who acknowledges what was not sent would open the window as far as it likes.
        if (!isAck) return this.close();
        this.#ackedBytes = received;
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close();
    }
  }
}
