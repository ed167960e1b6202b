import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { resolve as absolute } from "node:path";
import process from "node:process";
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

/** `agent run` as a process of its own, which outlives this one and its terminal. */
export class BackgroundAgent {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess, logPath: string) {
    this.#child = child;
    this.#logPath = logPath;
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
  }

  /**
   * Starts the process, which loads itself and then waits. It touches nothing before
   * {@linkcode begin}, and ends by itself when this process does.
   */
  static load(directories: Directories): BackgroundAgent {
    const { log } = pathsOf(directories);
    const logFd = openSync(log, "a", 0o600);
    const { stateDir, runDir } = directories;
    const [program, ...args] = ownCommand();
    args.push("run", "--state-dir", stateDir, "--run-dir", runDir);
    args.push("--ready-fd", String(READY_FD), "--begin-on", "stdin");
    const child = spawn(program, args, { detached: true, stdio: ["pipe", logFd, logFd, "pipe"] });
    closeSync(logFd);
    return new BackgroundAgent(child, log);
  }

  /**
   * Has it take up the membership that is in its directories now; resolves when it is ready.
   *
   * @throws {StartError} when it is not; then it does not run
   */
  async begin(): Promise<void> {
    const { stdin } = this.#child;
    // One that has ended already says so by the end of its words.
    stdin?.on("error", () => {});
    stdin?.end("begin\n");
    const said = await firstWords(this.#child);
    if (said !== "ready") {
      await this.dismiss();
      throw new StartError(
        `${said ?? "The agent ended before it was ready"}; ${this.#logPath} says more`,
      );
    }
    this.#child.unref();
  }

  /** Ends it; resolves when it is no more. */
  async dismiss(): Promise<void> {
    const { pid } = this.#child;
    // The whole group, which it leads: the shell that it begins as may have a child at that moment.
    if (pid !== undefined && this.#child.exitCode === null) killGroup(pid);
    await this.#ended;
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** What starts this very program again, by an absolute path. */
export function ownCommand(): [string, ...string[]] {
  const executable = Deno.env.get("AGENT_EXECUTABLE");
  // Not the real path: a link is what somebody changes to bring in another version.
  if (executable !== undefined) return [absolute(executable)];
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
