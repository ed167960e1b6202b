import type { Cancel, Clock, Frame, Id, Logger, Random } from "../base/mod.ts";
import { parseEndpoint } from "./address.ts";
import type { Dialer } from "./dialer.ts";
import { IncomingStream } from "./incoming_stream.ts";
import { OutgoingStream, type StreamStats } from "./outgoing_stream.ts";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "./stream_limits.ts";
import type { ByteStream, Upgrade } from "./upgrade.ts";

/** What {@linkcode ManagerStreams} needs. */
export interface ManagerStreamsOptions {
  /** This manager. */
  readonly selfId: Id;
  /** Connects to the others. */
  readonly dialer: Dialer;
  /** For dates, silence and retries. */
  readonly clock: Clock;
  /** For retries that do not come all at once. */
  readonly random: Random;
  /** Hears of managers that cannot be reached. */
  readonly logger: Logger;
  /** Where a manager listens, as far as the state tells. */
  readonly addressOf: (id: Id) => string | null;
  /** Where this one does: told to the others, who may not have it in their state yet. */
  readonly ownAddress: () => string | null;
  /** Only where they differ from the defaults. */
  readonly limits?: Partial<StreamLimits>;
}

/** Frames of one lane do not wait behind those of the other. */
export type Lane = "log" | "snapshot";
const LANES: readonly string[] = ["log", "snapshot"] satisfies Lane[];

const PROTOCOL = "agent-raft/1";
const PATH = "/v1/raft";
const LANE_HEADER = "agent-lane";
const ADDRESS_HEADER = "agent-control-address";
/** One that takes the place of another, and that other. */
const MAX_INCOMING_PER_LANE = 2;

/** The two directions and two lanes between this manager and another. */
interface Peer {
  readonly log: OutgoingStream;
  readonly snapshot: OutgoingStream;
}

/**
 * Streams of frames between managers, on the cluster's one port: one per pair, direction and lane. What
 * a frame says is the caller's business; who said it, the connection has proved.
 *
 * TLS here takes in whatever comes and tells the sender nothing, so each stream has a window that the
 * receiver opens by acknowledging. What does not fit is dropped, for it could only get older: the
 * protocol above repeats itself. A network that is cut is found out by silence.
 */
export class ManagerStreams {
  readonly #options: ManagerStreamsOptions;
  readonly #limits: StreamLimits;
  readonly #peers = new Map<Id, Peer>();
  readonly #incoming = new Set<IncomingStream>();
  /** Where managers say they listen. Each speaks for itself only. */
  readonly #told = new Map<Id, string>();
  #kept: ReadonlySet<Id> = new Set();
  #receiver: ((from: Id, frame: Frame) => void) | null = null;
  #cancelCheck: Cancel | null = null;
  #checkedAtMs = 0;
  #isClosed = false;

  /** Connects to nobody yet. */
  constructor(options: ManagerStreamsOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_STREAM_LIMITS, ...options.limits };
  }

  /** For {@linkcode ListenerOptions.upgrade}. */
  get upgrade(): Upgrade {
    return { protocol: PROTOCOL, accept: (stream) => this.#accept(stream) };
  }

  /** Gives every frame that comes to `receiver`; what comes while there is none is dropped. */
  listen(receiver: ((from: Id, frame: Frame) => void) | null): void {
    this.#receiver = receiver;
  }

  /** Sends frames of kinds below 240 to a manager, all or none of them, or drops them. */
  send(to: Id, frames: readonly Frame[], lane: Lane): void {
    if (this.#isClosed || to === this.#options.selfId) return;
    this.#peer(to)[lane].send(frames);
  }

  /** Keeps connections to these, also when there is nothing to say. */
  setPeers(ids: readonly Id[]): void {
    if (this.#isClosed) return;
    this.#kept = new Set(ids.filter((id) => id !== this.#options.selfId));
    for (const id of this.#kept) {
      const { log } = this.#peer(id);
      log.isKept = true;
      log.connect();
    }
    for (const [id, { log }] of this.#peers) log.isKept = this.#kept.has(id);
  }

  /** Makes every connection anew, each before the old one ends: this manager has another certificate. */
  renew(): void {
    for (const { log, snapshot } of this.#peers.values()) {
      log.renew();
      snapshot.renew();
    }
  }

  /** Ends what there is with this manager; it is no member any more. */
  closePeer(id: Id): void {
    const peer = this.#peers.get(id);
    peer?.log.close();
    peer?.snapshot.close();
    this.#peers.delete(id);
    this.#told.delete(id);
    for (const incoming of this.#incoming) {
      if (incoming.stream.peer.id === id) incoming.stream.close();
    }
  }

  /** How it stands with a manager. */
  stats(id: Id): Readonly<Record<Lane, StreamStats>> | null {
    const peer = this.#peers.get(id);
    return peer === undefined ? null : { log: peer.log.stats, snapshot: peer.snapshot.stats };
  }

  /** Ends every stream. */
  close(): void {
    this.#isClosed = true;
    this.#receiver = null;
    this.#cancelCheck?.();
    this.#cancelCheck = null;
    for (const id of [...this.#peers.keys()]) this.closePeer(id);
    for (const { stream } of [...this.#incoming]) stream.close();
  }

  #peer(id: Id): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = { log: this.#outgoing(id, "log"), snapshot: this.#outgoing(id, "snapshot") };
      this.#peers.set(id, peer);
      this.#planCheck();
    }
    return peer;
  }

  #outgoing(to: Id, lane: Lane): OutgoingStream {
    const { clock, random, logger, dialer, addressOf, ownAddress } = this.#options;
    return new OutgoingStream({
      to,
      clock,
      random,
      logger,
      limits: this.#limits,
      addresses: () => {
        const known = [addressOf(to), this.#told.get(to) ?? null].filter((one) => one !== null);
        return [...new Set(known)];
      },
      dial: (address, signal) => {
        const own = ownAddress();
        return dialer.openUpgrade({
          address,
          path: PATH,
          protocol: PROTOCOL,
          headers: { [LANE_HEADER]: lane, ...(own !== null && { [ADDRESS_HEADER]: own }) },
          signal,
          timeoutMs: this.#limits.connectTimeoutMs,
        });
      },
    });
  }

  #accept(stream: ByteStream): void {
    const { clock, logger, selfId } = this.#options;
    const { id } = stream.peer;
    const lane = stream.headers.get(LANE_HEADER) ?? "";
    if (this.#isClosed || id === selfId || !LANES.includes(lane)) return stream.close();
    this.#remember(id, stream.headers.get(ADDRESS_HEADER));
    const others = [...this.#incoming].filter((other) =>
      other.stream.peer.id === id && other.lane === lane
    );
    if (others.length >= MAX_INCOMING_PER_LANE) others[0]?.stream.close();
    const incoming = new IncomingStream({
      stream,
      lane,
      clock,
      limits: this.#limits,
      deliver: (frame) => this.#receiver?.(id, frame),
      onClose: (why) => {
        this.#incoming.delete(incoming);
        if (why === null) return;
        logger.warn("A manager's stream was ended", { manager: id, reason: why });
      },
    });
    this.#incoming.add(incoming);
    this.#planCheck();
    incoming.start();
    this.#peers.get(id)?.log.connectNow();
  }

  #remember(id: Id, address: string | null): void {
    if (address === null) return;
    try {
      this.#told.set(id, parseEndpoint(address).address);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }

  #planCheck(): void {
    if (this.#cancelCheck !== null || this.#isClosed) return;
    this.#checkedAtMs = this.#options.clock.monotonicMs();
    this.#cancelCheck = this.#options.clock.schedule(this.#limits.pingIntervalMs, () => {
      this.#cancelCheck = null;
      this.#check();
      if (this.#peers.size + this.#incoming.size > 0) this.#planCheck();
    });
  }

  #check(): void {
    const passedMs = this.#options.clock.monotonicMs() - this.#checkedAtMs;
    // What was sent to a process that stood still is read after its timers have run.
    const stoodStill = passedMs >= 2 * this.#limits.pingIntervalMs;
    for (const incoming of [...this.#incoming]) incoming.check({ stoodStill });
    for (const [id, { log, snapshot }] of [...this.#peers]) {
      log.check({ stoodStill });
      snapshot.check({ stoodStill });
      if (log.isIdle && snapshot.isIdle) {
        log.close();
        snapshot.close();
        this.#peers.delete(id);
      } else if (snapshot.isIdle) {
        snapshot.rest();
      }
    }
  }
}
