import { equalBytes, type Id } from "../../base/mod.ts";
import { encodeParty, epochTag, keySalt } from "../../esp/mod.ts";
import {
  type Desired,
  type DesiredEncryption,
  type DesiredHost,
  type DesiredNetwork,
  type DesiredRetained,
  isSameList,
  isSamePeer,
} from "../desired.ts";
import { type PeerWant, type Self, type SlotOfSas, wantPeer, WantReader } from "./peer_want.ts";
import { type AddressKey, addressKey } from "./picture.ts";

/** What there should be of one slot: of a network, or of one that this host has left. */
export interface SlotWant {
  readonly networkId: Id;
  /** Null: it was left, and what is there of its SAs stays. */
  readonly network: DesiredNetwork | null;
  readonly slot: number;
  readonly port: number;
  readonly self: Self;
  /** Newest first. */
  readonly epochs: readonly number[];
  /** Epochs by the tags that SPIs have. */
  readonly tags: ReadonlyMap<number, number>;
  readonly peers: ReadonlyMap<Id, PeerWant>;
  readonly byIndex: ReadonlyMap<number, PeerWant>;
  /** Where two have one address (a host that has joined anew), the one that is attached. */
  readonly byAddress: ReadonlyMap<AddressKey, PeerWant>;
}

/** What has to be looked at again because of a newer desired state: all of a slot, or some peers. */
export type WantChange = "all" | ReadonlySet<Id>;

/** What there should be of each slot, and how it differs from what should have been before. */
export interface Wants {
  readonly slots: ReadonlyMap<number, SlotWant>;
  readonly byNetwork: ReadonlyMap<Id, SlotWant>;
}

/** Nothing. */
export const NO_WANTS: Wants = { slots: new Map(), byNetwork: new Map() };

/**
 * Arranges a desired state by slots. What has not changed since the last one is the same object, so that
 * only what differs is looked at again.
 *
 * @returns the changes, by network
 */
export function updateWants(
  before: Wants,
  desired: Desired,
): { readonly wants: Wants; readonly changes: ReadonlyMap<Id, WantChange> } {
  const slots = new Map<number, SlotWant>();
  const byNetwork = new Map<Id, SlotWant>();
  const changes = new Map<Id, WantChange>();
  const reader = new WantReader();
  const self = wantSelf(desired.host, reader);
  const add = (want: SlotWant, change: WantChange | null) => {
    slots.set(want.slot, want);
    byNetwork.set(want.networkId, want);
    if (change !== null) changes.set(want.networkId, change);
  };
  for (const network of desired.networks) {
    if (network.encryption === null) continue;
    const old = before.byNetwork.get(network.id) ?? null;
    const { want, change } = wantNetwork(old, network, network.encryption, self, reader);
    add(want, change);
  }
  for (const retained of desired.retained) {
    const old = before.byNetwork.get(retained.id) ?? null;
    const want = wantRetained(retained, self, reader);
    add(want, old !== null && isSameRetained(old, want) ? null : "all");
  }
  for (const id of before.byNetwork.keys()) if (!byNetwork.has(id)) changes.set(id, "all");
  return { wants: { slots, byNetwork }, changes };
}

function wantSelf(host: DesiredHost, reader: WantReader): Self {
  const address = reader.address(host.vtepAddress);
  const { nodeId, bootPublicKey } = host;
  const party = bootPublicKey === null ? null : encodeParty({ id: nodeId, bootPublicKey });
  return { host, address, key: addressKey(address), party };
}

function wantNetwork(
  old: SlotWant | null,
  network: DesiredNetwork,
  { slot, epochs: liveEpochs, peers: desiredPeers }: DesiredEncryption,
  self: Self,
  reader: WantReader,
): { readonly want: SlotWant; readonly change: WantChange | null } {
  const epochs = liveEpochs.map(({ epoch }) => epoch);
  const draft = { networkId: network.id, network, slot, port: network.port, self, epochs };
  const sameHost = old !== null && isSameHost(old.self.host, self.host);
  const reusable = sameHost && isSameButPeers(old, draft);
  const { clusterId, incarnation } = self.host;
  const peers: PeerWant[] = [];
  let of: SlotOfSas | null = null;
  let fresh = 0;
  for (const desired of desiredPeers) {
    const known = old?.peers.get(desired.nodeId) ?? null;
    if (reusable && known?.desired && isSamePeer(known.desired, desired)) {
      peers.push(known);
      continue;
    }
    fresh++;
    of ??= { ...draft, salt: keySalt({ clusterId, incarnation, networkId: network.id }) };
    peers.push(wantPeer(of, desired, reader, sameHost ? known : null));
  }
  if (reusable && fresh === 0 && peers.length === old.peers.size) {
    const { tags, peers, byIndex, byAddress } = old;
    return { want: { ...draft, tags, peers, byIndex, byAddress }, change: null };
  }
  const want = { ...draft, ...indexes(epochs, peers) };
  return { want, change: reusable ? changedPeers(old, want) : "all" };
}

function wantRetained(retained: DesiredRetained, self: Self, reader: WantReader): SlotWant {
  const { id, slot, port, epochs } = retained;
  const peers = retained.peers.map(({ nodeId, index, vtepAddress }): PeerWant => ({
    nodeId,
    index,
    address: reader.address(vtepAddress),
    desired: null,
    attached: false,
    sas: [],
  }));
  return { networkId: id, network: null, slot, port, self, epochs, ...indexes(epochs, peers) };
}

type Draft = Pick<SlotWant, "slot" | "port" | "epochs">;

function indexes(
  epochs: readonly number[],
  peers: readonly PeerWant[],
): Pick<SlotWant, "tags" | "peers" | "byIndex" | "byAddress"> {
  const byNode = new Map<Id, PeerWant>();
  const byIndex = new Map<number, PeerWant>();
  const byAddress = new Map<AddressKey, PeerWant>();
  for (const peer of peers) {
    byNode.set(peer.nodeId, peer);
    byIndex.set(peer.index, peer);
    const key = addressKey(peer.address);
    const other = byAddress.get(key);
    if (other === undefined || rank(peer) > rank(other)) byAddress.set(key, peer);
  }
  const tags = new Map(epochs.map((epoch) => [epochTag(epoch), epoch]));
  return { tags, peers: byNode, byIndex, byAddress };
}

function rank({ attached, desired }: PeerWant): number {
  return (attached ? 2 ** 52 : 0) + (desired?.revision ?? 0);
}

function isSameButPeers(old: SlotWant, draft: Draft): boolean {
  return old.network !== null && old.slot === draft.slot && old.port === draft.port &&
    isSameList(old.epochs, draft.epochs);
}

function isSameRetained(old: SlotWant, want: SlotWant): boolean {
  return old.network === null && old.slot === want.slot && old.port === want.port &&
    isSameHost(old.self.host, want.self.host) && isSameList(old.epochs, want.epochs) &&
    old.peers.size === want.peers.size &&
    [...want.peers.values()].every((peer) => {
      const known = old.peers.get(peer.nodeId);
      return known?.index === peer.index && known.address.equals(peer.address);
    });
}

function isSameHost(left: DesiredHost, right: DesiredHost): boolean {
  return left.clusterId === right.clusterId && left.incarnation === right.incarnation &&
    left.nodeId === right.nodeId && left.index === right.index &&
    left.vtepAddress === right.vtepAddress && isSameKey(left.bootPublicKey, right.bootPublicKey);
}

function isSameKey(left: Uint8Array | null, right: Uint8Array | null): boolean {
  return left === right || (left !== null && right !== null && equalBytes(left, right));
}

/** Null when none has; "all" when one has gone, or moved: then something may be left of it. */
function changedPeers(old: SlotWant, want: SlotWant): WantChange | null {
  const changed = new Set<Id>();
  let kept = 0;
  for (const peer of want.peers.values()) {
    const known = old.peers.get(peer.nodeId);
    if (known !== undefined) kept++;
    if (known === peer) continue;
    if (
      known !== undefined && (!known.address.equals(peer.address) || known.index !== peer.index)
    ) {
      return "all";
    }
    changed.add(peer.nodeId);
  }
  // Two of one address stand in each other's way.
  if (kept < old.peers.size || want.byAddress.size < want.peers.size) return "all";
  return changed.size === 0 ? null : changed;
}
