/**
 * A User Mode Linux guest for one command: a whole kernel with ESP as an ordinary process. It boots
 * in two to three seconds, has one CPU, and sees this machine's files under a layer of its own.
 *
 * @module
 */
import { createWriteStream, existsSync, statfsSync } from "node:fs";
import { once } from "node:events";
import { Readable } from "node:stream";
import process from "node:process";
import { Child } from "./child.ts";
import { RunDirectory } from "./run_directory.ts";

export interface GuestOptions {
  readonly cpu: number;
  readonly memoryMiB: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Directories in which the guest's writes are this machine's. */
  readonly shares: readonly string[];
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The script that becomes `command` in the guest, with the caller's environment and directory. */
export function commandScript(command: readonly string[], options: GuestOptions): string {
  const exports = Object.entries(options.env)
    // Names that are no identifiers (exported bash functions) cannot be set by a shell.
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`);
  return [
    ...exports,
    "export PATH=$PATH:/usr/sbin:/sbin AGENT_LAB=guest",
    `cd ${quote(options.cwd)} || exit 125`,
    `exec ${command.map(quote).join(" ")}`,
    "",
  ].join("\n");
}

/**
 * Where the guest's memory file goes: a file system that has room for all of it, since the guest
 * dies of SIGBUS when it has not (containers often have a /dev/shm of 64 MiB).
 */
function memoryDirectory(memoryMiB: number): string {
  for (const directory of ["/dev/shm", "/tmp", "/var/tmp"]) {
    try {
      const { bavail, bsize } = statfsSync(directory);
      if (bavail * bsize >= memoryMiB * 2 ** 20) return directory;
    } catch {
      // Not there: the next one.
    }
  }
  throw new Error(
    `Cannot start the guest: none of /dev/shm, /tmp and /var/tmp has ${memoryMiB} MiB free; ` +
      "free some space, or give it less with --memory",
  );
}

/** One guest, from boot to the end of its one command. */
export class Guest {
  readonly #run: RunDirectory;
  readonly #child: Child;
  readonly #outputs: Promise<unknown>[] = [];
  #ended = false;

  constructor(command: readonly string[], options: GuestOptions) {
    this.#run = new RunDirectory("agent-lab");
    try {
      this.#write(command, options);
      this.#child = this.#boot(options);
      this.#connect();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #write(command: readonly string[], options: GuestOptions): void {
    const directory = this.#run.path;
    const shares = [directory, ...options.shares].map((share) => `${share}\n`).join("");
    Deno.writeTextFileSync(`${directory}/command`, commandScript(command, options));
    Deno.writeTextFileSync(`${directory}/shares`, shares);
    Deno.copyFileSync(new URL("./lab_guest.sh", import.meta.url), `${directory}/init`);
    Deno.chmodSync(`${directory}/init`, 0o755);
  }

  #boot(options: GuestOptions): Child {
    const directory = this.#run.path;
    return new Child([
      "linux.uml",
      `mem=${options.memoryMiB}M`,
      "rootfstype=hostfs",
      "rootflags=/",
      "ro",
      `init=${directory}/init`,
      `agent.run=${directory}`,
      `uml_dir=${directory}/`,
      "con=null",
      "con0=null,fd:1",
      "ssl0=null,fd:3",
      "ssl1=null,fd:4",
      "panic=-1",
      "quiet",
    ], {
      cpu: options.cpu,
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
      env: {
        PATH: `${options.env.PATH ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`,
        TMPDIR: memoryDirectory(options.memoryMiB),
      },
    });
  }

  /** The kernel's own words go to a file, the command's output where ours goes. */
  #connect(): void {
    const console = createWriteStream(`${this.#run.path}/console`);
    const [, out, err, ...lines] = this.#child.process.stdio;
    for (const stream of [out, err]) {
      if (stream instanceof Readable) stream.pipe(console, { end: false });
    }
    for (const [index, sink] of [process.stdout, process.stderr].entries()) {
      const line = lines[index];
      if (!(line instanceof Readable)) throw new Error("The guest has no serial lines");
      line.pipe(sink, { end: false });
      this.#outputs.push(once(line, "end"));
    }
  }

  /** The command's exit status; 125, with the kernel's last words on stderr, if there is none. */
  async status(): Promise<number> {
    await this.#child.status;
    await Promise.all(this.#outputs);
    const status = `${this.#run.path}/status`;
    if (existsSync(status)) return Number.parseInt(Deno.readTextFileSync(status), 10);
    if (!this.#ended) {
      const console = Deno.readTextFileSync(`${this.#run.path}/console`);
      const words = console.replaceAll("\r", "").trimEnd().split("\n").slice(-15).join("\n");
      process.stderr.write(
        `${words}\nlab: the guest ended before its command did; above is what its kernel said last\n`,
      );
    }
    return 125;
  }

  /** Ends the guest at once; its command hears nothing of it, for nothing of it outlives the guest. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#child.kill();
  }

  /** Removes what the guest had on this machine. */
  close(): void {
    this.#run[Symbol.dispose]();
  }
}
