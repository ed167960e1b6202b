import {
  type Bytes,
  Cidr,
  decodeBase64url,
  type Id,
  type MacText,
  SecretBytes,
} from "../base/mod.ts";
import type {
  ProjectedEndpoint,
  ProjectedHolder,
  ProjectedNetwork,
  Projection,
} from "../state/mod.ts";
import type { Target } from "./host.ts";
import { KeptList, type Making } from "./kept_list.ts";

/** An endpoint on another host. */
export interface RemoteEndpoint {
  /** Its address in the network. */
  readonly ip: string;
  /** Its Ethernet address. */
  readonly mac: MacText;
  /** Underlay address of its host. */
  readonly vtepAddress: string;
}

/** What an endpoint of this host is attached to; known on the host only. */
export interface LocalAttachment {
  /** Which endpoint. */
  readonly endpointId: Id;
  /** Its network. */
  readonly networkId: Id;
  /** The workload. */
  readonly target: Target;
  /** Name of the interface in the workload; null: the first `ethN` that is free. */
  readonly interfaceName: string | null;
}

/** All that this host should have in its kernel. */
export interface Desired {
  /** This host. */
  readonly host: DesiredHost;
  /** Ordered by id. */
  readonly networks: readonly DesiredNetwork[];
  /** In the order in which interfaces are made, so that `eth0` is the first that was asked for. */
  readonly endpoints: readonly DesiredEndpoint[];
  /** Ordered by id. */
  readonly retained: readonly DesiredRetained[];
}

/** A network on which this host has an endpoint. */
export interface DesiredNetwork {
  /** Its id in the cluster's state. */
  readonly id: Id;
  /** Names the sandbox's namespace. */
  readonly name: string;
  /** VXLAN network identifier. */
  readonly vni: number;
  /** UDP port of the VXLAN device. */
  readonly port: number;
  /** Underlay address of this host. */
  readonly vtepAddress: string;
  /** The largest packet of a workload. */
  readonly mtuBytes: number;
  /** Its packets leave the host in ESP only, by this; null: in the clear. */
  readonly encryption: DesiredEncryption | null;
  /** Endpoints on other hosts, ordered by id. */
  readonly remotes: readonly RemoteEndpoint[];
}

/** Another host with which this one has, or may still have, SAs of a network. */
export interface DesiredPeer {
  /** Which node. */
  readonly nodeId: Id;
  /** Its part of SPIs. */
  readonly index: number;
  /** Its underlay address. */
  readonly vtepAddress: string;
  /**
   * Public half of its boot key, base64url; null: it has none (yet), so there are no SAs with it. Text, for it
   * is compared by the thousand each time, and used once.
   */
  readonly bootKey: string | null;
  /** `left`: what is there of SAs stays, and nothing is sent to it. */
  readonly state: "attached" | "left";
  /**
   * Epochs of which it has told that it can receive from this host as this host is now. Null: not known, for
   * the leader is new and has not heard of it yet.
   */
  readonly receives: readonly number[] | null;
  /** Of its last change. */
  readonly revision: number;
}

/** How a network is encrypted. */
export interface DesiredEncryption {
  /** 0 … 8191. */
  readonly slot: number;
  /** Newest first. */
  readonly epochs: readonly { readonly epoch: number; readonly secret: SecretBytes }[];
  /** Ordered by node. */
  readonly peers: readonly DesiredPeer[];
  /** The highest revision of any holder in it: what has been heard of. */
  readonly upTo: number;
}

/** An encrypted network that this host has left: SAs of these stay, and the blocks. */
export interface DesiredRetained {
  /** Which network. */
  readonly id: Id;
  /** 0 … 8191. */
  readonly slot: number;
  /** UDP port. */
  readonly port: number;
  /** Newest first. */
  readonly epochs: readonly number[];
  /** Ordered by node. */
  readonly peers: readonly Pick<DesiredPeer, "nodeId" | "index" | "vtepAddress">[];
}

/** What keys of this host are derived from, beside networks' secrets and boot keys. */
export interface DesiredHost {
  /** The cluster. */
  readonly clusterId: Id;
  /** Another one after a restore. */
  readonly incarnation: Id;
  /** This node. */
  readonly nodeId: Id;
  /** Its part of SPIs. */
  readonly index: number;
  /** Its underlay address. */
  readonly vtepAddress: string;
  /** Its own boot key's public half as the managers have committed it, or null. */
  readonly bootPublicKey: Bytes | null;
}

/** An endpoint of this host with what it is attached to. */
export interface DesiredEndpoint {
  /** Its id in the cluster's state. */
  readonly id: Id;
  /** The network it is on. */
  readonly networkId: Id;
  /** Its address in the network. */
  readonly ip: string;
  /** Of the network's subnet. */
  readonly prefixLength: number;
  /** Its Ethernet address. */
  readonly mac: MacText;
  /** The network's. */
  readonly mtuBytes: number;
  /** The workload. */
  readonly target: Target;
  /** As {@linkcode LocalAttachment} says. */
  readonly interfaceName: string | null;
}

/**
 * Joins what the cluster wants with what this host knows: a network for each that the projection
 * has, an endpoint for each attachment that the projection confirms. An attachment whose endpoint is
 * not in the projection (not yet, or no longer) has no address, so it is left out.
 *
 * @param before an earlier one: remote endpoints and peers that it has are the same objects, so that who
 *   compares the two need not look into them
 */
export function buildDesired(
  projection: Projection,
  attachments: readonly LocalAttachment[],
  before: Desired | null = null,
): Desired {
  const { node } = projection;
  const known = new Map(before?.networks.map((network) => [network.id, network]));
  const local = new Map<Id, { network: ProjectedNetwork; endpoint: ProjectedEndpoint }>();
  const networks: DesiredNetwork[] = [];
  const installed = installedOf(projection);
  for (const network of projection.networks) {
    const old = known.get(network.id) ?? null;
    const remotes = new KeptList(old?.remotes ?? [], REMOTES);
    for (const endpoint of network.endpoints) {
      if (endpoint.nodeId === node.id) local.set(endpoint.id, { network, endpoint });
      else remotes.add(endpoint);
    }
    const { id, name, vni, port, mtuBytes } = network;
    networks.push({
      id,
      name,
      vni,
      port,
      mtuBytes,
      encryption: encryptionOf(
        projection,
        network,
        installed.get(network.id) ?? NOTHING_INSTALLED,
        old?.encryption?.peers ?? [],
      ),
      vtepAddress: node.vtepAddress,
      remotes: remotes.all,
    });
  }
  const endpoints: DesiredEndpoint[] = [];
  for (const { endpointId, networkId, target, interfaceName } of attachments) {
    const found = local.get(endpointId);
    if (found === undefined || found.network.id !== networkId) continue;
    const { network, endpoint } = found;
    endpoints.push({
      id: endpointId,
      networkId: network.id,
      ip: endpoint.ip,
      prefixLength: Cidr.parse(network.subnet).prefixLength,
      mac: endpoint.mac,
      mtuBytes: network.mtuBytes,
      target,
      interfaceName,
    });
  }
  const { clusterId, incarnation, retained } = projection;
  const host: DesiredHost = {
    clusterId,
    incarnation,
    nodeId: node.id,
    index: node.index,
    vtepAddress: node.vtepAddress,
    bootPublicKey: decodeKey(node.bootKey),
  };
  return { host, networks, endpoints, retained };
}

/** What a node has told of a network. */
type Installed = Projection["installed"][number];

const NOTHING_INSTALLED: ReadonlyMap<Id, Installed> = new Map();

/** By network and node. */
function installedOf({ installed }: Projection): ReadonlyMap<Id, ReadonlyMap<Id, Installed>> {
  const byNetwork = new Map<Id, Map<Id, Installed>>();
  for (const one of installed) {
    const ofNetwork = byNetwork.get(one.networkId);
    if (ofNetwork !== undefined) ofNetwork.set(one.nodeId, one);
    else byNetwork.set(one.networkId, new Map([[one.nodeId, one]]));
  }
  return byNetwork;
}

function encryptionOf(
  { node }: Projection,
  { encryption }: ProjectedNetwork,
  installed: ReadonlyMap<Id, Installed>,
  before: readonly DesiredPeer[],
): DesiredEncryption | null {
  if (encryption === null) return null;
  const own = encryption.holders.find(({ nodeId }) => nodeId === node.id);
  const receives = (nodeId: Id): readonly number[] | null => {
    const told = installed.get(nodeId);
    if (own === undefined || told === undefined) return null;
    // Who has not heard of this host as it is now cannot receive from it, whatever it has.
    return told.upTo >= own.revision ? told.epochs : NOTHING;
  };
  const peers = new KeptList<ProjectedHolder, DesiredPeer>(before, {
    isOf: (peer, holder) =>
      isSameHolder(peer, holder) && isSameReceiver(peer.receives, receives(holder.nodeId)),
    make: ({ nodeId, index, vtepAddress, bootKey, state, revision }) => ({
      nodeId,
      index,
      vtepAddress,
      bootKey,
      state,
      receives: receives(nodeId),
      revision,
    }),
  });
  let highest = 0;
  for (const holder of encryption.holders) {
    highest = Math.max(highest, holder.revision);
    if (holder.nodeId !== node.id) peers.add(holder);
  }
  return {
    slot: encryption.slot,
    epochs: encryption.epochs.map(({ epoch, secret }) => ({
      epoch,
      secret: new SecretBytes(decodeBase64url(secret)),
    })),
    peers: peers.all,
    upTo: highest,
  };
}

const REMOTES: Making<ProjectedEndpoint, RemoteEndpoint> = {
  isOf: (remote, { ip, mac, vtepAddress }) =>
    remote.ip === ip && remote.mac === mac && remote.vtepAddress === vtepAddress,
  make: ({ ip, mac, vtepAddress }) => ({ ip, mac, vtepAddress }),
};

const NOTHING: readonly number[] = [];

/** Whether all of two peers is the same. */
export function isSamePeer(left: DesiredPeer, right: DesiredPeer): boolean {
  return left === right ||
    (isSameHolder(left, right) && isSameReceiver(left.receives, right.receives));
}

function isSameHolder(left: Omit<DesiredPeer, "receives">, right: ProjectedHolder): boolean {
  return left.nodeId === right.nodeId && left.index === right.index &&
    left.vtepAddress === right.vtepAddress && left.state === right.state &&
    left.revision === right.revision && left.bootKey === right.bootKey;
}

function isSameReceiver(left: readonly number[] | null, right: readonly number[] | null): boolean {
  if (left === null || right === null) return left === right;
  return isSameList(left, right);
}

/** Whether two lists of numbers are the same. */
export function isSameList(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((one, place) => one === right[place]);
}

function decodeKey(text: string | null): Bytes | null {
  return text === null ? null : decodeBase64url(text);
}
