import { type Bytes, type Clock, type Id } from "../base/mod.ts";
import type { ClusterState, InstalledSource, Projection } from "../state/mod.ts";
import { NodeStream } from "./node_stream.ts";

/** A new one that takes the old one's place, and the old one. */
const MAX_STREAMS_PER_NODE = 2;

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

/** The streams on which nodes hear what they should have. */
export class NodeStreams {
  readonly #options: NodeStreamsOptions;
  /** Oldest first; no member without a stream is in it. */
  readonly #streams = new Map<Id, Set<NodeStream>>();

  constructor(options: NodeStreamsOptions) {
    this.#options = options;
  }

  /**
   * Opens a stream to a member. It may have two for a while: the new one starts before the old
   * one is closed, so that a renewed certificate leaves no gap.
   */
  open(nodeId: Id, signal: AbortSignal): ReadableStream<Bytes> {
    const stream: NodeStream = new NodeStream(nodeId, this.#options, () => {
      const others = this.#streams.get(nodeId);
      others?.delete(stream);
      if (others?.size === 0) this.#streams.delete(nodeId);
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

  /** Something has changed that all nodes hear of. */
  refreshAll(): void {
    this.refresh([...this.#streams.keys()]);
  }

  /** The node has reported; `received` is the digest of the newest projection that it has. */
  heard(nodeId: Id, received: string | null): void {
    for (const stream of [...this.#streams.get(nodeId) ?? []]) stream.heard(received);
  }

  /** Ends the streams of a node that is no member any more. */
  drop(nodeId: Id): void {
    for (const stream of [...this.#streams.get(nodeId) ?? []]) stream.close();
  }

  closeAll(): void {
    for (const nodeId of [...this.#streams.keys()]) this.drop(nodeId);
  }
}
