import { decodeBase64url } from "../base/mod.ts";
import { createKeyAndCsr } from "../ca/mod.ts";
import type { BeginOptions, InitOptions, JoinOptions, Membership, Say } from "../cli/mod.ts";
import { MachineHost, MachineWorkloads, RunDirectory, StateFiles } from "../machine/mod.ts";
import { IdentityStore, joinCluster } from "../node/mod.ts";
import { DEFAULT_SETTINGS, type NodeFacts } from "../state/mod.ts";
import { isRoot, lockFile, systemClock, systemRandom, Watcher } from "../sys/mod.ts";
import { chooseAddresses, joinAddress, splitAddress } from "./addresses.ts";
import { BackgroundAgent, ownCommand } from "./background.ts";
import { HostDescription } from "./describe.ts";
import { ENCRYPTION_UNTRIED } from "./encryption_probe.ts";
import { type Directories, MEMBERSHIP_ENTRIES, pathsOf, RUN_ENTRIES } from "./paths.ts";
import { Service } from "./service.ts";
import { systemd } from "./systemd.ts";
import { AGENT_VERSION } from "./version.ts";

/** A host cannot become a node, or cannot stop being one. */
export class LifecycleError extends Error {
  /** `LifecycleError`. */
  override name = "LifecycleError";
}

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
    const { clusterId, nodeId, certificate, root } = await foundCluster({
      directory: pathsOf(options).store,
      clock: systemClock,
      random: systemRandom,
      csr,
      facts,
      settings: options.pool === undefined ? {} : { addressPool: options.pool },
    });
    const { controlAddress, vtepAddress } = facts;
    store.writeTls(privateKey, decodeBase64url(certificate), [decodeBase64url(root)]);
    store.writeRecord({
      v: 1,
      clusterId,
      nodeId,
      role: "manager",
      controlAddress,
      vtepAddress,
      managers: [{ id: nodeId, address: controlAddress }],
    });
    return { clusterId, nodeId, controlAddress };
  });
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

async function becomeMember(
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
  const service = new Service(systemd, options);
  const asService = options.service === "if-available" && service.isPossible();
  // It loads while the other side is waited for, which is half of the time that it takes to start.
  const agent = options.start === "background" && !asService ? BackgroundAgent.load(options) : null;
  let joined: Joined;
  try {
    joined = await become(store);
  } catch (error) {
    await agent?.dismiss();
    forgetMembership(options);
    Deno.removeSync(pathsOf(options).lock);
    throw error;
  } finally {
    answer.lock.release();
  }
  const membership = { ...joined, logPath: pathsOf(options).log };
  if (options.start === "none") return { ...membership, runs: "not" };
  if (agent === null) {
    say("Installing and starting agent.service");
    await service.start(ownCommand());
    return { ...membership, runs: "as-service" };
  }
  say("Starting the agent");
  await agent.begin();
  return { ...membership, runs: "as-process" };
}

async function describeHost(options: BeginOptions, leader: string | null): Promise<NodeFacts> {
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

function removeIfThere(path: string): void {
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
