import type { Lifecycle, RunOptions } from "../cli/mod.ts";
import { dropTrustEnvironment, notifyServiceManager } from "../sys/mod.ts";
import { READY_STATUS } from "./service_unit.ts";

// Before the first connection: none of these may say whom this program trusts.
dropTrustEnvironment();

/**
 * The life of an agent on this host, as the command line wants it. Each part is loaded when it is
 * asked for: what begins a membership has no place in the memory of the agent that then runs for
 * months, and loading the agent takes time that a host which only joins does not have to wait.
 */
export const lifecycle: Lifecycle = {
  init: async (options, say) => (await import("./lifecycle.ts")).initCluster(options, say),
  join: async (options, say) => (await import("./lifecycle.ts")).joinExisting(options, say),
  recover: async (options, say, tell) =>
    (await import("./recover.ts")).recoverCluster(options, say, tell),
  restore: async (options, say, tell) =>
    (await import("./restore.ts")).restoreBackup(options, say, tell),
  run: runAndTell,
  leave: async (directories, say) => (await import("./leave.ts")).leaveHost(directories, say),
};

/** A boot does not wait longer for a node whose managers are away. */
const READY_AT_LATEST_MS = 10_000;

/** Runs the agent; a service manager that has started it hears when it is ready, or why it failed. */
async function runAndTell({ mayBegin, ...options }: RunOptions): Promise<number> {
  const socket = Deno.env.get("NOTIFY_SOCKET");
  // Nobody else is to speak for this process.
  Deno.env.delete("NOTIFY_SOCKET");
  const tell = (state: string) => {
    try {
      notifyServiceManager(socket, state);
    } catch {
      // A node works without it: a service manager that hears nothing ends the start by itself.
    }
  };
  const timer = setTimeout(
    () => tell("READY=1\nSTATUS=Runs, and waits for a manager"),
    READY_AT_LATEST_MS,
  );
  try {
    const { runDaemon } = await import("./daemon.ts");
    if (await mayBegin() === "never") return 0;
    return await runDaemon({
      ...options,
      onReady: () => {
        clearTimeout(timer);
        tell(`READY=1\nSTATUS=${READY_STATUS}`);
        options.onReady();
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    tell(`STATUS=${reason.replaceAll("\n", " ")}`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
