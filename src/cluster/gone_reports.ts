import type { Id } from "../base/mod.ts";
import type { ClusterState, CommandBodies, WaitingNumber } from "../state/mod.ts";

/** The one that is on its way, the one before it, and those of a second stream. */
const KEPT_DIGESTS = 8;
/** One command takes no longer list. */
const MAX_FREED = 1024;

/**
 * Who has said that SAs of networks and nodes that went are gone. A node says so by reporting that it
 * has applied a projection whose `goneUpTo` is not before their revision: whatever was to go then, is
 * not in that projection.
 */
export class GoneReports {
  /** Of the projections that were sent last, by digest. */
  readonly #sent = new Map<Id, Map<string, number>>();
  readonly #applied = new Map<Id, number>();

  /** A projection goes out. */
  sent(nodeId: Id, digest: string, goneUpTo: number): void {
    const ofNode = this.#sent.get(nodeId) ?? new Map<string, number>();
    this.#sent.set(nodeId, ofNode);
    // As the newest.
    ofNode.delete(digest);
    ofNode.set(digest, goneUpTo);
    for (const oldest of ofNode.keys()) {
      if (ofNode.size <= KEPT_DIGESTS) break;
      ofNode.delete(oldest);
    }
  }

  /** The kernel has all of it. Gives whether that is news. */
  applied(nodeId: Id, digest: string | null): boolean {
    const goneUpTo = digest === null ? undefined : this.#sent.get(nodeId)?.get(digest);
    if (goneUpTo === undefined || goneUpTo <= (this.#applied.get(nodeId) ?? 0)) return false;
    this.#applied.set(nodeId, goneUpTo);
    return true;
  }

  /** The node is no member any more. */
  forget(nodeId: Id): void {
    this.#sent.delete(nodeId);
    this.#applied.delete(nodeId);
  }

  /** What may be used again, or null: everybody it waits for has said so. */
  free(state: ClusterState): CommandBodies["numbers.free"] | null {
    const free: WaitingNumber[] = [];
    for (const waiting of state.waitingNumbers) {
      const { nodes, revision } = waiting;
      if (nodes.every((nodeId) => (this.#applied.get(nodeId) ?? 0) >= revision)) free.push(waiting);
      if (free.length === MAX_FREED) break;
    }
    if (free.length === 0) return null;
    const numbers = (kind: WaitingNumber["kind"]) =>
      free.filter((one) => one.kind === kind).map(({ number }) => number);
    return { slots: numbers("slot"), indexes: numbers("index"), upTo: state.revision };
  }
}
