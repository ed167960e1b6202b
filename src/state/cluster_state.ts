import type { Id } from "../base/mod.ts";
import { type Applied, changeSetOf, NOTHING_CHANGED } from "./applied.ts";
import { checkBody, isCommandKind } from "./bodies.ts";
import { createCluster, updateCluster } from "./cluster.ts";
import type { CommandKind, Entry } from "./command.ts";
import type { Decide } from "./decision.ts";
import { createEndpoints, deleteEndpoints } from "./endpoints.ts";
import { checkEnvelope } from "./entry.ts";
import { freeNumbers, publishKey, retireEpochs, rotateNetwork } from "./keys.ts";
import { createNetwork, deleteNetwork, updateNetwork } from "./networks.ts";
import { certifyNode, describeNode, joinNode, removeNode, updateNode } from "./nodes.ts";
import { jsonOf } from "./outcome.ts";
import { recoverCluster } from "./recover.ts";
import { quote, reject, Rejected } from "./rejected.ts";
import { Requests } from "./requests.ts";
import { Tables } from "./tables.ts";
import { createToken, deleteToken } from "./tokens.ts";
import type {
  Authority,
  Endpoint,
  Network,
  Node,
  Settings,
  Token,
  WaitingNumber,
} from "./types.ts";

const deciders: { readonly [Kind in CommandKind]: Decide<Kind> } = {
  "cluster.create": createCluster,
  "cluster.update": updateCluster,
  "token.create": createToken,
  "token.delete": deleteToken,
  "node.join": joinNode,
  "node.certify": certifyNode,
  "node.describe": describeNode,
  "node.update": updateNode,
  "node.remove": removeNode,
  "network.create": createNetwork,
  "network.update": updateNetwork,
  "network.delete": deleteNetwork,
  "network.rotate": rotateNetwork,
  "network.retire": retireEpochs,
  "node.publish-key": publishKey,
  "numbers.free": freeNumbers,
  "cluster.recover": recoverCluster,
  "endpoints.create": createEndpoints,
  "endpoints.delete": deleteEndpoints,
};

/** What {@linkcode ClusterState} holds, for the snapshot beside it. */
export interface Internals {
  readonly tables: Tables;
  readonly requests: Requests;
}

let reveal: (state: ClusterState) => Internals;
let assemble: (internals: Internals) => ClusterState;

/**
 * The state of the cluster. It changes in {@linkcode ClusterState.apply} only; readers see the maps
 * themselves, so what they read is of one moment as long as they do not wait. The objects in the
 * maps never change: another state of a network is another object.
 */
export class ClusterState {
  readonly #tables: Tables;
  readonly #requests: Requests;

  private constructor(internals: Internals) {
    this.#tables = internals.tables;
    this.#requests = internals.requests;
  }

  static {
    reveal = (state) => ({ tables: state.#tables, requests: state.#requests });
    assemble = (internals) => new ClusterState(internals);
  }

  /** Before the first command: no cluster yet. */
  static empty(): ClusterState {
    return new ClusterState({ tables: new Tables(), requests: new Requests() });
  }

  /** Whether `cluster.create` was applied. Before it the four below have no answer. */
  get exists(): boolean {
    return this.#tables.cluster !== null;
  }

  /**
   * Whose certificates, streams and keys these are.
   *
   * @throws {InvariantError} before the cluster exists
   */
  get clusterId(): Id {
    return this.#tables.requireCluster().clusterId;
  }

  /**
   * Another one after a restore or a recovery.
   *
   * @throws {InvariantError} before the cluster exists
   */
  get incarnation(): Id {
    return this.#tables.requireCluster().incarnation;
  }

  /** How many incarnations there were before. @throws {InvariantError} before the cluster exists */
  get generation(): number {
    return this.#tables.requireCluster().generation;
  }

  /**
   * Roots and the key that signs.
   *
   * @throws {InvariantError} before the cluster exists
   */
  get authority(): Authority {
    return this.#tables.requireCluster().authority;
  }

  /**
   * All settings.
   *
   * @throws {InvariantError} before the cluster exists
   */
  get settings(): Settings {
    return this.#tables.requireCluster().settings;
  }

  /** Revision of the last change of the settings; 0 before the cluster exists. */
  get settingsRevision(): number {
    return this.#tables.cluster?.settingsRevision ?? 0;
  }

  /** How many commands have changed the state. */
  get revision(): number {
    return this.#tables.revision;
  }

  /** The highest time that an entry carried. */
  get timeMs(): number {
    return this.#tables.timeMs;
  }

  /** All members. */
  get nodes(): ReadonlyMap<Id, Node> {
    return this.#tables.nodes;
  }

  /** All networks. */
  get networks(): ReadonlyMap<Id, Network> {
    return this.#tables.networks;
  }

  /** All endpoints. */
  get endpoints(): ReadonlyMap<Id, Endpoint> {
    return this.#tables.endpoints;
  }

  /** All tokens; one that has expired stays for a week, to be told from an unknown one. */
  get tokens(): ReadonlyMap<Id, Token> {
    return this.#tables.tokens;
  }

  /** Slots and indexes of networks and nodes that are gone, while somebody may have SAs of them. */
  get waitingNumbers(): Iterable<WaitingNumber> {
    return this.#tables.keys.waiting;
  }

  /** Whether the answer to a request is kept: then a second try gets it, whatever has changed since. */
  isAnswered(request: Pick<Entry, "principal" | "requestId">): boolean {
    return this.#requests.isKept(request, this.timeMs);
  }

  /** The member of that host name, in either case. */
  nodeByName(hostname: string): Node | undefined {
    return this.#tables.nodeByName.get(hostname.toLowerCase());
  }

  /** The member whose current or previous certificate has this key. */
  nodeBySpki(spkiHash: string): Node | undefined {
    return this.#tables.nodeBySpki.get(spkiHash);
  }

  /** The network of that name. */
  networkByName(name: string): Network | undefined {
    return this.#tables.networkByName.get(name);
  }

  /** The token with this hash of its secret. */
  tokenBySecret(secretHash: string): Token | undefined {
    return this.#tables.tokenBySecret.get(secretHash);
  }

  /** The endpoint of that name in a network. */
  endpointByName(networkId: Id, name: string): Endpoint | undefined {
    if (!this.#tables.networks.has(networkId)) return undefined;
    return this.#tables.networkIndex(networkId).byName.get(name);
  }

  /** Endpoints of a network, ordered by id; none when there is no such network. */
  endpointsOf(networkId: Id): readonly Endpoint[] {
    if (!this.#tables.networks.has(networkId)) return [];
    return this.#tables.networkIndex(networkId).endpoints.ordered();
  }

  /** Endpoints on a node, ordered by id; none when there is no such node. */
  endpointsOnNode(nodeId: Id): readonly Endpoint[] {
    if (!this.#tables.nodes.has(nodeId)) return [];
    return this.#tables.nodeIndex(nodeId).endpoints.ordered();
  }

  /** Ids of the networks on which a node has an endpoint. */
  networksOfNode(nodeId: Id): readonly Id[] {
    if (!this.#tables.nodes.has(nodeId)) return [];
    return [...this.#tables.nodeIndex(nodeId).networks.keys()];
  }

  /** Ids of the nodes that have an endpoint on a network. */
  nodesOfNetwork(networkId: Id): readonly Id[] {
    if (!this.#tables.networks.has(networkId)) return [];
    return [...this.#tables.networkIndex(networkId).nodes.keys()];
  }

  /** Does what a committed entry says, or answers why not. Never throws, whatever the entry. */
  apply(entry: Entry): Applied {
    const tables = this.#tables;
    const given: unknown = entry;
    const envelope = attempt(() => checkEnvelope(given));
    if ("rejection" in envelope) return unchanged(envelope.rejection);
    tables.timeMs = Math.max(tables.timeMs, envelope.value.at);
    this.#requests.drop(tables.timeMs);
    const verdict = this.#requests.judge(envelope.value, tables.timeMs);
    if (verdict.kind !== "new") {
      return {
        outcome: verdict.outcome,
        repeated: verdict.kind === "repeated",
        changed: NOTHING_CHANGED,
      };
    }
    const { kind, body } = envelope.value;
    const done = attempt(() => this.#run(kind, body));
    const applied = "rejection" in done ? unchanged(done.rejection) : done.value;
    this.#requests.keep(envelope.value, tables.timeMs, applied.outcome);
    return applied;
  }

  #run(kind: string, body: unknown): Applied {
    if (!isCommandKind(kind)) {
      reject("unknown-command", `This version of agent knows no command ${quote(kind)}`);
    }
    if (kind !== "cluster.create" && this.#tables.cluster === null) {
      reject("no-cluster", "There is no cluster yet: agent init makes one");
    }
    return this.#decide(kind, body);
  }

  #decide<Kind extends CommandKind>(kind: Kind, body: unknown): Applied {
    const tables = this.#tables;
    const decide: Decide<Kind> = deciders[kind];
    const decision = decide(tables, checkBody(kind, body));
    if ("value" in decision) {
      const value = jsonOf(kind, decision.value);
      return {
        outcome: { ok: true, revision: tables.revision, value },
        repeated: false,
        changed: NOTHING_CHANGED,
      };
    }
    const revision = ++tables.revision;
    const { value, touched } = decision.commit(revision);
    return {
      outcome: { ok: true, revision, value: jsonOf(kind, value) },
      repeated: false,
      changed: changeSetOf(touched),
    };
  }
}

/** For what stands beside the state in this folder. */
export function internalsOf(state: ClusterState): Internals {
  return reveal(state);
}

/** For what stands beside the state in this folder. */
export function stateOf(internals: Internals): ClusterState {
  return assemble(internals);
}

function attempt<T>(
  work: () => T,
): { readonly value: T } | { readonly rejection: Rejected["rejection"] } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof Rejected) return { rejection: error.rejection };
    throw error;
  }
}

function unchanged(rejection: Rejected["rejection"]): Applied {
  return { outcome: { ok: false, rejection }, repeated: false, changed: NOTHING_CHANGED };
}
