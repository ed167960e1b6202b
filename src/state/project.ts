import {
  canonicalJson,
  encodeBase64url,
  encodeUtf8,
  type Id,
  IpAddress,
  present,
  sha256,
} from "../base/mod.ts";
import { type ClusterState, internalsOf } from "./cluster_state.ts";
import type { ProjectedEndpoint, ProjectedNetwork, Projection } from "./projection.ts";
import type { ProjectedText, Tables } from "./tables.ts";
import type { Node } from "./types.ts";

/** IP, UDP 8, VXLAN 8 (RFC 7348) and the inner Ethernet header 14 are within the underlay's MTU. */
const VXLAN_OVERHEAD_BYTES = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const;

/**
 * What a node should have, or null when it is no member. It holds the networks on which the node
 * has an endpoint, whole, and nothing of any other.
 *
 * The digest is `jsonDigest` of the projection without it. Members of a network see the same of
 * it, so that part and its text are made once for all of them: the text of a network with
 * a thousand endpoints takes milliseconds, and each change of it concerns all its members.
 */
export function project(state: ClusterState, nodeId: Id): Projection | null {
  const { tables } = internalsOf(state);
  const node = tables.nodes.get(nodeId);
  if (node === undefined) return null;
  const { clusterId, incarnation } = tables.requireCluster();
  const itself = { id: node.id, index: node.index, vtepAddress: node.facts.vtepAddress };
  const networks = [...tables.nodeIndex(nodeId).networks.keys()].sort()
    .map((networkId) => projectNetwork(tables, networkId));
  const texts = networks.map(({ text }) => text).join();
  // Canonical JSON by hand: the keys in order, the parts canonical themselves.
  const text = `{"clusterId":"${clusterId}","incarnation":"${incarnation}","networks":[${texts}],` +
    `"node":${canonicalJson(itself)},"v":1}`;
  return {
    v: 1,
    clusterId,
    incarnation,
    node: itself,
    networks: networks.map(({ network }) => network),
    digest: encodeBase64url(sha256(encodeUtf8(text))),
  };
}

function projectNetwork(tables: Tables, networkId: Id): ProjectedText {
  const index = tables.networkIndex(networkId);
  index.projected ??= makeText(makeNetwork(tables, networkId));
  return index.projected;
}

function makeText(network: ProjectedNetwork): ProjectedText {
  const endpoints = network.endpoints.map((endpoint) => ({ ...endpoint }));
  return { network, text: canonicalJson({ ...network, endpoints }) };
}

function makeNetwork(tables: Tables, networkId: Id): ProjectedNetwork {
  const network = present(tables.networks.get(networkId), "The network of an endpoint");
  const index = tables.networkIndex(networkId);
  let mtuBytes = network.mtuBytes ?? Infinity;
  const vteps = new Map<Id, string>();
  for (const nodeId of index.nodes.keys()) {
    const node = present(tables.nodes.get(nodeId), "The node of an endpoint");
    mtuBytes = Math.min(mtuBytes, overlayMtuBytes(node));
    vteps.set(nodeId, node.facts.vtepAddress);
  }
  const endpoints = index.endpoints.ordered().map(
    ({ id, name, ip, mac, nodeId }): ProjectedEndpoint => {
      const vtepAddress = present(vteps.get(nodeId), "The node of an endpoint");
      return { id, name, ip, mac, nodeId, vtepAddress };
    },
  );
  return {
    id: network.id,
    name: network.name,
    vni: network.vni,
    subnet: network.subnet,
    mtuBytes,
    port: tables.requireCluster().settings.plainVxlanPort,
    encrypted: network.encrypted,
    endpoints,
  };
}

function overlayMtuBytes({ facts }: Node): number {
  const { family } = IpAddress.parse(facts.vtepAddress);
  return facts.underlayMtuBytes - VXLAN_OVERHEAD_BYTES[family];
}
