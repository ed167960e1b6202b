import { MachineHost, MachineWorkloads, StateFiles } from "../machine/mod.ts";
import { IdentityStore } from "../node/mod.ts";
import { Reconciler } from "../overlay/mod.ts";
import { createLogger, type FileLock, lockFile, systemClock, Watcher } from "../sys/mod.ts";
import type { Say } from "../cli/mod.ts";
import { forgetMembership } from "./lifecycle.ts";
import { LifecycleError } from "./lifecycle_error.ts";
import { type Directories, pathsOf } from "./paths.ts";
import { Service } from "./service.ts";
import { systemd } from "./systemd.ts";

const STOP_DEADLINE_MS = 15_000;
const LOOK_AGAIN_MS = 20;

/**
 * Takes everything of ours off this host: the agent, what it made in the kernel, its files. What
 * the cluster knows of the node is the caller's concern.
 *
 * @throws {LifecycleError} when this host is no member, or something does not go
 */
export async function leaveHost(directories: Directories, say: Say): Promise<void> {
  if (!new IdentityStore(new StateFiles(directories.stateDir)).exists()) {
    throw new LifecycleError(
      `This host is not a member of a cluster: ${directories.stateDir} holds none`,
    );
  }
  say("Stopping the agent");
  // Before the process: systemd would start one that somebody else has ended.
  await new Service(systemd, directories).remove();
  const lock = await stopAgent(directories);
  try {
    say("Taking its networks off this host");
    await clearKernel();
    forgetMembership(directories);
    Deno.removeSync(pathsOf(directories).lock);
  } finally {
    lock.release();
  }
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
      endProcess(holderPid);
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

/** It may have ended by itself since the lock was looked at: the cluster has removed it. */
function endProcess(pid: number): void {
  try {
    Deno.kill(pid, "SIGTERM");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function clearKernel(): Promise<void> {
  const watcher = new Watcher();
  const host = new MachineHost(watcher, new MachineWorkloads(watcher));
  const logger = createLogger({ level: "error" });
  const reconciler = new Reconciler({ host, clock: systemClock, logger, keys: null });
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
