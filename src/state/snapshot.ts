import {
  assert,
  type Bytes,
  canonicalJson,
  encodeUtf8,
  type Id,
  InvariantError,
  type Json,
} from "../base/mod.ts";
import { array, type Check, integer, isObject, nullable, object, text } from "./check.ts";
import { type ClusterState, internalsOf, stateOf } from "./cluster_state.ts";
import { StateDecodeError } from "./decode_error.ts";
import { parseVersioned } from "./entry.ts";
import { Rejected, rejectValue } from "./rejected.ts";
import { Requests } from "./requests.ts";
import type { RoundRobinState } from "./round_robin.ts";
import { settings, SLOTS } from "./settings.ts";
import {
  bootKey,
  keys,
  type NetworkSecrets,
  networkSecrets,
  restoreKeys,
  secretsOf,
  waitingNumber,
} from "./snapshot_keys.ts";
import { subnet } from "./subnet.ts";
import { type Cluster, Tables } from "./tables.ts";
import type {
  Endpoint,
  Network,
  Node,
  Outcome,
  RequestRecord,
  Token,
  WaitingNumber,
} from "./types.ts";
import {
  allowedNodes,
  authority,
  certificateRecord,
  id,
  labels,
  mac,
  mtuBytes,
  name,
  nodeFacts,
  overlayAddress,
  revision,
  role,
  sha256Text,
  time,
} from "./validate.ts";

/** Of a cluster that was restored or recovered; before that an older agent reads it, too. */
const VERSION = 2;
const FIRST_VERSION = 1;
const ANY = Number.MAX_SAFE_INTEGER;

/** The one text of the state: equal states, equal bytes. */
export function encodeSnapshot(state: ClusterState): Bytes {
  const { tables, requests } = internalsOf(state);
  const snapshot: Contents = {
    v: (tables.cluster?.generation ?? 0) > 0 ? VERSION : FIRST_VERSION,
    timeMs: tables.timeMs,
    revision: tables.revision,
    cluster: tables.cluster === null ? null : savedOf(tables.cluster),
    nodes: byId(tables.nodes),
    networks: byId(tables.networks),
    endpoints: byId(tables.endpoints),
    tokens: byId(tables.tokens),
    secrets: secretsOf(tables),
    waiting: [...tables.keys.waiting],
    nodeIndexes: tables.keys.indexes.save(),
    slots: tables.keys.slots.save(),
    vnis: tables.vnis.save(),
    generated: [...requests.generated.values()],
    keyed: [...requests.keyed.values()],
  };
  return encodeUtf8(canonicalJson(snapshot as unknown as Json));
}

/**
 * Reads what {@linkcode encodeSnapshot} has written; the state goes on as the one that was saved.
 *
 * @throws {StateDecodeError} when the bytes are no snapshot, or one of a later version
 */
export function decodeSnapshot(bytes: Uint8Array): ClusterState {
  const value = parseVersioned(bytes, "A snapshot", VERSION);
  try {
    return restore(contents(value, ""));
  } catch (cause) {
    if (cause instanceof Rejected) {
      const { field, message } = cause.rejection;
      throw new StateDecodeError("malformed", `A snapshot is malformed at ${field}: ${message}`, {
        cause,
      });
    }
    if (cause instanceof InvariantError) {
      throw new StateDecodeError("malformed", `A snapshot contradicts itself: ${cause.message}`, {
        cause,
      });
    }
    throw cause;
  }
}

/** What a snapshot holds. Objects are ordered by id, requests by age, oldest first. */
interface Contents {
  readonly v: number;
  readonly timeMs: number;
  readonly revision: number;
  readonly cluster: SavedCluster | null;
  readonly nodes: readonly Node[];
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly tokens: readonly Token[];
  readonly secrets: readonly NetworkSecrets[];
  /** In the order in which they came. */
  readonly waiting: readonly WaitingNumber[];
  readonly nodeIndexes: RoundRobinState;
  readonly slots: RoundRobinState;
  readonly vnis: RoundRobinState;
  readonly generated: readonly RequestRecord[];
  readonly keyed: readonly RequestRecord[];
}

/** Absent in version 1: nothing was restored or recovered. */
type SavedCluster = Omit<Cluster, "generation"> & Partial<Pick<Cluster, "generation">>;

function savedOf({ generation, ...cluster }: Cluster): SavedCluster {
  return generation === 0 ? cluster : { ...cluster, generation };
}

const cluster: Check<SavedCluster> = object(
  { clusterId: id, incarnation: id, authority, settings, settingsRevision: revision },
  { generation: integer(1, ANY) },
);

const node: Check<Node> = object({
  id,
  index: integer(1, 65535),
  role,
  labels,
  facts: nodeFacts,
  certificates: array(certificateRecord, 1, 2),
  bootKey: nullable(bootKey),
  underlayRevision: revision,
  tokenId: nullable(id),
  joinedAtMs: time,
  revision,
}, {});

const network: Check<Network> = object({
  id,
  name,
  vni: integer(4096, 2 ** 24 - 1),
  subnet: subnet(8, 29),
  labels,
  mtuBytes: nullable(mtuBytes),
  allowedNodes,
  keys: nullable(keys),
  createdAtMs: time,
  revision,
}, {});

const endpoint: Check<Endpoint> = object({
  id,
  networkId: id,
  nodeId: id,
  name: nullable(name),
  ip: overlayAddress,
  mac,
  createdAtMs: time,
  revision,
}, {});

const token: Check<Token> = object({
  id,
  secretHash: sha256Text,
  role,
  createdAtMs: time,
  expiresAtMs: integer(0, ANY),
  usesLeft: integer(0, 100_000),
  revision,
}, {});

/** An answer was made by `apply`: it is given again as it stands. */
const outcome: Check<Outcome> = (value, at) => {
  if (!isObject(value) || typeof value.ok !== "boolean") rejectValue(at, "This is no outcome");
  if (!isObject(value.ok ? value.value : value.rejection)) {
    rejectValue(at, "This is no outcome");
  }
  return value as unknown as Outcome;
};

const request: Check<RequestRecord> = object({
  requestId: text(1, 128),
  principal: text(1, 128),
  bodyHash: text(1, 128),
  expiresAtMs: integer(0, ANY),
  outcome,
}, {});

function roundRobin(first: number, last: number): Check<RoundRobinState> {
  const value = integer(first, last);
  return object({ next: value, freed: array(value, 0, ANY) }, {});
}

const contents: Check<Contents> = object({
  v: integer(FIRST_VERSION, VERSION),
  timeMs: time,
  revision,
  cluster: nullable(cluster),
  nodes: array(node, 0, ANY),
  networks: array(network, 0, ANY),
  endpoints: array(endpoint, 0, ANY),
  tokens: array(token, 0, ANY),
  secrets: array(networkSecrets, 0, ANY),
  waiting: array(waitingNumber, 0, ANY),
  nodeIndexes: roundRobin(1, 65535),
  slots: roundRobin(0, SLOTS - 1),
  vnis: roundRobin(4096, 2 ** 24 - 1),
  generated: array(request, 0, ANY),
  keyed: array(request, 0, ANY),
}, {});

function restore(from: Contents): ClusterState {
  const tables = new Tables();
  tables.timeMs = from.timeMs;
  tables.revision = from.revision;
  tables.setCluster(from.cluster === null ? null : { generation: 0, ...from.cluster });
  for (const one of ascending(from.nodes, "nodes")) tables.putNode(one);
  for (const one of ascending(from.networks, "networks")) tables.putNetwork(one);
  for (const one of ascending(from.endpoints, "endpoints")) tables.addEndpoint(one);
  for (const one of ascending(from.tokens, "tokens")) tables.putToken(one);
  restoreKeys(tables, from);
  tables.vnis.restore(from.vnis, from.networks.map(({ vni }) => vni));
  const requests = new Requests();
  for (const record of from.generated) requests.restore(record, requests.generated);
  for (const record of from.keyed) requests.restore(record, requests.keyed);
  return stateOf({ tables, requests });
}

function ascending<T extends { readonly id: Id }>(all: readonly T[], what: string): readonly T[] {
  let previous = "";
  for (const one of all) {
    assert(previous < one.id, `the ${what} are not ordered by id`);
    previous = one.id;
  }
  return all;
}

function byId<T>(all: ReadonlyMap<Id, T>): T[] {
  return [...all].sort(([left], [right]) => left < right ? -1 : 1).map(([, one]) => one);
}
