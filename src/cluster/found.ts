import { type Clock, encodeBase64url, type Id, newId, type Random } from "../base/mod.ts";
import { checkCsr, createRoot, issue } from "../ca/mod.ts";
import { createStore, openSingleStore } from "../store/mod.ts";
import {
  type Applied,
  DEFAULT_SETTINGS,
  encodeEntry,
  type Entry,
  type NodeFacts,
  type Settings,
} from "../state/mod.ts";
import { recordOf } from "./issuer.ts";
import { ClusterMachine } from "./machine.ts";
import { RefusedError } from "./refused_error.ts";

/** What a new cluster begins with. */
export interface FoundOptions {
  /** For the store; it must not be there yet. */
  readonly directory: string;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
  /** PKCS #10 DER of the first manager's key. */
  readonly csr: Uint8Array;
  /** What the host says of itself. */
  readonly facts: NodeFacts;
  /** Where it differs from the defaults. */
  readonly settings: Partial<Settings>;
}

/** The new cluster's first member, as it has to know itself. */
export interface Founded {
  /** The cluster. */
  readonly clusterId: Id;
  /** The node. */
  readonly nodeId: Id;
  /** DER, base64url. */
  readonly certificate: string;
  /** DER of the root, base64url. */
  readonly root: string;
}

/**
 * Makes a cluster of one manager: its authority, the manager's certificate, and the store with the
 * command that creates it all. Durable when it resolves.
 */
export async function foundCluster(options: FoundOptions): Promise<Founded> {
  const { directory, clock, random, facts } = options;
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const nowMs = clock.nowMs();
  const clusterId = newId(random);
  const nodeId = newId(random);
  const root = await createRoot({ clusterId, serial: random.bytes(16), nowMs });
  const certificate = await issue({
    root: root.certificate,
    rootKey: root.privateKey,
    publicKey: checkCsr(options.csr).publicKey,
    clusterId,
    role: "manager",
    id: nodeId,
    serial: random.bytes(16),
    nowMs,
    lifetimeMs: settings.certificateValidityMs,
  });
  const founded = {
    clusterId,
    nodeId,
    certificate: encodeBase64url(certificate),
    root: encodeBase64url(root.certificate),
  };
  const entry: Entry = {
    v: 1,
    kind: "cluster.create",
    requestId: newId(random),
    principal: `manager:${nodeId}`,
    bodyHash: founded.clusterId,
    from: nowMs,
    at: nowMs,
    body: {
      clusterId,
      incarnation: newId(random),
      authority: { roots: [founded.root], rootKey: encodeBase64url(root.privateKey) },
      settings,
      node: {
        id: nodeId,
        role: "manager",
        labels: {},
        facts,
        certificate: recordOf(certificate, { clusterId, roots: [root.certificate] }, nowMs),
      },
    },
  };
  await writeFirstEntry(directory, entry, random);
  return founded;
}

async function writeFirstEntry(directory: string, entry: Entry, random: Random): Promise<void> {
  if (entry.kind !== "cluster.create") throw new TypeError(`${entry.kind} creates no cluster`);
  const { incarnation, node: { id: memberId } } = entry.body;
  createStore({ directory, incarnation, random, memberId });
  const store = openSingleStore<Applied>({
    directory,
    machine: new ClusterMachine(),
    random,
    // The proposal below is rejected with the same error, and ends the founding.
    onFailure: () => {},
  });
  try {
    const { outcome } = await store.propose(encodeEntry(entry));
    if (!outcome.ok) throw new RefusedError(outcome.rejection);
  } finally {
    await store.close();
  }
}
