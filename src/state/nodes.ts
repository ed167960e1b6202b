import { canonicalJson, type Id, present } from "../base/mod.ts";
import { isAllowed, rejectInUse } from "./allowed.ts";
import type { NewNode } from "./command.ts";
import type { Decide } from "./decision.ts";
import { remove } from "./holders.ts";
import { withSharedNetworks } from "./keys.ts";
import { quote, reject, rejectValue, requireRevision } from "./rejected.ts";
import type { Tables } from "./tables.ts";
import type { CertificateRecord, Labels, Node, NodeFacts } from "./types.ts";

export const joinNode: Decide<"node.join"> = (tables, { secretHash, node }) => {
  const token = tables.tokenBySecret.get(secretHash);
  if (token === undefined) {
    reject(
      "token-unknown",
      "The token is not known: it was deleted, or is of another cluster. " +
        "Make one on a manager: agent token create",
    );
  }
  // Before expiry and uses: whoever lost the reply must get it even when theirs was the last use.
  const known = tables.nodeBySpki.get(node.certificate.spkiHash);
  const recorded = known === undefined ? null : certificateOf(known, node.certificate.spkiHash);
  if (known !== undefined && known.tokenId === token.id && recorded !== null) {
    return { value: { id: known.id, certificate: recorded.certificate } };
  }
  if (token.expiresAtMs <= tables.timeMs) {
    reject("token-expired", "The token has expired. Make one on a manager: agent token create");
  }
  if (token.usesLeft <= 0) {
    reject("token-used-up", "The token is used up. Make one on a manager: agent token create");
  }
  if (token.role !== node.role) {
    rejectValue("/node/role", `The token is for a ${token.role}, not a ${node.role}`);
  }
  const addMember = newMember(tables, node, token.id);
  return {
    commit: (revision) => {
      tables.putToken({ ...token, usesLeft: token.usesLeft - 1, revision });
      addMember(revision);
      return {
        value: { id: node.id, certificate: node.certificate.certificate },
        touched: { nodes: [node.id], ...(node.role === "manager" ? { managers: true } : {}) },
      };
    },
  };
};

/**
 * Checks that the node can become a member; gives what makes it one, once those who are leaving have
 * left.
 *
 * @throws {Rejected} when it cannot
 */
export function newMember(
  tables: Tables,
  node: NewNode,
  tokenId: Id | null,
  leaving: readonly Node[] = [],
): (revision: number) => void {
  if (tables.nodes.has(node.id)) rejectValue("/node/id", "A node has this id already");
  requireUnusedKey(tables, node.certificate, "/node/certificate/spkiHash");
  requireFreeHostname(tables, node.facts.hostname, "/node/facts/hostname", leaving);
  if (tables.keys.indexes.peek() === null) {
    reject(
      "indexes-exhausted",
      "All 65535 indexes of nodes are in use, or were and may still be in SAs on hosts that have not " +
        "said otherwise: remove nodes that are gone for good",
    );
  }
  return (revision) => {
    const index = present(tables.keys.indexes.peek(), "A free index");
    tables.keys.indexes.take(index);
    tables.putNode({
      id: node.id,
      index,
      role: node.role,
      labels: node.labels,
      facts: node.facts,
      certificates: [node.certificate],
      bootKey: null,
      underlayRevision: revision,
      tokenId,
      joinedAtMs: tables.timeMs,
      revision,
    });
  };
}

export const certifyNode: Decide<"node.certify"> = (tables, { id, certificate }) => {
  const node = findNode(tables, id);
  const recorded = certificateOf(node, certificate.spkiHash);
  if (recorded !== null) return { value: { id, certificate: recorded.certificate } };
  requireUnusedKey(tables, certificate, "/certificate/spkiHash");
  return {
    commit: (revision) => {
      const certificates = [certificate, ...node.certificates.slice(0, 1)];
      tables.putNode({ ...node, certificates, revision });
      return { value: { id, certificate: certificate.certificate }, touched: {} };
    },
  };
};

export const describeNode: Decide<"node.describe"> = (tables, { id, facts }) => {
  const node = findNode(tables, id);
  if (facts.hostname.toLowerCase() !== node.facts.hostname.toLowerCase()) {
    requireFreeHostname(tables, facts.hostname, "/facts/hostname");
  }
  if (sameFacts(facts, node.facts)) return { value: { id } };
  return {
    commit: (revision) => {
      const moved = facts.vtepAddress !== node.facts.vtepAddress;
      const underlayRevision = moved ? revision : node.underlayRevision;
      tables.putNode({ ...node, facts, underlayRevision, revision });
      const addressed = facts.controlAddress !== node.facts.controlAddress;
      return {
        value: { id },
        touched: {
          nodes: projectedTogether(tables, node, facts),
          ...(addressed && node.role === "manager" ? { managers: true } : {}),
        },
      };
    },
  };
};

export const updateNode: Decide<"node.update"> = (tables, body) => {
  const node = findNode(tables, body.id);
  requireRevision(node.revision, body.ifRevision);
  const { labels = node.labels, role = node.role } = body;
  requireStillAllowed(tables, node, labels);
  if (role === "worker") requireOtherManager(tables, node);
  const isReroled = role !== node.role;
  if (!isReroled && canonicalJson(labels) === canonicalJson(node.labels)) return { value: node };
  return {
    commit: (revision) => {
      const updated: Node = { ...node, labels, role, revision };
      tables.putNode(updated);
      const touched = isReroled ? { reroledNodes: [node.id], managers: true as const } : {};
      return { value: updated, touched };
    },
  };
};

export const removeNode: Decide<"node.remove"> = (tables, body) => {
  const node = findNode(tables, body.id);
  requireRevision(node.revision, body.ifRevision);
  requireOtherManager(tables, node);
  return {
    commit: (revision) => {
      const { others, endpoints } = dropMember(tables, node, revision);
      return {
        value: { id: node.id, endpoints },
        touched: {
          nodes: others,
          removedNodes: [node.id],
          ...(node.role === "manager" ? { managers: true } : {}),
        },
      };
    },
  };
};

/** Takes a member out, with its endpoints. Gives whose projection shows that, and how many there were. */
export function dropMember(
  tables: Tables,
  node: Node,
  revision: number,
): { readonly others: ReadonlySet<Id>; readonly endpoints: number } {
  const index = tables.nodeIndex(node.id);
  const others = withSharedNetworks(tables, node.id);
  // Of a network that was deleted they may still have SAs, too, until all of them have spoken.
  for (const { kind, nodes } of tables.keys.waitingFor(node.id)) {
    if (kind === "slot") { for (const other of nodes) others.add(other); }
  }
  others.delete(node.id);
  const waitedFor = [...others];
  for (const networkId of index.networks.keys()) {
    for (const other of tables.networkIndex(networkId).nodes.keys()) others.add(other);
  }
  others.delete(node.id);
  const endpoints = index.endpoints.ordered();
  for (const endpoint of endpoints) tables.deleteEndpoint(endpoint);
  for (const networkId of [...tables.keys.heldBy(node.id)]) {
    removeHolder(tables, networkId, node.id);
  }
  tables.deleteNode(node);
  tables.keys.waitNoMoreFor(node.id);
  tables.keys.release({ kind: "index", number: node.index }, revision, waitedFor);
  strikeFromLists(tables, node.id, revision);
  return { others, endpoints: endpoints.length };
}

/** The node of that id. */
function findNode(tables: Tables, id: Id): Node {
  const node = tables.nodes.get(id);
  if (node === undefined) reject("not-found", `There is no node ${id}`, { field: "/id" });
  return node;
}

function requireOtherManager(tables: Tables, node: Node): void {
  if (node.role !== "manager" || tables.managerCount > 1) return;
  reject("last-manager", `${node.facts.hostname} is the only manager: nobody would be left`);
}

function certificateOf(node: Node, spkiHash: string): CertificateRecord | null {
  return node.certificates.find((certificate) => certificate.spkiHash === spkiHash) ?? null;
}

function requireUnusedKey(tables: Tables, certificate: CertificateRecord, field: string): void {
  const holder = tables.nodeBySpki.get(certificate.spkiHash);
  if (holder === undefined) return;
  reject(
    "node-exists",
    `The key belongs to the member ${holder.facts.hostname} already: make a new key`,
    { field, details: { node: holder.id } },
  );
}

function requireFreeHostname(
  tables: Tables,
  hostname: string,
  field: string,
  leaving: readonly Node[] = [],
): void {
  const holder = tables.nodeByName.get(hostname.toLowerCase());
  if (holder === undefined || leaving.includes(holder)) return;
  reject(
    "node-exists",
    `A member is called ${quote(hostname)} already (${holder.id}, at ` +
      `${holder.facts.vtepAddress}). If that host is gone: agent node rm ${holder.facts.hostname}`,
    { field, details: { node: holder.id } },
  );
}

/** Whoever may attach stays allowed where it is attached. */
function requireStillAllowed(tables: Tables, node: Node, labels: Labels): void {
  const { endpoints, networks } = tables.nodeIndex(node.id);
  const denied = new Set<Id>();
  const names: string[] = [];
  for (const networkId of networks.keys()) {
    const network = present(tables.networks.get(networkId), "The network of an endpoint");
    if (isAllowed(network.allowedNodes, { id: node.id, labels })) continue;
    denied.add(networkId);
    names.push(network.name);
  }
  if (names.length === 0) return;
  rejectInUse(
    endpoints.ordered().filter((endpoint) => denied.has(endpoint.networkId)),
    `Without these labels the node is not allowed on ${names.sort().slice(0, 10).join(", ")}, ` +
      "where it has endpoints: delete them first",
  );
}

function removeHolder(tables: Tables, networkId: Id, nodeId: Id): void {
  const network = present(tables.networks.get(networkId), "The network of a holder");
  const keys = present(network.keys, "The keys of a network that has holders");
  tables.putNetwork({ ...network, keys: remove(keys, nodeId) });
}

/** The id is never used again, so it would only be in the way of the next change of the list. */
function strikeFromLists(tables: Tables, nodeId: Id, revision: number): void {
  for (const network of tables.networks.values()) {
    const { allowedNodes } = network;
    if (allowedNodes === "any" || !allowedNodes.ids.includes(nodeId)) continue;
    const ids = allowedNodes.ids.filter((id) => id !== nodeId);
    tables.putNetwork({ ...network, allowedNodes: { ...allowedNodes, ids }, revision });
  }
}

/** Nodes whose projection a change of these facts may change. */
function projectedTogether(tables: Tables, node: Node, facts: NodeFacts): Set<Id> {
  const nodes = new Set<Id>();
  const moved = facts.vtepAddress !== node.facts.vtepAddress;
  if (!moved && facts.underlayMtuBytes === node.facts.underlayMtuBytes) return nodes;
  nodes.add(node.id);
  // Those who have left a network have its peers' addresses, too.
  if (moved) { for (const other of withSharedNetworks(tables, node.id)) nodes.add(other); }
  for (const networkId of tables.nodeIndex(node.id).networks.keys()) {
    for (const other of tables.networkIndex(networkId).nodes.keys()) nodes.add(other);
  }
  return nodes;
}

function sameFacts(left: NodeFacts, right: NodeFacts): boolean {
  return canonicalJson({ ...left }) === canonicalJson({ ...right });
}
