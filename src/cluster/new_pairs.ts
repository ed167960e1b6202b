import type { Cancel, Clock, Id } from "../base/mod.ts";
import type { ClusterState, InstalledSource, NetworkKeys } from "../state/mod.ts";

const TICK_MS = 1_000;
/** So often in a row all has to be as it should be: what members have told has reached the others then. */
const SETTLED_TICKS = 2;
/** Those who are not ready by then are checked as they are. */
const PATIENCE_TICKS = 30;

/** What {@linkcode NewPairs} needs. */
export interface NewPairsOptions {
  readonly clock: Clock;
  readonly state: () => ClusterState;
  /** What members have told of their SAs. */
  readonly installed: () => InstalledSource;
  /** Whether a node's stream is open here: only the leader has any. */
  readonly isConnected: (nodeId: Id) => boolean;
  /** Hosts are new on an encrypted network, and ready to talk. */
  readonly onNew: (networkId: Id, nodeIds: readonly Id[]) => void;
}

interface Waiting {
  readonly nodeIds: Set<Id>;
  ticks: number;
  settledTicks: number;
}

/**
 * Notices when pairs of hosts first share an encrypted network: so they are checked before somebody has to
 * find out that they cannot talk. Those that shared one before this began are known.
 */
export class NewPairs {
  readonly #options: NewPairsOptions;
  readonly #known = new Map<Id, Set<Id>>();
  readonly #waiting = new Map<Id, Waiting>();
  #cancel: Cancel | null = null;
  #hasLooked = false;

  constructor(options: NewPairsOptions) {
    this.#options = options;
  }

  /** Looks each second, as long as there are encrypted networks. */
  begin(): void {
    if (!this.#hasLooked) this.#look();
    if (this.#cancel !== null || !this.#isNeeded()) return;
    this.#cancel = this.#options.clock.schedule(TICK_MS, () => {
      this.#cancel = null;
      this.#look();
      this.begin();
    });
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = () => {};
  }

  #isNeeded(): boolean {
    for (const { keys } of this.#options.state().networks.values()) if (keys !== null) return true;
    return false;
  }

  #look(): void {
    const { state, isConnected, onNew } = this.#options;
    const { networks } = state();
    for (const id of this.#known.keys()) {
      if (networks.has(id)) continue;
      this.#known.delete(id);
      this.#waiting.delete(id);
    }
    for (const [id, { keys }] of networks) {
      if (keys === null) continue;
      const attached = attachedTo(keys);
      const known = this.#known.get(id) ?? new Set();
      this.#known.set(id, known);
      for (const nodeId of attached) {
        if (known.has(nodeId)) continue;
        known.add(nodeId);
        if (!this.#hasLooked || !attached.some(isConnected)) continue;
        const waiting = this.#waiting.get(id) ?? { nodeIds: new Set(), ticks: 0, settledTicks: 0 };
        this.#waiting.set(id, waiting);
        waiting.nodeIds.add(nodeId);
      }
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) continue;
      waiting.ticks++;
      waiting.settledTicks = this.#isSettled(id, keys) ? waiting.settledTicks + 1 : 0;
      if (waiting.settledTicks < SETTLED_TICKS && waiting.ticks < PATIENCE_TICKS) continue;
      this.#waiting.delete(id);
      if (attached.length > 1) onNew(id, [...waiting.nodeIds]);
    }
    this.#hasLooked = true;
  }

  /** Whether all can receive from all with the newest epoch, as they have told. */
  #isSettled(id: Id, keys: NetworkKeys): boolean {
    const newest = keys.epochs[0]?.epoch ?? 0;
    const since = Math.max(0, ...keys.holders.map((holder) => holder.since));
    const told = new Map(
      this.#options.installed().installed(id).map((one) => [one.nodeId, one]),
    );
    return attachedTo(keys).every((nodeId) => {
      const one = told.get(nodeId);
      return one !== undefined && one.upTo >= since && one.epochs.includes(newest);
    });
  }
}

function attachedTo({ holders }: NetworkKeys): readonly Id[] {
  return holders.filter(({ leftAtEpoch }) => leftAtEpoch === null).map(({ nodeId }) => nodeId);
}
