import { equalBytes, type Id, IpAddress } from "../../base/mod.ts";
import {
  contextDigest,
  encodeSpi,
  epochTag,
  type Installation,
  type KeyContext,
  keyContext,
} from "../../esp/mod.ts";
import type { Desired, DesiredHost, DesiredNetwork, DesiredPeer } from "../desired.ts";
import { type AddressKey, addressKey } from "./picture.ts";
import type { SaToMake } from "./operation.ts";

/** This host, as SAs name it. */
export interface Self {
  readonly host: DesiredHost;
  readonly address: IpAddress;
  readonly key: AddressKey;
}

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

/** Another host of a slot. */
export interface PeerWant {
  readonly nodeId: Id;
  readonly index: number;
  readonly address: IpAddress;
  /** Null: the network was left. */
  readonly desired: DesiredPeer | null;
  /** Packets go to it, and come from it. */
  readonly attached: boolean;
  /** Both ways of each epoch, newest first; empty for a network that was left. */
  readonly sas: readonly SaWant[];
}

/** An SA that should be there. */
export class SaWant implements SaToMake {
  readonly slot: number;
  readonly port: number;
  readonly epoch: number;
  readonly peer: Id;
  readonly direction: "in" | "out";
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: number;
  /** Null: the boot key of one of the two is not known. */
  readonly #context: (() => KeyContext) | null;
  readonly #network: Id;
  #installation: Installation | null = null;

  constructor(place: SaToMake, network: Id, context: (() => KeyContext) | null) {
    this.slot = place.slot;
    this.port = place.port;
    this.epoch = place.epoch;
    this.peer = place.peer;
    this.direction = place.direction;
    this.source = place.source;
    this.destination = place.destination;
    this.spi = place.spi;
    this.#network = network;
    this.#context = context;
  }

  /** What its key is derived from, beside the secrets. */
  get context(): KeyContext | null {
    return this.#context?.() ?? null;
  }

  /** What its record in the journal says; null while the boot key of one of the two is not known. */
  get installation(): Installation | null {
    if (this.#installation === null && this.#context !== null) {
      const { direction, peer, epoch, spi } = this;
      const context = contextDigest(this.#context());
      this.#installation = { direction, peer, network: this.#network, epoch, spi, context };
    }
    return this.#installation;
  }
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
  const parse = addressParser();
  const address = parse(desired.host.vtepAddress);
  const self: Self = { host: desired.host, address, key: addressKey(address) };
  const add = (want: SlotWant, change: WantChange | null) => {
    slots.set(want.slot, want);
    byNetwork.set(want.networkId, want);
    if (change !== null) changes.set(want.networkId, change);
  };
  for (const network of desired.networks) {
    const { encryption } = network;
    if (encryption === null) continue;
    const old = before.byNetwork.get(network.id) ?? null;
    const epochs = encryption.epochs.map(({ epoch }) => epoch);
    const draft = { networkId: network.id, network, slot: encryption.slot, port: network.port };
    const reusable = old !== null && isSameButPeers(old, { ...draft, self, epochs });
    const sameHost = old !== null && isSameHost(old.self.host, self.host);
    const peers = encryption.peers.map((peer) => {
      const known = old?.peers.get(peer.nodeId) ?? null;
      if (reusable && known !== null && known.desired !== null && isSamePeer(known.desired, peer)) {
        return known;
      }
      return livePeer({ ...draft, self, epochs }, peer, parse, sameHost ? known : null);
    });
    const want = { ...draft, self, epochs, ...indexes(epochs, peers) };
    add(want, reusable ? changedPeers(old, want) : "all");
  }
  for (const retained of desired.retained) {
    const old = before.byNetwork.get(retained.id) ?? null;
    const { slot, port, epochs } = retained;
    const draft = { networkId: retained.id, network: null, slot, port, self, epochs };
    const peers = retained.peers.map(({ nodeId, index, vtepAddress }): PeerWant => ({
      nodeId,
      index,
      address: parse(vtepAddress),
      desired: null,
      attached: false,
      sas: [],
    }));
    const want = { ...draft, ...indexes(epochs, peers) };
    add(want, old !== null && isSameRetained(old, want) ? null : "all");
  }
  for (const id of before.byNetwork.keys()) if (!byNetwork.has(id)) changes.set(id, "all");
  return { wants: { slots, byNetwork }, changes };
}

/** A few addresses stand in thousands of places. */
function addressParser(): (text: string) => IpAddress {
  const parsed = new Map<string, IpAddress>();
  return (text) => {
    const found = parsed.get(text);
    if (found !== undefined) return found;
    const address = IpAddress.parse(text);
    parsed.set(text, address);
    return address;
  };
}

type Draft = Pick<SlotWant, "networkId" | "network" | "slot" | "port" | "self" | "epochs">;

function livePeer(
  draft: Draft,
  desired: DesiredPeer,
  parse: (text: string) => IpAddress,
  known: PeerWant | null,
): PeerWant {
  const { nodeId, index, vtepAddress, state } = desired;
  const address = parse(vtepAddress);
  const sas = draft.epochs.flatMap((epoch) =>
    (["out", "in"] as const).map((direction) => {
      const made = makeSa(draft, desired, address, epoch, direction);
      const same = known?.sas.find((one) => one.epoch === epoch && one.direction === direction);
      // A digest costs more than all the rest of it.
      return same !== undefined && isSameSa(same, made, known?.desired ?? null, desired)
        ? same
        : made;
    })
  );
  return { nodeId, index, address, desired, attached: state === "attached", sas };
}

function makeSa(
  { networkId, slot, port, self }: Draft,
  peer: DesiredPeer,
  address: IpAddress,
  epoch: number,
  direction: "in" | "out",
): SaWant {
  const { clusterId, incarnation, nodeId, index, bootPublicKey } = self.host;
  const out = direction === "out";
  const place: SaToMake = {
    slot,
    port,
    epoch,
    direction,
    peer: peer.nodeId,
    source: out ? self.address : address,
    destination: out ? address : self.address,
    spi: encodeSpi({ epoch, slot, sender: out ? index : peer.index }),
  };
  if (bootPublicKey === null || peer.bootPublicKey === null) {
    return new SaWant(place, networkId, null);
  }
  const own = { id: nodeId, bootPublicKey };
  const other = { id: peer.nodeId, bootPublicKey: peer.bootPublicKey };
  const [sender, receiver] = out ? [own, other] : [other, own];
  return new SaWant(
    place,
    networkId,
    () => keyContext({ clusterId, incarnation, networkId, epoch, sender, receiver }),
  );
}

/** Whether the digest of the one is that of the other, this host being the same. */
function isSameSa(
  left: SaWant,
  right: SaWant,
  before: DesiredPeer | null,
  after: DesiredPeer,
): boolean {
  return before !== null && left.spi === right.spi && left.port === right.port &&
    left.source.equals(right.source) && left.destination.equals(right.destination) &&
    isSameKey(before.bootPublicKey, after.bootPublicKey);
}

function indexes(
  epochs: readonly number[],
  peers: readonly PeerWant[],
): Pick<SlotWant, "tags" | "peers" | "byIndex" | "byAddress"> {
  const byAddress = new Map<AddressKey, PeerWant>();
  for (const peer of peers) {
    const key = addressKey(peer.address);
    const other = byAddress.get(key);
    if (other === undefined || rank(peer) > rank(other)) byAddress.set(key, peer);
  }
  return {
    tags: new Map(epochs.map((epoch) => [epochTag(epoch), epoch])),
    peers: new Map(peers.map((peer) => [peer.nodeId, peer])),
    byIndex: new Map(peers.map((peer) => [peer.index, peer])),
    byAddress,
  };
}

function rank({ attached, desired }: PeerWant): number {
  return (attached ? 2 ** 52 : 0) + (desired?.revision ?? 0);
}

function isSameButPeers(old: SlotWant, draft: Draft): boolean {
  return old.network !== null && old.slot === draft.slot && old.port === draft.port &&
    isSameHost(old.self.host, draft.self.host) && isSameList(old.epochs, draft.epochs);
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

function isSamePeer(left: DesiredPeer, right: DesiredPeer): boolean {
  return left.index === right.index && left.vtepAddress === right.vtepAddress &&
    left.state === right.state && left.revision === right.revision &&
    isSameList(left.receives ?? UNKNOWN, right.receives ?? UNKNOWN) &&
    isSameKey(left.bootPublicKey, right.bootPublicKey);
}

const UNKNOWN: readonly number[] = [-1];

function isSameKey(left: Uint8Array | null, right: Uint8Array | null): boolean {
  return left === right || (left !== null && right !== null && equalBytes(left, right));
}

function isSameList(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((one, place) => one === right[place]);
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
