import { decodeBase64url } from "../base/mod.ts";
import { createKeyAndCsr } from "../ca/mod.ts";
import type { BeginOptions, InitOptions, JoinOptions, Membership, Say } from "../cli/mod.ts";
import { MachineHost, MachineWorkloads, RunDirectory, StateFiles } from "../machine/mod.ts";
import { IdentityStore, joinCluster, type NodeRecord } from "../node/mod.ts";
import { DEFAULT_SETTINGS, type NodeFacts } from "../state/mod.ts";
import { isRoot, lockFile, systemClock, systemRandom, Watcher } from "../sys/mod.ts";
import { chooseAddresses, joinAddress, splitAddress } from "./addresses.ts";
import { HostDescription } from "./describe.ts";
import { ENCRYPTION_UNTRIED } from "./encryption_probe.ts";
import { LifecycleError } from "./lifecycle_error.ts";
import { type Directories, MEMBERSHIP_ENTRIES, pathsOf, RUN_ENTRIES } from "./paths.ts";
import { AgentStart } from "./start.ts";
import { AGENT_VERSION } from "./version.ts";

/** What a host has become, before anything runs on it. */
type Joined = Pick<Membership, "clusterId" | "nodeId" | "controlAddress">;

/** Founds a cluster with this host as its first manager. */
export function initCluster(options: InitOptions, say: Say): Promise<Membership> {
  return becomeMember(options, say, async (store) => {
    const facts = await describeHost(options, null);
    say("Making the cluster's certificate authority and this host's certificate");
    const { privateKey, csr } = createKeyAndCsr();
    // A host that joins needs none of it.
    const { foundCluster } = await import("../cluster/mod.ts");
    // Of one that was killed before this host counted as a member.
    removeIfThere(pathsOf(options).store);
    const { clusterId, nodeId, certificate, root } = await foundCluster({
      directory: pathsOf(options).store,
      clock: systemClock,
      random: systemRandom,
      csr,
      facts,
      settings: options.pool === undefined ? {} : { addressPool: options.pool },
    });
    const about = { clusterId, nodeId, certificate, roots: [root] };
    return writeOnlyManager(store, privateKey, facts, about);
  });
}

/** What makes a host the only manager of a cluster. */
interface OnlyManager extends Pick<NodeRecord, "clusterId" | "nodeId" | "incarnation"> {
  /** Of its private key, base64url. */
  readonly certificate: string;
  /** Each base64url. */
  readonly roots: readonly string[];
}

/** Writes down that this host is the only manager of its cluster. */
export function writeOnlyManager(
  store: IdentityStore,
  privateKeyPem: string,
  { controlAddress, vtepAddress }: NodeFacts,
  { certificate, roots, ...membership }: OnlyManager,
): Joined {
  const { clusterId, nodeId } = membership;
  store.writeTls(privateKeyPem, decodeBase64url(certificate), roots.map(decodeBase64url));
  store.writeRecord({
    v: 1,
    ...membership,
    role: "manager",
    controlAddress,
    vtepAddress,
    managers: [{ id: nodeId, address: controlAddress }],
  });
  return { clusterId, nodeId, controlAddress };
}

/** Makes this host a node of the cluster that a manager and a token name. */
export function joinExisting(options: JoinOptions, say: Say): Promise<Membership> {
  return becomeMember(options, say, async (store) => {
    const { address, port } = splitAddress(options.address, DEFAULT_SETTINGS.controlPort);
    return await joinCluster({
      address: joinAddress(address, port),
      token: options.token,
      facts: await describeHost(options, address),
      probePort: DEFAULT_SETTINGS.plainVxlanPort,
      store,
      clock: systemClock,
      random: systemRandom,
      onStep: say,
      becomeManager: async (incarnation) => {
        const { createStore } = await import("../store/mod.ts");
        const directory = pathsOf(options).store;
        // Of a join that was killed before this host counted as a member.
        removeIfThere(directory);
        createStore({ directory, incarnation, random: systemRandom, begin: "join" });
      },
    });
  });
}

/**
 * Removes what a membership keeps on this host, and nothing else that may be in its directories.
 * The agent must not run.
 */
export function forgetMembership({ stateDir, runDir }: Directories): void {
  for (const entry of MEMBERSHIP_ENTRIES) removeIfThere(`${stateDir}/${entry}`);
  removeIfThere(pathsOf({ stateDir, runDir }).socket);
  const run = new RunDirectory(runDir);
  for (const entry of RUN_ENTRIES) run.remove(entry);
  removeIfEmpty(runDir);
}

/**
 * Makes this host a member, by `become`, and starts the agent.
 *
 * @throws {LifecycleError} when it is one, and whatever `become` throws; then nothing is left of it
 */
export async function becomeMember(
  options: BeginOptions,
  say: Say,
  become: (store: IdentityStore) => Promise<Joined>,
): Promise<Membership> {
  if (!isRoot()) {
    throw new LifecycleError(
      "Networks are made by root alone: run this as root, for example with sudo",
    );
  }
  Deno.mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const answer = lockFile(pathsOf(options).lock);
  const store = new IdentityStore(new StateFiles(options.stateDir));
  if (answer.kind === "held" || store.exists()) {
    if (answer.kind === "locked") answer.lock.release();
    throw new LifecycleError(
      `This host is a member of a cluster already (${options.stateDir}): run \`agent leave\` ` +
        "first, or name another --state-dir and --run-dir",
    );
  }
  // It loads while the other side is waited for, which is half of the time that it takes to start.
  const agent = new AgentStart(options);
  let joined: Joined;
  try {
    joined = await become(store);
  } catch (error) {
    await agent.dismiss();
    forgetMembership(options);
    Deno.removeSync(pathsOf(options).lock);
    throw error;
  } finally {
    answer.lock.release();
  }
  return { ...joined, logPath: pathsOf(options).log, runs: await agent.begin(say) };
}

/** What this host says of itself before an agent runs on it. */
export async function describeHost(
  options: BeginOptions,
  leader: string | null,
): Promise<NodeFacts> {
  const watcher = new Watcher();
  try {
    const host = new MachineHost(watcher, new MachineWorkloads(watcher));
    const addresses = chooseAddresses(host, options, leader, DEFAULT_SETTINGS.controlPort);
    const encryption = () => ENCRYPTION_UNTRIED;
    return new HostDescription({ host, addresses, encryption, agentVersion: AGENT_VERSION })
      .facts();
  } finally {
    await watcher.close();
  }
}

/** Removes a file, or a directory with all that is in it. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    Deno.removeSync(directory);
  } catch {
    // Something of somebody else's is in it, or it is not there: both are as they should be.
  }
}
