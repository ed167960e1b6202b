import type { Id } from "../base/mod.ts";
import type { Decide } from "./decision.ts";
import { everyHolder, newestEpoch, retire } from "./holders.ts";
import { reject } from "./rejected.ts";
import type { Tables } from "./tables.ts";
import type { BootKey, Network, NetworkKeys, Node, WaitingNumber } from "./types.ts";

/** So many epochs have tags of their own in SPIs; the seventh may not begin before the first is gone. */
const LIVE_EPOCHS_MAX = 6;

/** A network that is encrypted. */
type EncryptedNetwork = Network & { readonly keys: NetworkKeys };

export const rotateNetwork: Decide<"network.rotate"> = (tables, { id, epoch, secret }) => {
  const network = findEncrypted(tables, id);
  const { keys } = network;
  const newest = newestEpoch(keys);
  if (epoch !== newest + 1) {
    reject(
      "epoch-conflict",
      `The newest key of ${network.name} is that of epoch ${newest}: epoch ${epoch} cannot follow it`,
      { field: "/epoch", details: { newest } },
    );
  }
  if (epoch - oldestEpoch(keys) >= LIVE_EPOCHS_MAX) {
    reject(
      "epoch-conflict",
      `${network.name} has epochs from ${
        oldestEpoch(keys)
      } to ${newest}: the oldest has to end first`,
      { field: "/epoch", details: { newest } },
    );
  }
  return {
    commit: () => {
      const next: Network = {
        ...network,
        keys: {
          ...keys,
          epochs: [{ epoch, sinceMs: tables.timeMs }, ...keys.epochs],
          rotation: "by-interval",
        },
      };
      const secrets = new Map([[epoch, secret], ...tables.keys.secretsOf(id)]);
      tables.putNetwork(next);
      tables.keys.setSecrets(id, secrets);
      // Who has left keeps what it has, and gets nothing new.
      return { value: next, touched: { nodes: tables.networkIndex(id).nodes.keys() } };
    },
  };
};

export const retireEpochs: Decide<"network.retire"> = (tables, { id, epochs }) => {
  const network = findEncrypted(tables, id);
  const { keys } = network;
  const newest = newestEpoch(keys);
  if (epochs.includes(newest)) {
    reject(
      "epoch-conflict",
      `Epoch ${newest} of ${network.name} is its newest: it ends after the next has begun`,
      { field: "/epochs", details: { newest } },
    );
  }
  const retired = new Set(
    keys.epochs.map(({ epoch }) => epoch).filter((one) => epochs.includes(one)),
  );
  if (retired.size === 0) return { value: network };
  return {
    commit: () => {
      const next: Network = { ...network, keys: retire(keys, retired) };
      const secrets = [...tables.keys.secretsOf(id)].filter(([epoch]) => !retired.has(epoch));
      tables.putNetwork(next);
      tables.keys.setSecrets(id, new Map(secrets));
      return { value: next, touched: { nodes: keys.holders.map(({ nodeId }) => nodeId) } };
    },
  };
};

export const publishKey: Decide<"node.publish-key"> = (tables, { id, incarnation, bootKey }) => {
  const node = tables.nodes.get(id);
  if (node === undefined) reject("not-found", `There is no node ${id}`, { field: "/id" });
  const cluster = tables.requireCluster();
  if (incarnation !== cluster.incarnation) {
    reject(
      "stale-key",
      `The boot key of ${node.facts.hostname} is of another incarnation of the cluster: it has to make ` +
        "a new one",
      { field: "/incarnation" },
    );
  }
  const committed = node.bootKey;
  if (committed !== null) {
    const { publicKey, bootId } = bootKey;
    const same = committed.publicKey === publicKey;
    if (same && committed.bootId === bootId && committed.incarnation === incarnation) {
      return { value: { id } };
    }
    requireNewKey(node, committed, bootKey);
  }
  return {
    commit: (revision) => {
      tables.putNode({ ...node, bootKey: { ...bootKey, incarnation, revision }, revision });
      return { value: { id }, touched: { nodes: withSharedKeys(tables, id) } };
    },
  };
};

export const freeNumbers: Decide<"numbers.free"> = (tables, { slots, indexes, upTo }) => {
  const asked = [
    ...slots.map((number) => ({ kind: "slot" as const, number })),
    ...indexes.map((number) => ({ kind: "index" as const, number })),
  ];
  const found = new Set<WaitingNumber>();
  for (const one of asked) {
    const waiting = tables.keys.find(one);
    if (waiting !== undefined && waiting.revision <= upTo) found.add(waiting);
  }
  const value = { slots: numbersOf("slot", found), indexes: numbersOf("index", found) };
  if (found.size === 0) return { value };
  return {
    commit: () => {
      for (const waiting of found) tables.keys.endWait(waiting);
      // Their `goneUpTo` is another one.
      return { value, touched: { nodes: [...found].flatMap(({ nodes }) => nodes) } };
    },
  };
};

/**
 * Everybody whose projection shows a holder's boot key, and the holder itself. Those who have left a
 * network are shown the addresses of its holders only: see {@linkcode withSharedNetworks}.
 */
function withSharedKeys(tables: Tables, nodeId: Id): Set<Id> {
  const nodes = new Set<Id>([nodeId]);
  for (const networkId of tables.keys.heldBy(nodeId)) {
    for (const other of tables.networkIndex(networkId).nodes.keys()) nodes.add(other);
  }
  return nodes;
}

/** Everybody who has, or had, an encrypted network in common with the node, the node itself too. */
export function withSharedNetworks(tables: Tables, nodeId: Id): Set<Id> {
  const nodes = new Set<Id>([nodeId]);
  for (const networkId of tables.keys.heldBy(nodeId)) {
    const keys = tables.networks.get(networkId)?.keys ?? null;
    for (const other of keys === null ? [] : everyHolder(keys)) nodes.add(other);
  }
  return nodes;
}

/**
 * A boot key is used with one boot of one kernel, in one incarnation: else keys that have encrypted
 * would be derived again. An older report that comes late, or from a copy of the machine, changes
 * nothing.
 */
function requireNewKey(
  { facts: { hostname } }: Node,
  committed: BootKey,
  { publicKey, reportNumber }: Pick<BootKey, "publicKey" | "reportNumber">,
): void {
  if (committed.publicKey === publicKey) {
    reject(
      "stale-key",
      `${hostname} has used this boot key before, with another boot or in another incarnation: it has ` +
        "to make a new one",
      { field: "/bootKey/publicKey" },
    );
  }
  if (reportNumber <= committed.reportNumber) {
    reject(
      "stale-key",
      `Report ${reportNumber} of ${hostname} is not after ${committed.reportNumber}, with which its ` +
        "present boot key came: it is late, or the machine was copied or restored",
      { field: "/bootKey/reportNumber" },
    );
  }
}

function findEncrypted(tables: Tables, id: Id): EncryptedNetwork {
  const network = tables.networks.get(id);
  if (network === undefined) reject("not-found", `There is no network ${id}`, { field: "/id" });
  const { keys } = network;
  if (keys === null) {
    reject(
      "not-encrypted",
      `${network.name} is not encrypted: that is chosen when a network is made`,
      { field: "/id" },
    );
  }
  return { ...network, keys };
}

function oldestEpoch(keys: NetworkKeys): number {
  return Math.min(...keys.epochs.map(({ epoch }) => epoch));
}

function numbersOf(kind: WaitingNumber["kind"], all: ReadonlySet<WaitingNumber>): number[] {
  return [...all].filter((one) => one.kind === kind).map(({ number }) => number);
}
