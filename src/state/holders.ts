import { type Id, present } from "../base/mod.ts";
import type { KeyHolder, NetworkKeys } from "./types.ts";

/**
 * Who may have SAs of an encrypted network, from the first endpoint of a node on it until nothing of it
 * can be left:
 *
 *     nobody ─► attached ◄─► left ─► former ─► (the network is deleted, and the node says: gone)
 *                  ▲                   │
 *                  └───────────────────┘
 *
 * `left`: its SAs stay in its kernel, for a key is never installed twice, and its endpoint may come back.
 * `former`: the epochs of its time have retired, so it is told to delete them; whether it has done so is
 * not known, for it may be switched off.
 */

/** The holder that a node is, or null. */
export function holderOf({ holders }: NetworkKeys, nodeId: Id): KeyHolder | null {
  let low = 0;
  let high = holders.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (idAt(holders, middle) < nodeId) low = middle + 1;
    else high = middle;
  }
  const found = holders[low];
  return found?.nodeId === nodeId ? found : null;
}

/** The newest epoch: there always is one. */
export function newestEpoch({ epochs }: NetworkKeys): number {
  return present(epochs[0], "The newest epoch").epoch;
}

/** Whoever may still have SAs of it. */
export function everyHolder({ holders, formerHolders }: NetworkKeys): Id[] {
  return [...holders.map(({ nodeId }) => nodeId), ...formerHolders];
}

/** These nodes have an endpoint on it now, and had none. */
export function attach(keys: NetworkKeys, nodeIds: ReadonlySet<Id>, revision: number): NetworkKeys {
  const others = keys.holders.filter(({ nodeId }) => !nodeIds.has(nodeId));
  const attached = [...nodeIds].map((nodeId) => ({ nodeId, since: revision, leftAtEpoch: null }));
  return {
    ...keys,
    holders: byNode([...others, ...attached]),
    formerHolders: keys.formerHolders.filter((nodeId) => !nodeIds.has(nodeId)),
  };
}

/** The last endpoints of these nodes on it went. */
export function leave(keys: NetworkKeys, nodeIds: ReadonlySet<Id>): NetworkKeys {
  const leftAtEpoch = newestEpoch(keys);
  return {
    ...keys,
    holders: keys.holders.map((holder) =>
      nodeIds.has(holder.nodeId) ? { ...holder, leftAtEpoch } : holder
    ),
  };
}

/** The node is no member any more: what it knows has to be of no use as soon as it may. */
export function remove(keys: NetworkKeys, nodeId: Id): NetworkKeys {
  const known = holderOf(keys, nodeId) !== null;
  return {
    ...keys,
    holders: keys.holders.filter((holder) => holder.nodeId !== nodeId),
    formerHolders: keys.formerHolders.filter((id) => id !== nodeId),
    rotation: known ? "due" : keys.rotation,
  };
}

/** Epochs end; so do holders of which none of their time lives any more. */
export function retire(keys: NetworkKeys, retired: ReadonlySet<number>): NetworkKeys {
  const epochs = keys.epochs.filter(({ epoch }) => !retired.has(epoch));
  const oldest = present(epochs.at(-1), "The oldest epoch").epoch;
  const isGone = ({ leftAtEpoch }: KeyHolder) => leftAtEpoch !== null && leftAtEpoch < oldest;
  const gone = keys.holders.filter(isGone).map(({ nodeId }) => nodeId);
  return {
    ...keys,
    epochs,
    holders: keys.holders.filter((holder) => !isGone(holder)),
    formerHolders: [...keys.formerHolders, ...gone].sort(),
  };
}

function byNode(holders: readonly KeyHolder[]): KeyHolder[] {
  return [...holders].sort((left, right) => left.nodeId < right.nodeId ? -1 : 1);
}

function idAt(holders: readonly KeyHolder[], place: number): Id {
  return present(holders[place], "A holder").nodeId;
}
