import { Cidr, type Id, type MacText } from "../base/mod.ts";
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
  /** Ordered by id. */
  readonly networks: readonly DesiredNetwork[];
  /** In the order in which interfaces are made, so that `eth0` is the first that was asked for. */
  readonly endpoints: readonly DesiredEndpoint[];
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
  /** Whether its packets may leave the host in ESP only. */
  readonly encrypted: boolean;
  /** Endpoints on other hosts. */
  readonly remotes: readonly RemoteEndpoint[];
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
    const { id, name, vni, port, mtuBytes, encrypted } = network;
    networks.push({
      id,
      name,
      vni,
      port,
      mtuBytes,
      encrypted,
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
  return { networks, endpoints };
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
