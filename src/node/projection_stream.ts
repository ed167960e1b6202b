import {
  type Bytes,
  type Cancel,
  type Clock,
  concatBytes,
  decodeUtf8,
  type Frame,
  FrameDecoder,
  type Logger,
} from "../base/mod.ts";
import type { Random } from "../base/mod.ts";
import { type ManagerAddress, type Projection, StreamFrame } from "../state/mod.ts";
import type { DialStream } from "../tls/mod.ts";
import type { LeaderLink } from "./leader_link.ts";
import { NodeError } from "./node_error.ts";

/** Three heartbeats and a bit: then the link is dead, though nobody has said so. */
const SILENCE_MS = 7_000;
const OPEN_DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 3_000;

/** What {@linkcode ProjectionStream} needs, and whom it tells. */
export interface ProjectionStreamOptions {
  readonly link: LeaderLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProjection: (projection: Projection) => void;
  readonly onManagers: (managers: readonly ManagerAddress[]) => void;
  readonly onStateTime: (stateTimeMs: number) => void;
  /** The stream is up, or is down. */
  readonly onConnected: (link: "up" | "down") => void;
  /** The cluster says that this node is no member any more. */
  readonly onRemoved: () => void;
}

/**
 * Hears from the leader what this node should have, for as long as the node runs. When the stream
 * breaks, nothing changes in the kernel; it is opened again, with pauses that differ from node to
 * node, so that a new leader is not run over.
 */
export class ProjectionStream {
  readonly #options: ProjectionStreamOptions;
  /** What is listened to now: one, or two while one takes the other's place. */
  readonly #sessions = new Map<DialStream, Promise<void>>();
  #closed = false;
  #wake: () => void = () => {};

  /** Begins to listen at once. */
  constructor(options: ProjectionStreamOptions) {
    this.#options = options;
    this.#keepListening();
  }

  /** Whether a stream is up. */
  get connected(): boolean {
    return this.#sessions.size > 0;
  }

  /**
   * Opens a stream with the certificate of now; the old one ends when the new one has spoken.
   *
   * @throws {NodeError} when no leader answers: the old one goes on
   */
  async replace(): Promise<void> {
    const old = [...this.#sessions.keys()];
    await this.#start(() => old.forEach((stream) => stream.close()));
  }

  /** Stops listening. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#sessions.keys()) stream.close();
    this.#wake();
  }

  async #keepListening(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#closed) {
      try {
        await this.#start(() => pauseMs = FIRST_PAUSE_MS);
        while (this.#sessions.size > 0) await Promise.all(this.#sessions.values());
      } catch (error) {
        if (error instanceof NodeError && error.code === "removed") {
          this.#options.onRemoved();
          return;
        }
        this.#options.logger.warn("No stream from a leader; trying again", {
          reason: error instanceof Error ? error.message : String(error),
        });
      }
      if (!this.#closed) await this.#pause(pauseMs / 2 + this.#options.random.below(pauseMs));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  async #start(onFirstFrame: () => void): Promise<void> {
    const stream = await this.#options.link.openStream(
      { method: "GET", path: "/v1/self/projection" },
      { deadlineMs: OPEN_DEADLINE_MS, repeatable: "yes" },
    );
    if (stream.status !== 200) {
      stream.close();
      throw refusal(stream.status);
    }
    if (this.#closed) return stream.close();
    const session = this.#listen(stream, onFirstFrame).then(
      () => "The leader has ended the stream",
      (error) => error instanceof Error ? error.message : String(error),
    ).then((reason) => {
      stream.close();
      this.#sessions.delete(stream);
      if (this.#sessions.size > 0 || this.#closed) return;
      this.#options.logger.warn("The stream from the leader is down", { reason });
      this.#options.onConnected("down");
    });
    this.#sessions.set(stream, session);
    this.#options.onConnected("up");
  }

  async #listen(stream: DialStream, onFirstFrame: () => void): Promise<void> {
    const decoder = new FrameDecoder();
    const assembly = new Assembly();
    let frames = 0;
    let cancelWatchdog: Cancel = () => {};
    const startWatchdog = () => {
      cancelWatchdog();
      cancelWatchdog = this.#options.clock.schedule(SILENCE_MS, () => stream.close());
    };
    startWatchdog();
    try {
      for await (const chunk of stream.chunks) {
        startWatchdog();
        for (const frame of decoder.push(chunk)) {
          if (frames++ === 0) onFirstFrame();
          this.#take(frame, assembly);
        }
      }
    } finally {
      cancelWatchdog();
    }
  }

  #take(frame: Frame, assembly: Assembly): void {
    const { stateTimeMs } = frame.header;
    if (typeof stateTimeMs === "number") this.#options.onStateTime(stateTimeMs);
    if (frame.kind !== StreamFrame.projection) return;
    const projection = assembly.add(frame);
    if (projection === null) return;
    const { managers } = frame.header;
    if (isManagerList(managers)) this.#options.onManagers(managers);
    this.#options.onProjection(projection);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

function refusal(status: number): NodeError {
  return status === 403 || status === 401
    ? new NodeError("removed", "The cluster does not know this node any more: it was removed")
    : new NodeError("unavailable", `The leader answered ${status} where a stream was asked for`);
}

/** Puts the parts of a projection together. */
class Assembly {
  #parts: Uint8Array[] = [];
  #digest: unknown = null;

  add(frame: Frame): Projection | null {
    const { digest, part, parts } = frame.header;
    if (part === 0) this.#parts = [];
    if (part !== this.#parts.length || (part !== 0 && digest !== this.#digest)) {
      throw new NodeError("unavailable", "The leader sent the parts of a projection out of order");
    }
    this.#digest = digest;
    this.#parts.push(frame.body);
    if (this.#parts.length !== parts) return null;
    const body: Bytes = concatBytes(...this.#parts);
    this.#parts = [];
    const projection: unknown = JSON.parse(decodeUtf8(body));
    if (!isProjection(projection, digest)) {
      throw new NodeError(
        "unavailable",
        "The leader sent a projection that this agent cannot read: upgrade this agent",
      );
    }
    return projection;
  }
}

/**
 * The leader is a manager of this cluster, checked when the connection began, so its projection is
 * believed; what is checked here is that both speak the same version.
 */
function isProjection(value: unknown, digest: unknown): value is Projection {
  if (value === null || typeof value !== "object") return false;
  const projection = value as Partial<Record<keyof Projection, unknown>>;
  return projection.v === 1 && projection.digest === digest && Array.isArray(projection.networks);
}

function isManagerList(value: unknown): value is readonly ManagerAddress[] {
  return Array.isArray(value) &&
    value.every((item: unknown) =>
      item !== null && typeof item === "object" && "id" in item && "address" in item &&
      typeof item.id === "string" && typeof item.address === "string"
    );
}
