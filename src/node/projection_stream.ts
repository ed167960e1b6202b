import {
  type Cancel,
  type Clock,
  decodeUtf8,
  type Frame,
  type Logger,
  type Random,
} from "../base/mod.ts";
import { renewalTime } from "../ca/mod.ts";
import {
  type CheckOrder,
  type ManagerAddress,
  type Projection,
  StreamFrame,
} from "../state/mod.ts";
import type { DialStream, PeerIdentity } from "../tls/mod.ts";
import { pause } from "./abort.ts";
import { orderOf } from "./checker.ts";
import type { LeaderLink } from "./leader_link.ts";
import { NodeError } from "./node_error.ts";
import { ProjectionAssembly, type ReceivedProjection } from "./projection_assembly.ts";
import { StreamSession } from "./stream_session.ts";

const OPEN_DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 3_000;
/** Of a certificate's life: by then it has been renewed, if all goes well. */
const LATEST_RENEWAL = 0.8;
const LOOK_INTERVAL_MS = 30_000;
const LOOK_AGAIN_MS = 1_000;
const PROBLEM_DEADLINE_MS = 5_000;
/** A stream that lived for so long was a good one: the next try need not wait. */
const GOOD_MS = 5_000;
/**
 * So many times in a row the cluster has to say that this node is no member: a manager that is
 * behind the others may not know it yet, or not its newest key.
 */
const REMOVED_AFTER = 3;

/** Whether this node is a member, as the cluster says when it is asked for a certificate. */
export type Membership = "member" | "removed" | "unknown";

/** What {@linkcode ProjectionStream} needs, and whom it tells. */
export interface ProjectionStreamOptions {
  readonly link: LeaderLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What this node should have has changed. */
  readonly onProjection: (projection: Projection) => void;
  /** A projection has come, be it an old acquaintance: the leader waits to hear so. */
  readonly onReceived: () => void;
  /**
   * The leader has granted a stream to the newest certificate, and has sent a projection: it agrees with
   * what the certificate says.
   */
  readonly onAccepted: (projection: Projection) => void;
  /** @throws {NodeError} `superseded` when it must not be taken */
  readonly check: (projection: Projection) => void;
  /** A projection is taken; called before anything else hears of it. */
  readonly onManagers: (managers: readonly ManagerAddress[], projection: Projection) => void;
  readonly onStateTime: (stateTimeMs: number) => void;
  /** The leader wants something checked. */
  readonly onCheck: (order: CheckOrder) => void;
  /** The stream is up, or is down. */
  readonly onConnected: (link: "up" | "down") => void;
  /**
   * The stream was refused. That may be because the certificate does not count any more, so only
   * one who is refused a new one as well has been removed.
   */
  readonly askMembership: () => Promise<Membership>;
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
  readonly #sessions = new Set<StreamSession>();
  readonly #closing = new AbortController();
  /** Counts certificates: a stream that began with an earlier one is replaced. */
  #certificates = 0;
  #newest: { readonly projection: Projection; readonly revision: number } | null = null;
  #received: string | null = null;
  #openAnewAtMs = Infinity;
  #cancelLook: Cancel = () => {};

  /** Begins to listen at once. */
  constructor(options: ProjectionStreamOptions) {
    this.#options = options;
    void this.#keepListening();
  }

  /** Whether a stream is up. */
  get connected(): boolean {
    return this.#sessions.size > 0;
  }

  /** Digest of the projection that came last: what opens the leader's window. */
  get received(): string | null {
    return this.#received;
  }

  /**
   * There is a new certificate: opens a stream with it; the old one ends when the new one has
   * spoken. When no leader answers the old one goes on.
   */
  async replace(): Promise<void> {
    this.#certificates++;
    // The one that is being opened now, if there is none, is looked at when it is up.
    if (this.connected) await this.#openAnew();
  }

  async #openAnew(): Promise<void> {
    const old = [...this.#sessions];
    try {
      await this.#start(() => old.forEach((session) => session.close("Another took its place")));
    } catch (error) {
      this.#options.logger.warn("The stream was not opened anew; the old one goes on", {
        reason: messageOf(error),
      });
    }
  }

  /** Stops listening. */
  close(): void {
    this.#closing.abort();
    this.#cancelLook();
    for (const session of this.#sessions) session.close("The agent is stopping");
  }

  async #keepListening(): Promise<void> {
    const { clock, random, logger, link } = this.#options;
    const { signal } = this.#closing;
    let pauseMs = FIRST_PAUSE_MS;
    let refusals = 0;
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      try {
        const certificates = this.#certificates;
        await this.#start(() => {});
        refusals = 0;
        if (certificates !== this.#certificates) await this.replace();
        while (this.connected) await Promise.all([...this.#sessions].map(({ ended }) => ended));
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("No stream from a leader; trying again", { reason: messageOf(error) });
        const isRemoved = error instanceof StreamRefusedError &&
          await this.#options.askMembership() === "removed";
        refusals = isRemoved ? refusals + 1 : 0;
        if (refusals >= REMOVED_AFTER) return this.#options.onRemoved();
        link.forgetLeader();
      }
      if (clock.monotonicMs() - beganMs >= GOOD_MS) pauseMs = FIRST_PAUSE_MS;
      await pause(clock, pauseMs / 2 + random.below(pauseMs), signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  async #start(onFirstFrame: () => void): Promise<void> {
    const { link, clock, logger, onConnected } = this.#options;
    const { signal } = this.#closing;
    const certificates = this.#certificates;
    const { stream, address } = await link.openStream({
      method: "GET",
      path: "/v1/self/projection",
      deadlineMs: OPEN_DEADLINE_MS,
      signal,
    });
    if (stream.status !== 200) throw await refusalOf(stream, clock);
    if (signal.aborted) return stream.close();
    const assembly = new ProjectionAssembly();
    let greet = () => {
      greet = () => {};
      onFirstFrame();
    };
    const session = new StreamSession(stream, clock, (frame) => {
      greet();
      const projection = this.#takeFrom(address, frame, assembly);
      if (projection === null || certificates !== this.#certificates) return;
      this.#options.onAccepted(projection);
    });
    this.#sessions.add(session);
    this.#openAnewAtMs = openAnewAt(stream.peer);
    this.#lookLater();
    onConnected("up");
    void session.ended.then((reason) => {
      this.#sessions.delete(session);
      if (this.connected || signal.aborted) return;
      logger.warn("The stream from the leader is down", { reason });
      onConnected("down");
    });
  }

  /**
   * A connection ends with the certificate of either side. Before that of the manager does, the stream
   * is opened anew: by then the manager shows another one. It goes by the wall clock, which may be set.
   */
  #lookLater(): void {
    const { clock } = this.#options;
    const leftMs = this.#openAnewAtMs - clock.nowMs();
    const delayMs = Math.max(LOOK_AGAIN_MS, Math.min(leftMs, LOOK_INTERVAL_MS));
    this.#cancelLook();
    this.#cancelLook = clock.schedule(delayMs, () => {
      if (!this.connected) return;
      this.#lookLater();
      if (this.#openAnewAtMs <= clock.nowMs()) void this.#openAnew();
    });
  }

  /** Who speaks for another incarnation is listened to no longer, and somebody else is asked. */
  #takeFrom(address: string, frame: Frame, assembly: ProjectionAssembly): Projection | null {
    try {
      return this.#take(frame, assembly);
    } catch (error) {
      if (error instanceof NodeError && error.code === "superseded") {
        this.#options.logger.error(error.message, { manager: address });
        this.#options.link.shun(address);
      }
      throw error;
    }
  }

  /** Gives the projection that is whole with this frame, if there is one. */
  #take(frame: Frame, assembly: ProjectionAssembly): Projection | null {
    const { stateTimeMs } = frame.header;
    if (typeof stateTimeMs === "number") this.#options.onStateTime(stateTimeMs);
    const order = frame.kind === StreamFrame.check ? orderOf(frame.header) : null;
    if (order !== null) this.#options.onCheck(order);
    if (frame.kind !== StreamFrame.projection) return null;
    const received = assembly.add(frame);
    if (received === null) return null;
    this.#options.check(received.projection);
    this.#received = received.projection.digest;
    this.#apply(received);
    this.#options.onReceived();
    return received.projection;
  }

  /**
   * While one stream takes another's place, the new one's first projection may have been made before
   * the old one's last, and come after it.
   */
  #apply({ projection, revision, managers }: ReceivedProjection): void {
    const newest = this.#newest;
    if (newest?.projection.incarnation === projection.incarnation && revision < newest.revision) {
      return;
    }
    this.#options.onManagers(managers, projection);
    if (newest?.projection.digest !== projection.digest) this.#options.onProjection(projection);
    this.#newest = { projection, revision };
  }
}

/** Between the moment by which a manager has renewed its certificate, and the end of that. */
function openAnewAt({ notBeforeMs, notAfterMs }: PeerIdentity): number {
  return (renewalTime({ notBeforeMs, notAfterMs, fraction: LATEST_RENEWAL }) + notAfterMs) / 2;
}

/** The cluster refuses this node a stream. */
class StreamRefusedError extends Error {}

/** Only a problem document with one of these codes is the cluster's word on who this node is. */
const REFUSALS = ["not-authenticated", "not-permitted"];

async function refusalOf(stream: DialStream, clock: Clock): Promise<Error> {
  const { status } = stream;
  const cancel = clock.schedule(PROBLEM_DEADLINE_MS, () => stream.close());
  const code = await codeOf(stream);
  cancel();
  stream.close();
  const message = `The leader answered ${status} (${code}) where a stream was asked for`;
  return (status === 401 || status === 403) && REFUSALS.includes(code)
    ? new StreamRefusedError(message)
    : new NodeError("unavailable", message);
}

async function codeOf(stream: DialStream): Promise<string> {
  try {
    let text = "";
    for await (const chunk of stream.chunks) text += decodeUtf8(chunk);
    const problem: unknown = JSON.parse(text);
    if (problem !== null && typeof problem === "object" && "code" in problem) {
      return String(problem.code);
    }
  } catch {
    // It is no problem document.
  }
  return "without a code";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
