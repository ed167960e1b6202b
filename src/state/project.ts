import {
  canonicalJson,
  encodeBase64url,
  encodeUtf8,
  type Id,
  present,
  sha256,
} from "../base/mod.ts";
import { type ClusterState, internalsOf } from "./cluster_state.ts";
import { overlayMtuBytes } from "./encapsulation.ts";
import {
  encryptedPort,
  type InstalledSource,
  installedText,
  projectEncryption,
  projectRetained,
  usableBootKey,
} from "./project_keys.ts";
import type { ProjectedEndpoint, ProjectedNetwork, Projection } from "./projection.ts";
import type { ProjectedText, Tables } from "./tables.ts";

/**
 * What a node should have, or null when it is no member. It holds the networks on which the node
 * has an endpoint, whole, and nothing of any other, but for the places of SAs that it still has.
 *
 * The digest is `jsonDigest` of the projection without it. Members of a network see the same of
 * it, so that part and its text are made once for all of them: the text of a network with
 * a thousand endpoints takes milliseconds, and each change of it concerns all its members.
 */
export function project(
  state: ClusterState,
  nodeId: Id,
  source: InstalledSource,
): Projection | null {
  const { tables } = internalsOf(state);
  const node = tables.nodes.get(nodeId);
  if (node === undefined) return null;
  const { clusterId, incarnation, generation } = tables.requireCluster();
  const itself = {
    id: node.id,
    index: node.index,
    vtepAddress: node.facts.vtepAddress,
    bootKey: usableBootKey(tables, node)?.publicKey ?? null,
  };
  const networks = [...tables.nodeIndex(nodeId).networks.keys()].sort()
    .map((networkId) => projectNetwork(tables, networkId));
  const installed = networks.filter(({ network }) => network.encryption !== null)
    .map(({ network }) => source.installed(network.id)).filter((all) => all.length > 0);
  const retained = projectRetained(tables, nodeId);
  const goneUpTo = tables.keys.goneUpTo(nodeId);
  // Canonical JSON by hand: the keys in order, the parts canonical themselves.
  const text = `{"clusterId":"${clusterId}","generation":${generation},"goneUpTo":${goneUpTo},` +
    `"incarnation":"${incarnation}","installed":[${installed.map(installedText).join()}],` +
    `"networks":[${networks.map(({ text }) => text).join()}],"node":${canonicalJson(itself)},` +
    `"retained":${textOf(retained)},"v":1}`;
  return {
    v: 1,
    clusterId,
    incarnation,
    generation,
    node: itself,
    networks: networks.map(({ network }) => network),
    retained,
    installed: installed.flat(),
    goneUpTo,
    digest: encodeBase64url(sha256(encodeUtf8(text))),
  };
}

function projectNetwork(tables: Tables, networkId: Id): ProjectedText {
  const index = tables.networkIndex(networkId);
  if (index.projected === null) {
    const network = makeNetwork(tables, networkId);
    index.projected = { network, text: textOf(network) };
  }
  return index.projected;
}

/** Canonical JSON of what is JSON, though interfaces cannot say that they are. */
function textOf(value: object): string {
  return canonicalJson(value as Parameters<typeof canonicalJson>[0]);
}

function makeNetwork(tables: Tables, networkId: Id): ProjectedNetwork {
  const network = present(tables.networks.get(networkId), "The network of an endpoint");
  const index = tables.networkIndex(networkId);
  let mtuBytes = network.mtuBytes ?? Infinity;
  const vteps = new Map<Id, string>();
  for (const nodeId of index.nodes.keys()) {
    const node = present(tables.nodes.get(nodeId), "The node of an endpoint");
    const { underlayMtuBytes, vtepAddress } = node.facts;
    const encapsulation = { vtepAddress, encrypted: network.keys !== null };
    mtuBytes = Math.min(mtuBytes, overlayMtuBytes(underlayMtuBytes, encapsulation));
    vteps.set(nodeId, vtepAddress);
  }
  const endpoints = index.endpoints.ordered().map(
    ({ id, name, ip, mac, nodeId }): ProjectedEndpoint => {
      const vtepAddress = present(vteps.get(nodeId), "The node of an endpoint");
      return { id, name, ip, mac, nodeId, vtepAddress };
    },
  );
  const { id, name, vni, subnet, keys } = network;
  return {
    id,
    name,
    vni,
    subnet,
    mtuBytes,
    port: keys === null
      ? tables.requireCluster().settings.plainVxlanPort
      : encryptedPort(tables, keys),
    encryption: projectEncryption(tables, network),
    endpoints,
  };
}
