import {
  type Bytes,
  type Cancel,
  type Clock,
  encodeFrame,
  encodeUtf8,
  type Id,
} from "../base/mod.ts";
import type { JsonObject } from "../base/mod.ts";
import {
  type ClusterState,
  type ManagerAddress,
  project,
  type Projection,
  StreamFrame,
} from "../state/mod.ts";

const HEARTBEAT_MS = 2_000;
/**
 * A node that has not reported for so long, or not that it has its projection, is cut off: it will
 * come again, and until then nothing piles up for it.
 */
const PATIENCE_MS = 30_000;
/** So that a part, its header and its frame stay under the frame's limit. */
const PART_BYTES = 512 * 1024;

/** What {@linkcode NodeStreams} needs. */
export interface NodeStreamsOptions {
  readonly clock: Clock;
  /** The state as it is now. */
  readonly state: () => ClusterState;
  /** The time that the next entry would carry. */
  readonly stateTimeMs: () => number;
}

/**
 * The streams on which nodes hear what they should have. A window of one: the next projection
 * goes out when the node has said that it has the last, for TLS here gives no back-pressure, and
 * what was made for a slow node in between is of no use to it. Latest wins.
 */
export class NodeStreams {
  readonly #options: NodeStreamsOptions;
  readonly #streams = new Map<Id, Set<NodeStream>>();

  constructor(options: NodeStreamsOptions) {
    this.#options = options;
  }

  /**
   * Opens a stream to a member. It may have two for a while: the new one starts before the old
   * one is closed, so that a renewed certificate leaves no gap.
   */
  open(nodeId: Id, signal: AbortSignal): ReadableStream<Bytes> {
    const ofNode = this.#streams.get(nodeId) ?? new Set();
    this.#streams.set(nodeId, ofNode);
    const stream = new NodeStream(nodeId, this.#options, () => {
      ofNode.delete(stream);
      if (ofNode.size === 0 && this.#streams.get(nodeId) === ofNode) this.#streams.delete(nodeId);
    });
    const [oldest] = ofNode;
    if (ofNode.size > 1) oldest?.close();
    ofNode.add(stream);
    signal.addEventListener("abort", () => stream.close(), { once: true });
    if (signal.aborted) stream.close();
    return stream.readable;
  }

  isConnected(nodeId: Id): boolean {
    return this.#streams.has(nodeId);
  }

  /** The state has changed for these nodes. */
  refresh(nodeIds: Iterable<Id>): void {
    for (const nodeId of nodeIds) {
      for (const stream of this.#streams.get(nodeId) ?? []) stream.refresh();
    }
  }

  /** The node has reported; `received` is the digest of the newest projection that it has. */
  heard(nodeId: Id, received: string | null): void {
    for (const stream of this.#streams.get(nodeId) ?? []) stream.heard(received);
  }

  /** Ends the streams of a node that is no member any more. */
  drop(nodeId: Id): void {
    for (const stream of [...this.#streams.get(nodeId) ?? []]) stream.close();
  }

  closeAll(): void {
    for (const nodeId of [...this.#streams.keys()]) this.drop(nodeId);
  }
}

class NodeStream {
  readonly readable: ReadableStream<Bytes>;
  readonly #nodeId: Id;
  readonly #options: NodeStreamsOptions;
  readonly #onClose: () => void;
  readonly #controller: ReadableStreamDefaultController<Bytes>;
  #sentDigest: string | null = null;
  #acknowledged = true;
  #closed = false;
  #cancelHeartbeat: Cancel;
  #cancelDeadline: Cancel;

  constructor(nodeId: Id, options: NodeStreamsOptions, onClose: () => void) {
    this.#nodeId = nodeId;
    this.#options = options;
    this.#onClose = onClose;
    const opened: { controller?: ReadableStreamDefaultController<Bytes> } = {};
    this.readable = new ReadableStream<Bytes>({
      start: (controller) => void (opened.controller = controller),
      cancel: () => this.close(),
    });
    if (opened.controller === undefined) throw new TypeError("a stream starts synchronously");
    this.#controller = opened.controller;
    this.#cancelHeartbeat = this.#scheduleHeartbeat();
    this.#cancelDeadline = this.#scheduleDeadline();
    this.refresh();
  }

  refresh(): void {
    if (this.#closed || !this.#acknowledged) return;
    const state = this.#options.state();
    const projection = project(state, this.#nodeId);
    if (projection === null) return this.close();
    if (projection.digest === this.#sentDigest) return;
    const stateTimeMs = this.#options.stateTimeMs();
    const frames = projectionFrames(state, projection, stateTimeMs);
    for (const frame of frames) this.#controller.enqueue(frame);
    this.#sentDigest = projection.digest;
    this.#acknowledged = false;
  }

  heard(received: string | null): void {
    if (!this.#acknowledged && received !== this.#sentDigest) return;
    this.#acknowledged = true;
    this.#cancelDeadline();
    this.#cancelDeadline = this.#scheduleDeadline();
    this.refresh();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelHeartbeat();
    this.#cancelDeadline();
    try {
      this.#controller.close();
    } catch {
      // The reader has cancelled it already.
    }
    this.#onClose();
  }

  #scheduleDeadline(): Cancel {
    return this.#options.clock.schedule(PATIENCE_MS, () => this.close());
  }

  #scheduleHeartbeat(): Cancel {
    return this.#options.clock.schedule(HEARTBEAT_MS, () => {
      const header = { stateTimeMs: this.#options.stateTimeMs() };
      this.#controller.enqueue(
        encodeFrame({ kind: StreamFrame.heartbeat, header, body: new Uint8Array() }),
      );
      this.#cancelHeartbeat = this.#scheduleHeartbeat();
    });
  }
}

function projectionFrames(
  state: ClusterState,
  projection: Projection,
  stateTimeMs: number,
): Bytes[] {
  const body = encodeUtf8(JSON.stringify(projection));
  const parts = Math.ceil(body.length / PART_BYTES);
  const managers: JsonObject[] = managerAddresses(state).map(({ id, address }) => ({
    id,
    address,
  }));
  return Array.from({ length: parts }, (_, part) =>
    encodeFrame({
      kind: StreamFrame.projection,
      header: {
        stateTimeMs,
        revision: state.revision,
        digest: projection.digest,
        part,
        parts,
        managers,
      },
      body: body.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
    }));
}

/** Where the managers of the cluster listen. */
export function managerAddresses(state: ClusterState): ManagerAddress[] {
  return [...state.nodes.values()]
    .filter((node) => node.role === "manager")
    .map((node) => ({ id: node.id, address: node.facts.controlAddress }));
}
