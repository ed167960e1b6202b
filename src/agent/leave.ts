import { MachineHost, MachineWorkloads, StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord } from "../node/mod.ts";
import { Reconciler } from "../overlay/mod.ts";
import { createLogger, type FileLock, lockFile, systemClock, Watcher } from "../sys/mod.ts";
import { forgetMembership, LifecycleError, type Say } from "./lifecycle.ts";
import { type Directories, pathsOf } from "./paths.ts";

const STOP_DEADLINE_MS = 15_000;
const LOOK_AGAIN_MS = 20;

/** How to leave. */
export interface LeaveOptions extends Directories {
  /**
   * `tell`: the cluster has to let the node go first. `force`: it is not asked; for the last
   * manager, with which the cluster ends, and for a host that no manager can be reached from.
   */
  readonly cluster: "tell" | "force";
  /**
   * Asks the cluster, through the agent of this host, to remove this node.
   *
   * @throws when it refuses, or no agent runs
   */
  readonly removeFromCluster: (nodeId: string) => Promise<void>;
}

/** Ends this host's membership: nothing of ours stays, in the kernel or on the disk. */
export async function leaveCluster(options: LeaveOptions, say: Say): Promise<void> {
  const record = readRecord(options);
  if (options.cluster === "tell") {
    say("Telling the cluster");
    await options.removeFromCluster(record.nodeId);
  }
  say("Stopping the agent");
  const lock = await stopAgent(options);
  try {
    say("Taking its networks off this host");
    await clearKernel();
    forgetMembership(options);
    Deno.removeSync(pathsOf(options).lock);
  } finally {
    lock.release();
  }
}

function readRecord({ stateDir }: Directories): NodeRecord {
  const store = new IdentityStore(new StateFiles(stateDir));
  if (store.exists()) return store.readRecord();
  throw new LifecycleError(`This host is not a member of a cluster: ${stateDir} holds none`);
}

/** The lock is the proof that it has ended; until then it may still write to the kernel. */
async function stopAgent(directories: Directories): Promise<FileLock> {
  const { lock: path } = pathsOf(directories);
  const endMs = systemClock.monotonicMs() + STOP_DEADLINE_MS;
  let asked: number | null = null;
  for (;;) {
    const answer = lockFile(path);
    if (answer.kind === "locked") return answer.lock;
    const { holderPid } = answer;
    if (holderPid !== null && holderPid !== asked) {
      Deno.kill(holderPid, "SIGTERM");
      asked = holderPid;
    }
    if (systemClock.monotonicMs() > endMs) {
      throw new LifecycleError(
        `The agent (process ${holderPid ?? "unknown"}) has not stopped: end it, then run ` +
          "`agent leave --force`",
      );
    }
    await new Promise<void>((resolve) => void systemClock.schedule(LOOK_AGAIN_MS, resolve));
  }
}

async function clearKernel(): Promise<void> {
  const watcher = new Watcher();
  const host = new MachineHost(watcher, new MachineWorkloads(watcher));
  const logger = createLogger({ level: "error" });
  const reconciler = new Reconciler({ host, clock: systemClock, logger });
  try {
    const problems = await reconciler.removeAll();
    const [problem] = problems;
    if (problem !== undefined) {
      throw new LifecycleError(`Not all could be taken off this host: ${problem.message}`);
    }
  } finally {
    await watcher.close();
  }
}
