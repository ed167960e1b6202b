/**
 * Child processes that end with everything they started, however this process ends. As root each
 * has a process namespace of its own, so the kernel kills all of it at once, daemons included; and
 * the kernel does so by itself should this process die without a chance to.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What the descriptors from 0 on are, as `node:child_process` has it. */
  readonly stdio: ("ignore" | "inherit" | "pipe")[];
  /** The CPU that it and everything it starts runs on; without it, any. */
  readonly cpu?: number | undefined;
  /**
   * `machine`: it has also a network and a /run of its own, so that it neither changes this machine nor
   * leaves anything in it. Needs root.
   */
  readonly apart?: "processes" | "machine";
}

/** Passes the status on, and keeps the shell's own remarks ("Killed") out of the command's stderr. */
const supervise = 'exec 9>&2 2>/dev/null; "$@" 2>&9 9>&-; exit $?';

/** The command line that runs `command` bound to this process's life. */
function bound(command: readonly string[], { cpu, apart }: ChildOptions): string[] {
  const pin = cpu === undefined ? [] : ["taskset", "-c", `${cpu}`];
  const prepare = apart === "machine"
    ? "mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up && "
    : "";
  // Only root may make a process namespace. A shell stands first in it: the first process of a
  // namespace has no default signal actions and would have to reap what others leave.
  const namespace = Deno.uid() === 0
    ? [
      "unshare",
      "--pid",
      "--fork",
      "--kill-child=KILL",
      "--mount-proc",
      ...(apart === "machine" ? ["--net"] : []),
      "--",
    ]
    : [];
  return [
    "--pdeathsig",
    "KILL",
    ...namespace,
    ...pin,
    "sh",
    "-c",
    prepare + supervise,
    "sh",
    ...command,
  ];
}

export class Child {
  readonly process: ChildProcess;
  /** How it ended: its exit status, as a shell counts it (128 + N for signal N). */
  readonly status: Promise<number>;
  #over = false;

  constructor(command: readonly string[], options: ChildOptions) {
    this.process = spawn("setpriv", bound(command, options), {
      detached: true,
      stdio: options.stdio,
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    this.status = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      // "close" and not "exit": what it wrote has been read by then.
      this.process.once("close", (code) => {
        this.#over = true;
        resolve(code ?? 137);
      });
    });
  }

  /** Asks the child to end by TERM, and kills all of it if it has not ended `graceMs` later. */
  async end({ graceMs }: { graceMs: number }): Promise<void> {
    this.#signalGroup("SIGTERM");
    const timer = setTimeout(() => this.#signalGroup("SIGKILL"), graceMs);
    await this.status;
    clearTimeout(timer);
  }

  /** Kills the child and all that it started. */
  async kill(): Promise<void> {
    this.#signalGroup("SIGKILL");
    await this.status;
  }

  /** The child leads a group of its own; in it are the namespace's keeper and the command. */
  #signalGroup(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#over || this.process.pid === undefined) return;
    try {
      process.kill(-this.process.pid, signal);
    } catch (error) {
      // Everything in the group has ended by itself.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

/** Calls `end` with the exit status to use at each INT, TERM or HUP, until the result is called. */
export function onInterrupt(end: (status: number) => void): () => void {
  const stops: (() => void)[] = [];
  for (const [name, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    const listener = () => end(status);
    Deno.addSignalListener(name, listener);
    stops.push(() => Deno.removeSignalListener(name, listener));
  }
  return () => stops.forEach((stop) => stop());
}

/** The CPUs that this process may run on, in order. */
export function availableCpus(): number[] {
  const status = Deno.readTextFileSync("/proc/self/status");
  const ranges = status.match(/^Cpus_allowed_list:\s*(\S+)$/m)?.[1] ?? "0";
  return ranges.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
