import { type Clock, encodeBase64url, type Id, newId, type Random } from "../base/mod.ts";
import { createStore, salvageStore } from "../store/mod.ts";
import {
  type ClusterState,
  type CommandBodies,
  decodeEntry,
  encodeEntry,
  encodeSnapshot,
  type Entry,
  type Outcome,
  valueOf,
} from "../state/mod.ts";
import { ClusterMachine } from "./machine.ts";
import { RefusedError } from "./refused_error.ts";

/** What {@linkcode recoverStore} needs. */
export interface RecoverOptions {
  /** The store of a manager whose cluster has lost its quorum for good; nobody has it open. */
  readonly from: string;
  /** Where the new store is made; null: only to see what would come of it. */
  readonly to: string | null;
  /** The manager's. */
  readonly nodeId: Id;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
}

/** What becomes of a cluster that is recovered or restored. */
export interface Recovery {
  /** The cluster. */
  readonly clusterId: Id;
  /** Its new life. */
  readonly incarnation: { readonly generation: number; readonly id: Id };
  /** What goes on. */
  readonly kept: {
    /** Of the state before. */
    readonly revision: number;
    /** State time, ms: its last entry was written then. */
    readonly writtenAtMs: number;
    readonly nodes: number;
    readonly networks: number;
    readonly endpoints: number;
  };
  /** What does not. */
  readonly discarded: {
    /** Hostnames. */
    readonly managers: readonly string[];
    /** On those managers. */
    readonly endpoints: number;
    readonly tokens: number;
  };
  /** How many encrypted networks begin with new keys. */
  readonly rekeyed: number;
  /** Entries that are kept, though this disk does not know whether a majority had them. */
  readonly uncommitted: number;
}

/**
 * Makes, of all that one manager's disk has, the store of a cluster in a new incarnation with this
 * manager alone. The old store stays as it is.
 *
 * @throws {DataLostError} when the disk has less than was promised with it
 * @throws {RefusedError} when this node is no manager in it
 */
export function recoverStore(options: RecoverOptions): Recovery {
  const { from, to, nodeId, clock, random } = options;
  const machine = new ClusterMachine();
  const { uncommitted } = salvageStore({ directory: from, memberId: nodeId, machine, random });
  if (!machine.state.exists) {
    const message =
      "This manager's disk has no state of the cluster: it had joined, and not heard " +
      "from a leader yet. Take another manager, or a backup";
    throw new RefusedError({ code: "no-cluster", message });
  }
  const begin = { to, memberId: nodeId, clock, random };
  const recovery = beginAnew(machine.state, begin, { keep: nodeId });
  return { ...recovery, uncommitted };
}

/** What {@linkcode beginAnew} needs. */
export interface BeginAnewOptions extends Pick<RecoverOptions, "to" | "clock" | "random"> {
  /** The only voter. */
  readonly memberId: Id;
}

/**
 * Brings the state into its next incarnation, and makes the store that begins with it. That is a snapshot
 * alone: with the state of before and the command as an entry behind it, the secrets that have to go
 * would stay on the disk and be sent to each new manager, and one of an agent too old to know the command
 * would come to another state than the others.
 *
 * @throws {RefusedError} when it cannot be; then there is no store
 */
export function beginAnew(
  state: ClusterState,
  { to, memberId, clock, random }: BeginAnewOptions,
  manager: Pick<CommandBodies["cluster.recover"], "keep" | "node">,
): Omit<Recovery, "uncommitted"> {
  const before = describe(state);
  const encrypted = [...state.networks.values()].filter(({ keys }) => keys !== null);
  const at = Math.max(clock.nowMs(), state.timeMs);
  const incarnation = newId(random);
  const entry: Entry = {
    v: 1,
    kind: "cluster.recover",
    requestId: newId(random),
    principal: `manager:${memberId}`,
    bodyHash: incarnation,
    from: at,
    at,
    body: {
      ...manager,
      incarnation,
      secrets: encrypted.map(() => encodeBase64url(random.bytes(32))),
    },
  };
  const { removed, removedEndpoints, removedTokens, rekeyed, generation } = valueOf(
    "cluster.recover",
    doneOf(state.apply(decodeEntry(encodeEntry(entry))).outcome),
  );
  if (to !== null) {
    createStore({ directory: to, incarnation, random, memberId, snapshot: encodeSnapshot(state) });
  }
  return {
    clusterId: state.clusterId,
    incarnation: { generation, id: incarnation },
    kept: {
      revision: before.revision,
      writtenAtMs: before.writtenAtMs,
      nodes: state.nodes.size,
      networks: state.networks.size,
      endpoints: state.endpoints.size,
    },
    discarded: {
      managers: removed.map((id) => before.hostnames.get(id) ?? id).sort(),
      endpoints: removedEndpoints,
      tokens: removedTokens,
    },
    rekeyed,
  };
}

function describe(state: ClusterState) {
  return {
    revision: state.revision,
    writtenAtMs: state.timeMs,
    hostnames: new Map([...state.nodes.values()].map(({ id, facts }) => [id, facts.hostname])),
  };
}

/** @throws {RefusedError} when it is a rejection */
function doneOf(outcome: Outcome) {
  if (outcome.ok) return outcome.value;
  throw new RefusedError(outcome.rejection);
}
