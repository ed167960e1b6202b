import type { Directories, LogLevel, Ports } from "./ports.ts";

/** What `agent run` was told. */
export interface RunChoice extends Directories {
  readonly logLevel: LogLevel;
  /** Who starts the agent in the background waits there for one line: `ready`, or why not. */
  readonly readyFd: number | undefined;
  /**
   * `stdin`: begin when anything comes there, and end when nothing ever does. So whoever starts the
   * agent lets it load while there is something else to wait for, and a starter that dies takes it
   * along.
   */
  readonly beginOn: "stdin" | undefined;
}

/** Where an agent keeps its things when nobody says otherwise. */
export const DEFAULT_DIRECTORIES: Directories = {
  stateDir: "/var/lib/agent",
  runDir: "/run/agent",
};

/** From the most to the least important. */
export const LOG_LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/** When nobody says otherwise. */
export const DEFAULT_LOG_LEVEL: LogLevel = "info";

/** Runs the agent in this process until it is told to stop; resolves with its exit code. */
export async function runAgent(ports: Ports, choice: RunChoice): Promise<number> {
  const { readyFd, beginOn, ...options } = choice;
  const say = async (line: string) => {
    if (readyFd !== undefined) await ports.process.writeLast(readyFd, `${line}\n`);
  };
  let isReady = false;
  try {
    const lifecycle = await ports.lifecycle();
    return await lifecycle.run({
      ...options,
      mayBegin: async () =>
        beginOn === undefined || await ports.process.inputComes() ? "now" : "never",
      onReady: () => {
        isReady = true;
        void say("ready");
      },
    });
  } catch (error) {
    if (!isReady) await say(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/**
 * Reads `run` when every option has its value beside it and nothing else is there: the way it is
 * started in the background, and most others. The library that reads all command lines would stay
 * in the daemon's memory, 8 MB of it, for as long as that lives.
 *
 * @returns null for every other command line, wrong ones included: the library knows what to say
 */
export function parsePlainRun(args: readonly string[]): RunChoice | null {
  const [command, ...rest] = args;
  if (command !== "run" || rest.length % 2 !== 0) return null;
  const values = new Map<string, string>();
  for (let at = 0; at < rest.length; at += 2) {
    const [name = "", value = ""] = rest.slice(at);
    if (values.has(name) || value === "" || value.startsWith("-")) return null;
    values.set(name, value);
  }
  const take = (name: string) => {
    const value = values.get(name);
    values.delete(name);
    return value;
  };
  const fd = take("--ready-fd") ?? "";
  const beginOn = take("--begin-on");
  const level = take("--log-level") ?? DEFAULT_LOG_LEVEL;
  const logLevel = LOG_LEVELS.find((known) => known === level);
  const choice = {
    stateDir: take("--state-dir") ?? DEFAULT_DIRECTORIES.stateDir,
    runDir: take("--run-dir") ?? DEFAULT_DIRECTORIES.runDir,
    readyFd: fd === "" ? undefined : Number(fd),
  };
  if (beginOn !== undefined && beginOn !== "stdin") return null;
  if (logLevel === undefined || values.size > 0 || !/^(|[3-9]|[1-9][0-9]{1,3})$/.test(fd)) {
    return null;
  }
  return { ...choice, logLevel, beginOn };
}
