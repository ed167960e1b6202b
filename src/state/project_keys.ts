import { type Id, present } from "../base/mod.ts";
import { holderOf } from "./holders.ts";
import type {
  InstalledEpochs,
  ProjectedEncryption,
  ProjectedHolder,
  RetainedNetwork,
} from "./projection.ts";
import type { Tables } from "./tables.ts";
import type { BootKey, KeyHolder, Network, NetworkKeys, Node } from "./types.ts";

/** What only the leader knows: who has told of which epochs. */
export interface InstalledSource {
  /**
   * Of the nodes that have an endpoint on the network, ordered by node. Who has told nothing to this
   * leader is left out: what it can receive is not known, which is not the same as nothing.
   * The same array each time, as long as nothing in it changes.
   */
  installed(networkId: Id): readonly InstalledEpochs[];
}

/** Where nobody has told anything. */
export const NOTHING_INSTALLED: InstalledSource = { installed: () => [] };

/** The boot key as far as it is of use. */
export function usableBootKey(tables: Tables, { bootKey }: Node): BootKey | null {
  return bootKey?.incarnation === tables.requireCluster().incarnation ? bootKey : null;
}

/** UDP port of an encrypted network. */
export function encryptedPort(tables: Tables, { slot }: NetworkKeys): number {
  return tables.requireCluster().settings.encryptedVxlanPortBase + slot;
}

/** What those who have an endpoint on the network see, its secrets with it. */
export function projectEncryption(
  tables: Tables,
  { id, keys }: Network,
): ProjectedEncryption | null {
  if (keys === null) return null;
  const secrets = tables.keys.secretsOf(id);
  return {
    slot: keys.slot,
    epochs: keys.epochs.map(({ epoch }) => ({
      epoch,
      secret: present(secrets.get(epoch), "The secret of an epoch"),
    })),
    holders: keys.holders.map((holder) => projectHolder(tables, holder)),
  };
}

/** What those see who have left networks: ordered by id, and no secret in it. */
export function projectRetained(tables: Tables, nodeId: Id): RetainedNetwork[] {
  const retained: RetainedNetwork[] = [];
  for (const networkId of [...tables.keys.heldBy(nodeId)].sort()) {
    const network = present(tables.networks.get(networkId), "The network of a holder");
    const keys = present(network.keys, "The keys of a network that has holders");
    const leftAtEpoch = holderOf(keys, nodeId)?.leftAtEpoch ?? null;
    if (leftAtEpoch === null) continue;
    const peers = keys.holders.filter((holder) => holder.nodeId !== nodeId);
    retained.push({
      id: networkId,
      slot: keys.slot,
      port: encryptedPort(tables, keys),
      epochs: keys.epochs.map(({ epoch }) => epoch).filter((epoch) => epoch <= leftAtEpoch),
      peers: peers.map((holder) => {
        const { index, facts } = nodeOf(tables, holder);
        return { nodeId: holder.nodeId, index, vtepAddress: facts.vtepAddress };
      }),
    });
  }
  return retained;
}

function projectHolder(tables: Tables, holder: KeyHolder): ProjectedHolder {
  const node = nodeOf(tables, holder);
  const bootKey = usableBootKey(tables, node);
  return {
    nodeId: node.id,
    index: node.index,
    vtepAddress: node.facts.vtepAddress,
    bootKey: bootKey?.publicKey ?? null,
    revision: Math.max(holder.since, node.underlayRevision, bootKey?.revision ?? 0),
    state: holder.leftAtEpoch === null ? "attached" : "left",
  };
}

function nodeOf(tables: Tables, { nodeId }: KeyHolder): Node {
  return present(tables.nodes.get(nodeId), "The node of a holder");
}

const texts = new WeakMap<readonly InstalledEpochs[], string>();

/** Canonical JSON of its items, separated by commas; made once for each array. */
export function installedText(installed: readonly InstalledEpochs[]): string {
  let text = texts.get(installed);
  if (text === undefined) {
    // Canonical by hand: keys in order, ids and whole numbers only.
    text = installed.map(({ networkId, nodeId, epochs, upTo }) =>
      `{"epochs":[${epochs.join()}],"networkId":"${networkId}","nodeId":"${nodeId}","upTo":${upTo}}`
    ).join();
    texts.set(installed, text);
  }
  return text;
}
