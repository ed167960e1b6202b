import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { Readable } from "node:stream";
import { type Directories, pathsOf } from "./paths.ts";

/** The descriptor on which the child says that it is ready, or why it cannot be. */
export const READY_FD = 3;
const DEADLINE_MS = 30_000;

/** The agent in the background did not become ready. */
export class StartError extends Error {
  /** `StartError`. */
  override name = "StartError";
}

/**
 * Starts `agent run` as a process of its own, which outlives this one and its terminal, and waits
 * until it is ready.
 *
 * @throws {StartError} when it is not; then it does not run
 */
export async function startInBackground(directories: Directories): Promise<void> {
  const { log } = pathsOf(directories);
  const logFd = openSync(log, "a", 0o600);
  const { stateDir, runDir } = directories;
  const [program, ...args] = ownCommand();
  args.push("run", "--state-dir", stateDir, "--run-dir", runDir, "--ready-fd", String(READY_FD));
  const child = spawn(program, args, { detached: true, stdio: ["ignore", logFd, logFd, "pipe"] });
  closeSync(logFd);
  const said = await firstWords(child);
  if (said !== "ready") {
    child.kill("SIGKILL");
    throw new StartError(`${said ?? "The agent ended before it was ready"}; ${log} says more`);
  }
  child.unref();
}

/** What starts this very program again. */
function ownCommand(): [string, ...string[]] {
  const executable = Deno.env.get("AGENT_EXECUTABLE");
  if (executable !== undefined) return [executable];
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--allow-all", Deno.mainModule];
}

function firstWords(child: ChildProcess): Promise<string | null> {
  const pipe = child.stdio[READY_FD];
  if (!(pipe instanceof Readable)) throw new TypeError("the child has a pipe to speak on");
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("The agent was not ready in time"), DEADLINE_MS);
    const settle = (said: string | null) => {
      clearTimeout(timer);
      pipe.destroy();
      resolve(said);
    };
    pipe.once("data", (bytes: Uint8Array) => settle(new TextDecoder().decode(bytes).trim()));
    pipe.once("end", () => settle(null));
    child.once("error", (error) => settle(error.message));
  });
}
