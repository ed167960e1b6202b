import { type Bytes, type Clock, type Id } from "../base/mod.ts";
import type { CheckOrder, ClusterState, InstalledSource, Projection } from "../state/mod.ts";
import { NodeStream } from "./node_stream.ts";

/** A new one that takes the old one's place, and the old one. */
const MAX_STREAMS_PER_NODE = 2;

/** What so many streams have sent, and the node has not said that it has; each sends one at a time. */
const MAX_SENDS_PER_NODE = 8;

/** What {@linkcode NodeStreams} needs. */
export interface NodeStreamsOptions {
  readonly clock: Clock;
  /** The state as it is now. */
  readonly state: () => ClusterState;
  /** The time that the next entry would carry. */
  readonly stateTimeMs: () => number;
  /** What nodes have told of their SAs. */
  readonly installed: () => InstalledSource;
  /** Called with each projection that goes out. */
  readonly onSent: (nodeId: Id, projection: Projection) => void;
}

/** A projection that the node has not said that it has. */
interface Send {
  readonly stream: NodeStream;
  readonly digest: string;
}

/** The streams on which nodes hear what they should have. */
export class NodeStreams {
  readonly #options: NodeStreamsOptions;
  /** Oldest first; no member without a stream is in it. */
  readonly #streams = new Map<Id, Set<NodeStream>>();
  /** Oldest first; of streams that have ended, too. */
  readonly #sends = new Map<Id, Send[]>();

  constructor(options: NodeStreamsOptions) {
    this.#options = options;
  }

  /**
   * Opens a stream to a member. It may have two for a while: the new one starts before the old
   * one is closed, so that a renewed certificate leaves no gap.
   */
  open(nodeId: Id, signal: AbortSignal): ReadableStream<Bytes> {
    const stream: NodeStream = new NodeStream(nodeId, this.#options, {
      onSent: (projection) => this.#noteSend(nodeId, stream, projection),
      onClose: () => this.#forget(nodeId, stream),
    });
    const ofNode = this.#streams.get(nodeId) ?? new Set();
    this.#streams.set(nodeId, ofNode.add(stream));
    const [oldest] = ofNode;
    if (ofNode.size > MAX_STREAMS_PER_NODE) oldest?.close();
    signal.addEventListener("abort", () => stream.close(), { once: true });
    if (signal.aborted) stream.close();
    else stream.refresh();
    return stream.readable;
  }

  isConnected(nodeId: Id): boolean {
    return this.#streams.has(nodeId);
  }

  /** The state has changed for these nodes. */
  refresh(nodeIds: Iterable<Id>): void {
    for (const nodeId of nodeIds) {
      for (const stream of [...this.#streams.get(nodeId) ?? []]) stream.refresh();
    }
  }

  /** Tells those of the nodes that have a stream what is to be checked. */
  order(nodeIds: Iterable<Id>, order: CheckOrder): void {
    for (const nodeId of nodeIds) {
      for (const stream of this.#streams.get(nodeId) ?? []) stream.order(order);
    }
  }

  /** Something has changed that all nodes hear of. */
  refreshAll(): void {
    this.refresh([...this.#streams.keys()]);
  }

  /**
   * The node has reported; `received` is the digest of the newest projection that it has. With it, it has
   * all that was sent before, on whatever stream: two may have come on two streams before it could say so.
   */
  heard(nodeId: Id, received: string | null): void {
    const sends = this.#sends.get(nodeId) ?? [];
    sends.splice(0, sends.findLastIndex(({ digest }) => digest === received) + 1);
    const waiting = new Set(sends.map(({ stream }) => stream));
    for (const stream of [...this.#streams.get(nodeId) ?? []]) {
      if (!waiting.has(stream)) stream.heard();
    }
  }

  /** Ends the streams of a node that is no member any more. */
  drop(nodeId: Id): void {
    for (const stream of [...this.#streams.get(nodeId) ?? []]) stream.close();
  }

  #noteSend(nodeId: Id, stream: NodeStream, projection: Projection): void {
    const sends = this.#sends.get(nodeId) ?? [];
    this.#sends.set(nodeId, sends);
    sends.push({ stream, digest: projection.digest });
    if (sends.length > MAX_SENDS_PER_NODE) sends.shift();
    this.#options.onSent(nodeId, projection);
  }

  #forget(nodeId: Id, stream: NodeStream): void {
    const others = this.#streams.get(nodeId);
    others?.delete(stream);
    if (others?.size !== 0) return;
    this.#streams.delete(nodeId);
    this.#sends.delete(nodeId);
  }

  closeAll(): void {
    for (const nodeId of [...this.#streams.keys()]) this.drop(nodeId);
  }
}
