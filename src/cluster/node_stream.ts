import { type Bytes, type Cancel, encodeFrame, encodeUtf8, type Id } from "../base/mod.ts";
import {
  type CheckOrder,
  type ManagerAddress,
  project,
  type Projection,
  type ProjectionHeader,
  StreamFrame,
} from "../state/mod.ts";
import { managerAddresses } from "./managers.ts";
import type { NodeStreamsOptions } from "./node_streams.ts";

const HEARTBEAT_MS = 2_000;
/**
 * A node that has not reported for so long, or not that it has its projection, is cut off: it will
 * come again, and until then nothing piles up for it.
 */
const PATIENCE_MS = 30_000;
/** So that a part, its header and its frame stay under the frame's limit. */
const PART_BYTES = 512 * 1024;

/**
 * One stream to a node, with a window of one: the next projection goes out when the node has said
 * that it has the last, for TLS here gives no back-pressure, and what was made for a slow node in
 * between is of no use to it. Latest wins.
 *
 * While something waits unread, nothing is added to it either: reports come by another way, so a node
 * could report and never read.
 */
export class NodeStream {
  readonly readable: ReadableStream<Bytes>;
  readonly #nodeId: Id;
  readonly #options: NodeStreamsOptions;
  readonly #onSent: (projection: Projection) => void;
  readonly #onClose: () => void;
  #controller: ReadableStreamDefaultController<Bytes> | null = null;
  readonly #orders = new Map<Id, CheckOrder>();
  #sentDigest: string | null = null;
  /** The managers go with a projection, but are no part of its digest. */
  #sentManagers: string | null = null;
  #acknowledged = true;
  #closed = false;
  #cancelHeartbeat: Cancel;
  #cancelDeadline: Cancel;

  /** Says nothing before the first {@linkcode NodeStream.refresh}. */
  constructor(
    nodeId: Id,
    options: NodeStreamsOptions,
    { onSent, onClose }: {
      readonly onSent: (projection: Projection) => void;
      readonly onClose: () => void;
    },
  ) {
    this.#nodeId = nodeId;
    this.#options = options;
    this.#onSent = onSent;
    this.#onClose = onClose;
    this.readable = new ReadableStream<Bytes>({
      start: (controller) => void (this.#controller = controller),
      // Asked for when all has been read.
      pull: () => {
        this.refresh();
        this.#sendOrders();
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
    this.#cancelHeartbeat = this.#scheduleHeartbeat();
    this.#cancelDeadline = this.#scheduleDeadline();
  }

  /** Sends what the node should have now, if that is news and the window is open. */
  refresh(): void {
    if (this.#closed || !this.#acknowledged || this.#isBehind()) return;
    const state = this.#options.state();
    const projection = project(state, this.#nodeId, this.#options.installed());
    if (projection === null) return this.close();
    const managers = managerAddresses(state);
    const managersText = JSON.stringify(managers);
    if (projection.digest === this.#sentDigest && managersText === this.#sentManagers) return;
    // Before anything is read, which may call this again.
    this.#sentDigest = projection.digest;
    this.#sentManagers = managersText;
    this.#acknowledged = false;
    this.#onSent(projection);
    const header = { revision: state.revision, stateTimeMs: this.#options.stateTimeMs() };
    for (const frame of projectionFrames(projection, managers, header)) {
      this.#controller?.enqueue(frame);
    }
  }

  /** The node has reported, and has what was sent here or something that was sent after it. */
  heard(): void {
    if (this.#closed) return;
    this.#acknowledged = true;
    this.#cancelDeadline();
    this.#cancelDeadline = this.#scheduleDeadline();
    this.refresh();
  }

  /** Says once what is to be checked, when what was sent before has been read. */
  order(order: CheckOrder): void {
    // Of a network the latest wins: nobody waits for an earlier one any more.
    this.#orders.set(order.networkId, order);
    this.#sendOrders();
  }

  #sendOrders(): void {
    for (const [networkId, order] of this.#orders) {
      if (this.#closed || this.#isBehind()) return;
      this.#orders.delete(networkId);
      const header = { stateTimeMs: this.#options.stateTimeMs(), ...order };
      const frame = { kind: StreamFrame.check, header, body: new Uint8Array() };
      this.#controller?.enqueue(encodeFrame(frame));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelHeartbeat();
    this.#cancelDeadline();
    try {
      this.#controller?.close();
    } catch {
      // The reader has cancelled it already.
    }
    this.#onClose();
  }

  /** Whether something that was sent has not been read yet. */
  #isBehind(): boolean {
    return (this.#controller?.desiredSize ?? 0) < 0;
  }

  #scheduleDeadline(): Cancel {
    return this.#options.clock.schedule(PATIENCE_MS, () => this.close());
  }

  #scheduleHeartbeat(): Cancel {
    return this.#options.clock.schedule(HEARTBEAT_MS, () => {
      this.#cancelHeartbeat = this.#scheduleHeartbeat();
      if (this.#isBehind()) return;
      const header = { stateTimeMs: this.#options.stateTimeMs() };
      const frame = { kind: StreamFrame.heartbeat, header, body: new Uint8Array() };
      this.#controller?.enqueue(encodeFrame(frame));
    });
  }
}

function projectionFrames(
  projection: Projection,
  managers: readonly ManagerAddress[],
  header: Pick<ProjectionHeader, "revision" | "stateTimeMs">,
): Bytes[] {
  const body = encodeUtf8(JSON.stringify(projection));
  const parts = Math.ceil(body.length / PART_BYTES);
  const { digest } = projection;
  return Array.from({ length: parts }, (_, part) =>
    encodeFrame({
      kind: StreamFrame.projection,
      header: { ...header, digest, part, parts, managers: managers.map((one) => ({ ...one })) },
      body: body.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
    }));
}
