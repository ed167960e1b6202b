import {
  type Bytes,
  Cidr,
  decodeBase64url,
  type Id,
  type MacText,
  SecretBytes,
} from "../base/mod.ts";
import type { ProjectedEndpoint, ProjectedNetwork, Projection } from "../state/mod.ts";
import type { Target } from "./host.ts";
import { sandboxName } from "./names.ts";

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
  /** Endpoints on other hosts. */
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
  /** Public half, 32 bytes; null: it has none (yet), so there are no SAs with it. */
  readonly bootPublicKey: Bytes | null;
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

/** An endpoint on another host. */
export interface RemoteEndpoint {
  /** Its address in the network. */
  readonly ip: string;
  /** Its Ethernet address. */
  readonly mac: MacText;
  /** Underlay address of its host. */
  readonly vtepAddress: string;
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
 */
export function buildDesired(
  projection: Projection,
  attachments: readonly LocalAttachment[],
): Desired {
  const { node } = projection;
  const local = new Map<Id, { network: ProjectedNetwork; endpoint: ProjectedEndpoint }>();
  const networks: DesiredNetwork[] = [];
  for (const network of projection.networks) {
    const remotes: RemoteEndpoint[] = [];
    for (const endpoint of network.endpoints) {
      if (endpoint.nodeId === node.id) local.set(endpoint.id, { network, endpoint });
      else remotes.push({ ip: endpoint.ip, mac: endpoint.mac, vtepAddress: endpoint.vtepAddress });
    }
    const { id, name, vni, port, mtuBytes } = network;
    networks.push({
      id,
      name,
      vni,
      port,
      mtuBytes,
      encryption: encryptionOf(projection, network),
      vtepAddress: node.vtepAddress,
      remotes,
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

function encryptionOf(
  { node, installed }: Projection,
  { id, encryption }: ProjectedNetwork,
): DesiredEncryption | null {
  if (encryption === null) return null;
  const own = encryption.holders.find(({ nodeId }) => nodeId === node.id);
  const receives = new Map<Id, readonly number[]>();
  for (const { networkId, nodeId, epochs, upTo } of installed) {
    // Who has not heard of this host as it is now cannot receive from it, whatever it has.
    if (networkId !== id || own === undefined) continue;
    receives.set(nodeId, upTo >= own.revision ? epochs : []);
  }
  const peers = encryption.holders.filter(({ nodeId }) => nodeId !== node.id).map(
    ({ nodeId, index, vtepAddress, bootKey, state, revision }): DesiredPeer => ({
      nodeId,
      index,
      vtepAddress,
      bootPublicKey: decodeKey(bootKey),
      state,
      receives: receives.get(nodeId) ?? null,
      revision,
    }),
  );
  return {
    slot: encryption.slot,
    epochs: encryption.epochs.map(({ epoch, secret }) => ({
      epoch,
      secret: new SecretBytes(decodeBase64url(secret)),
    })),
    peers,
    upTo: Math.max(0, ...encryption.holders.map(({ revision }) => revision)),
  };
}

function decodeKey(text: string | null): Bytes | null {
  return text === null ? null : decodeBase64url(text);
}

/** A desired state by names of sandboxes. */
export interface Wanted {
  readonly networks: ReadonlyMap<string, DesiredNetwork>;
  readonly endpoints: ReadonlyMap<string, readonly DesiredEndpoint[]>;
}

/** Arranges a desired state by sandboxes. */
export function bySandbox(desired: Desired): Wanted {
  const networks = new Map(desired.networks.map((network) => [sandboxName(network.name), network]));
  const names = new Map(desired.networks.map(({ id, name }) => [id, sandboxName(name)]));
  const endpoints = new Map<string, DesiredEndpoint[]>();
  for (const endpoint of desired.endpoints) {
    const name = names.get(endpoint.networkId);
    if (name === undefined) continue;
    const before = endpoints.get(name);
    if (before === undefined) endpoints.set(name, [endpoint]);
    else before.push(endpoint);
  }
  return { networks, endpoints };
}
