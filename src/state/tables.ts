import { assert, Cidr, type Id, IpAddress, present } from "../base/mod.ts";
import { EndpointSet } from "./endpoint_set.ts";
import { KeyTables } from "./key_tables.ts";
import { type Ipv4Prefix, PrefixIndex, toIpv4Prefix } from "./prefix_index.ts";
import { RoundRobin } from "./round_robin.ts";
import type { ProjectedNetwork } from "./projection.ts";
import type { Authority, Endpoint, Network, Node, Settings, Token } from "./types.ts";

/** What there is one of. */
export interface Cluster {
  readonly clusterId: Id;
  readonly incarnation: Id;
  /** How often it was restored or recovered: orders incarnations. */
  readonly generation: number;
  readonly authority: Authority;
  readonly settings: Settings;
  /** Revision of the last change of settings. */
  readonly settingsRevision: number;
}

/** What the members of a network see of it, and the canonical JSON of that. */
export interface ProjectedText {
  readonly network: ProjectedNetwork;
  readonly text: string;
}

/** A search for a subnet, and below which address it has found nothing free. */
export interface SubnetSearch {
  readonly pool: string;
  readonly length: number;
  readonly from: number;
}

/** What is found quickly of one network. */
export interface NetworkIndex {
  readonly prefix: Ipv4Prefix;
  readonly endpoints: EndpointSet;
  readonly byIp: Map<number, Endpoint>;
  readonly byMac: Map<string, Endpoint>;
  readonly byName: Map<string, Endpoint>;
  /** Nodes with an endpoint, and how many. */
  readonly nodes: Map<Id, number>;
  /** No address below it is free: where the search begins. */
  lowestFree: number;
  /** What members see of it, once somebody has asked. */
  projected: ProjectedText | null;
}

/** What is found quickly of one node. */
interface NodeIndex {
  readonly endpoints: EndpointSet;
  /** Networks on which it has an endpoint, and how many. */
  readonly networks: Map<Id, number>;
}

/** How many freed VNIs are kept back; only a bound on memory, there are 16 million. */
const REMEMBERED_VNIS = 4096;

/** Numbers of an IPv4 address in canonical text. */
export function ipv4Number(text: string): number {
  return Number(IpAddress.parse(text).value);
}

/**
 * All that is replicated but for the requests, and the indexes over it. Every change goes through
 * the methods, which keep the indexes in step; they check nothing but invariants.
 */
export class Tables {
  #cluster: Cluster | null = null;
  timeMs = 0;
  revision = 0;
  readonly nodes: Map<Id, Node> = new Map();
  readonly networks: Map<Id, Network> = new Map();
  readonly endpoints: Map<Id, Endpoint> = new Map();
  readonly tokens: Map<Id, Token> = new Map();
  readonly keys: KeyTables = new KeyTables();
  readonly vnis: RoundRobin = new RoundRobin(4096, 2 ** 24 - 1, REMEMBERED_VNIS);

  readonly nodeByName: Map<string, Node> = new Map();
  readonly nodeBySpki: Map<string, Node> = new Map();
  readonly networkByName: Map<string, Network> = new Map();
  readonly tokenBySecret: Map<string, Token> = new Map();
  /** Subnets of networks. */
  readonly subnets: PrefixIndex = new PrefixIndex();
  /** Routes and own addresses of nodes. */
  readonly hostPrefixes: PrefixIndex = new PrefixIndex();
  managerCount = 0;
  /** The last search: until something is freed, the next one goes on from there. */
  subnetSearch: SubnetSearch | null = null;
  readonly #nodeIndex = new Map<Id, NodeIndex>();
  readonly #networkIndex = new Map<Id, NetworkIndex>();

  get cluster(): Cluster | null {
    return this.#cluster;
  }

  /** The cluster; commands but the first are not done without one. */
  requireCluster(): Cluster {
    return present(this.#cluster, "The cluster");
  }

  setCluster(cluster: Cluster | null): void {
    this.#cluster = cluster;
    for (const index of this.#networkIndex.values()) index.projected = null;
  }

  nodeIndex(id: Id): NodeIndex {
    return present(this.#nodeIndex.get(id), "The node");
  }

  networkIndex(id: Id): NetworkIndex {
    return present(this.#networkIndex.get(id), "The network");
  }

  /** Adds a node or replaces it. Its number is taken by the caller. */
  putNode(node: Node): void {
    const old = this.nodes.get(node.id);
    if (old === undefined) {
      this.#nodeIndex.set(node.id, { endpoints: new EndpointSet(), networks: new Map() });
    } else this.#unindexNode(old);
    this.nodes.set(node.id, node);
    this.nodeByName.set(node.facts.hostname.toLowerCase(), node);
    for (const { spkiHash } of node.certificates) this.nodeBySpki.set(spkiHash, node);
    if (node.role === "manager") this.managerCount++;
    if (old?.bootKey !== node.bootKey || old?.facts !== node.facts) this.#projectAnew(node.id);
    if (old?.facts === node.facts) return;
    if (old !== undefined) this.#freeHostPrefixes(old);
    for (const prefix of hostPrefixes(node)) this.hostPrefixes.add(prefix, node.id);
  }

  /** Takes away a node that has no endpoints. Its number is given back by the caller. */
  deleteNode(node: Node): void {
    assert(this.nodeIndex(node.id).endpoints.size === 0, "a node goes after its endpoints");
    this.#unindexNode(node);
    this.#freeHostPrefixes(node);
    this.nodes.delete(node.id);
    this.#nodeIndex.delete(node.id);
  }

  /** Adds a network or replaces it: name, VNI, slot and subnet never change. */
  putNetwork(network: Network): void {
    if (this.networks.has(network.id)) this.networkIndex(network.id).projected = null;
    else {
      const prefix = toIpv4Prefix(Cidr.parse(network.subnet));
      this.#networkIndex.set(network.id, {
        prefix,
        endpoints: new EndpointSet(),
        byIp: new Map(),
        byMac: new Map(),
        byName: new Map(),
        nodes: new Map(),
        lowestFree: prefix.start + 2,
        projected: null,
      });
      this.subnets.add(prefix, network.id);
    }
    this.keys.replace(network.id, this.networks.get(network.id)?.keys ?? null, network.keys);
    this.networks.set(network.id, network);
    this.networkByName.set(network.name, network);
  }

  /** Takes away a network that has no endpoints, and frees its VNI. Its slot is given back by the caller. */
  deleteNetwork(network: Network): void {
    const index = this.networkIndex(network.id);
    assert(index.endpoints.size === 0, "a network goes after its endpoints");
    this.subnets.remove(index.prefix, network.id);
    this.subnetSearch = null;
    this.networks.delete(network.id);
    this.networkByName.delete(network.name);
    this.#networkIndex.delete(network.id);
    this.vnis.release(network.vni);
    this.keys.replace(network.id, network.keys, null);
  }

  addEndpoint(endpoint: Endpoint): void {
    assert(!this.endpoints.has(endpoint.id), "an endpoint never changes");
    const network = this.networkIndex(endpoint.networkId);
    const node = this.nodeIndex(endpoint.nodeId);
    this.endpoints.set(endpoint.id, endpoint);
    network.projected = null;
    network.endpoints.add(endpoint);
    network.byIp.set(ipv4Number(endpoint.ip), endpoint);
    network.byMac.set(endpoint.mac, endpoint);
    if (endpoint.name !== null) network.byName.set(endpoint.name, endpoint);
    count(network.nodes, endpoint.nodeId, 1);
    node.endpoints.add(endpoint);
    count(node.networks, endpoint.networkId, 1);
  }

  deleteEndpoint(endpoint: Endpoint): void {
    const network = this.networkIndex(endpoint.networkId);
    const node = this.nodeIndex(endpoint.nodeId);
    const ip = ipv4Number(endpoint.ip);
    this.endpoints.delete(endpoint.id);
    network.projected = null;
    network.endpoints.delete(endpoint);
    network.byIp.delete(ip);
    network.byMac.delete(endpoint.mac);
    if (endpoint.name !== null) network.byName.delete(endpoint.name);
    network.lowestFree = Math.min(network.lowestFree, ip);
    count(network.nodes, endpoint.nodeId, -1);
    node.endpoints.delete(endpoint);
    count(node.networks, endpoint.networkId, -1);
  }

  putToken(token: Token): void {
    this.tokens.set(token.id, token);
    this.tokenBySecret.set(token.secretHash, token);
  }

  deleteToken(token: Token): void {
    this.tokens.delete(token.id);
    this.tokenBySecret.delete(token.secretHash);
  }

  /** A node is another one in the eyes of those it shares networks with, or did. */
  #projectAnew(nodeId: Id): void {
    for (
      const networkId of [...this.nodeIndex(nodeId).networks.keys(), ...this.keys.heldBy(nodeId)]
    ) {
      this.networkIndex(networkId).projected = null;
    }
  }

  #freeHostPrefixes(node: Node): void {
    for (const prefix of hostPrefixes(node)) this.hostPrefixes.remove(prefix, node.id);
    this.subnetSearch = null;
  }

  #unindexNode(node: Node): void {
    this.nodeByName.delete(node.facts.hostname.toLowerCase());
    for (const { spkiHash } of node.certificates) this.nodeBySpki.delete(spkiHash);
    if (node.role === "manager") this.managerCount--;
  }
}

function count(counts: Map<Id, number>, id: Id, change: number): void {
  const next = (counts.get(id) ?? 0) + change;
  if (next === 0) counts.delete(id);
  else counts.set(id, next);
}

/** What no subnet may overlap: a workload's address there would never leave the host, or its own. */
function hostPrefixes(node: Node): Ipv4Prefix[] {
  const prefixes: Ipv4Prefix[] = [];
  for (const route of node.facts.hostRoutes) {
    const cidr = Cidr.parse(route);
    if (cidr.family === 4) prefixes.push(toIpv4Prefix(cidr));
  }
  const controlHost = node.facts.controlAddress.replace(/:[0-9]+$/, "");
  for (const text of [node.facts.vtepAddress, controlHost]) {
    if (!text.includes(":")) prefixes.push({ start: ipv4Number(text), length: 32 });
  }
  return prefixes;
}
