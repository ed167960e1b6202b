/**
 * Hosts to test on, made of namespaces and joined by an underlay bridge in a namespace of its own.
 *
 * A host has its own network, mounts (`/run`, `/var/lib/agent`, `/proc`, `/sys`), processes and host name; the
 * rest of the file system is the machine's. Nothing has a name on the machine, so any number of
 * labs stand side by side; and all of it lives in one process namespace whose first process dies
 * with this one, so nothing outlives the lab, daemons included, even after `kill -9`.
 *
 * ```ts
 * await using lab = await TestLab.start();
 * const one = await lab.addHost("one", { address: "192.0.2.1/24" });
 * const two = await lab.addHost("two", { address: "192.0.2.2/24" });
 * await one.exec("ping", "-c", "1", two.address);
 * ```
 *
 * @module
 */

/** What a finished command left. */
export interface CommandOutput {
  /** Exit status, as a shell counts it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command run in the lab may be given beside its arguments. */
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A command that was expected to succeed and did not. */
export class CommandError extends Error {
  readonly output: CommandOutput;
  constructor(where: string, argv: readonly string[], output: CommandOutput) {
    const said = (output.stderr + output.stdout).trim();
    super(`${where}: "${argv.join(" ")}" ended with status ${output.status}: ${said}`);
    this.name = "CommandError";
    this.output = output;
  }
}

/** A command that goes on running in a host. */
export class TestProcess {
  readonly #entry: Deno.ChildProcess;
  readonly status: Promise<number>;
  constructor(entry: Deno.ChildProcess) {
    this.#entry = entry;
    this.status = entry.status.then((status) => status.code);
  }

  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#entry.stdout;
  }

  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#entry.stderr;
  }

  /** Its process number as the machine counts, once it has one. */
  async pid(): Promise<number> {
    // Whoever joins a process namespace does so in a child: that one is the command.
    const { pid } = this.#entry;
    let ended = false;
    void this.#entry.status.then(() => ended = true);
    while (!ended) {
      const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
      if (children.trim() !== "") return Number.parseInt(children, 10);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error("The command has ended already");
  }

  /** Its process number as its own host counts. */
  async pidInHost(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${await this.pid()}/status`);
    return Number(status.match(/^NSpid:.*?(\d+)$/m)?.[1]);
  }

  async kill(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    Deno.kill(await this.pid(), signal);
  }

  /**
   * Has its end be seen: nsenter stops with its command, but is not continued with it, and as long as it
   * stands still the command that has ended stays a zombie, and its process namespace does not end.
   */
  wake(): void {
    try {
      this.#entry.kill("SIGCONT");
    } catch {
      // It has ended.
    }
  }
}

/** A set of namespaces in which commands can be run, held by one process. */
export class Namespaces {
  readonly name: string;
  /** The process that holds the namespaces, as the machine counts. */
  readonly pid: number;
  readonly #keeper: Deno.ChildProcess;
  readonly #started = new Set<TestProcess>();

  private constructor(name: string, pid: number, keeper: Deno.ChildProcess) {
    this.name = name;
    this.pid = pid;
    this.#keeper = keeper;
  }

  /**
   * Runs `enter`, which is to end in a shell that runs `script` in new namespaces, and keeps that
   * shell until {@linkcode Namespaces.end}, or until this process dies.
   */
  static async open(name: string, enter: readonly string[], script: string): Promise<Namespaces> {
    const keeper = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", ...enter, "sh", "-c", `exec 2>&1; set -e\n${script}\n${wait}`],
      env: { PATH: path() },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    let said = "";
    for await (const part of keeper.stdout.pipeThrough(new TextDecoderStream())) {
      said += part;
      if (/^ready \d+$/m.test(said)) break;
    }
    const pid = said.match(/^ready (\d+)$/m)?.[1];
    if (pid === undefined) {
      await keeper.stdin.close();
      await keeper.status;
      throw new Error(`Cannot make the namespaces of ${name}: ${said.trim()}`);
    }
    return new Namespaces(name, Number(pid), keeper);
  }

  /** The network namespace, as a path on the machine. */
  get netns(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** Where the file `absolutePath` in them is on the machine. */
  path(absolutePath: string): string {
    return `/proc/${this.pid}/root${absolutePath}`;
  }

  /** Ends every process in the namespaces, and so the namespaces. Harmless when repeated. */
  async end(): Promise<void> {
    this.wake();
    await this.#keeper.stdin.close().catch(() => {});
    await this.#keeper.status;
  }

  /** Starts a command; its output is piped, or discarded with `output: "null"`. */
  spawn(
    argv: readonly string[],
    options: CommandOptions & { readonly output?: "piped" | "inherit" | "null" } = {},
  ): TestProcess {
    const command = this.#command(argv, options, options.output ?? "piped");
    const process = new TestProcess(command.spawn());
    this.#started.add(process);
    void process.status.then(() => this.#started.delete(process));
    return process;
  }

  /** As {@linkcode TestProcess.wake}, for all that was started. */
  wake(): void {
    for (const process of this.#started) process.wake();
  }

  /** Runs a command, whatever its exit status, until its output is closed: by what it left behind, too. */
  async output(argv: readonly string[], options: CommandOptions = {}): Promise<CommandOutput> {
    const { code, stdout, stderr } = await this.#command(argv, options, "piped").output();
    const text = new TextDecoder();
    return { status: code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /** Runs a command that must succeed and gives its standard output. @throws {CommandError} */
  async exec(...argv: readonly string[]): Promise<string> {
    const output = await this.output(argv);
    if (output.status !== 0) throw new CommandError(this.name, argv, output);
    return output.stdout;
  }

  #command(
    argv: readonly string[],
    options: CommandOptions,
    output: "piped" | "inherit" | "null",
  ): Deno.Command {
    const cwd = options.cwd ?? Deno.cwd();
    return new Deno.Command("nsenter", {
      args: ["--target", `${this.pid}`, "--all", `--wdns=${cwd}`, "--", ...argv],
      env: { PATH: path(), ...options.env },
      stdin: "null",
      stdout: output,
      stderr: output,
    });
  }
}

/** Said when all is made; then the script stays until its input ends. */
const wait = 'echo "ready $pid"; read -r _ || :';

/** Sees the shell's own number in a /proc of the machine, so before /proc is mounted anew. */
const ownPid = "read -r pid _ </proc/self/stat";

const unshare = [
  "unshare",
  "--net",
  "--mount",
  "--pid",
  "--ipc",
  "--uts",
  "--fork",
  "--kill-child=KILL",
];

/** A plain user's PATH has no sbin, where `ip` is. */
const path = () => `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`;

/** What makes a host. */
export interface HostOptions {
  /** Its underlay address with prefix length. */
  readonly address: string;
  readonly mtuBytes?: number;
  /** Arguments of `ip route add`; by default one: all is on the link. */
  readonly routes?: readonly string[];
}

/** One host of a lab. */
export class TestHost {
  readonly name: string;
  /** Its underlay address, without prefix length. */
  readonly address: string;
  /** The underlay's end of its cable, in {@linkcode TestLab.underlay}: set it down to cut it off. */
  readonly port: string;
  readonly #namespaces: Namespaces;
  readonly #underlay: Namespaces;

  constructor(name: string, options: HostOptions, inside: Namespaces, underlay: Namespaces) {
    this.name = name;
    this.address = options.address.replace(/\/.*/, "");
    this.port = portOf(name);
    this.#namespaces = inside;
    this.#underlay = underlay;
  }

  /** Its network namespace, as a path on the machine. */
  get netns(): string {
    return this.#namespaces.netns;
  }

  /** Where its file `absolutePath` is on the machine. */
  path(absolutePath: string): string {
    return this.#namespaces.path(absolutePath);
  }

  /** Runs a command that must succeed and gives its standard output. @throws {CommandError} */
  exec(...argv: readonly string[]): Promise<string> {
    return this.#namespaces.exec(...argv);
  }

  /** Runs a command, whatever its exit status, until its output is closed: by what it left behind, too. */
  output(argv: readonly string[], options: CommandOptions = {}): Promise<CommandOutput> {
    return this.#namespaces.output(argv, options);
  }

  /** Starts a command and does not wait for it. */
  spawn(...args: Parameters<Namespaces["spawn"]>): TestProcess {
    return this.#namespaces.spawn(...args);
  }

  /** Pulls its cable and its power plug; a host of the same name can be added again. */
  async stop(): Promise<void> {
    await this.#underlay.output(["ip", "link", "delete", this.port]);
    await this.#namespaces.end();
  }
}

const portOf = (name: string) => `port-${name}`;

/** An underlay network and its hosts. */
export class TestLab {
  /** Where the bridge `underlay` and the hosts' ports are. */
  readonly underlay: Namespaces;
  readonly #inside: Namespaces[] = [];

  private constructor(underlay: Namespaces) {
    this.underlay = underlay;
  }

  /** Makes an underlay without hosts. Needs root. */
  static async start(): Promise<TestLab> {
    return new TestLab(await Namespaces.open("the lab", unshare, labScript));
  }

  /** Makes a host, connects it, and gives it its address. `name`: at most 10 characters. */
  async addHost(name: string, options: HostOptions): Promise<TestHost> {
    if (!/^[a-z][a-z0-9-]{0,9}$/.test(name)) {
      throw new TypeError(
        `Cannot name a host "${name}": interface names allow [a-z][a-z0-9-]{0,9}`,
      );
    }
    const enter = ["nsenter", "--target", `${this.underlay.pid}`, "--mount", "--pid", "--"];
    const script = hostScript(name, options, this.underlay.pid);
    const inside = await Namespaces.open(name, [...enter, ...unshare], script);
    const host = new TestHost(name, options, inside, this.underlay);
    this.#inside.push(inside);
    return host;
  }

  /** Ends every process in the lab; its namespaces go with them. */
  async close(): Promise<void> {
    for (const namespaces of this.#inside) namespaces.wake();
    await this.underlay.end();
    // Their first processes were in the lab's process namespace: this only collects them.
    await Promise.all(this.#inside.map((namespaces) => namespaces.end()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Where the runtime (95 MB) is unpacked: all hosts of a lab share it, and all labs of a run of the tests,
 * and of a guest, where nothing outlives the guest and unpacking takes longer than many a test.
 */
const runtimeDirectory = Deno.env.get("AGENT_LAB_RUNTIME") ??
  (Deno.env.get("AGENT_LAB") === "guest" ? "/tmp/agent-runtime" : undefined);
const shareRuntime = runtimeDirectory === undefined
  ? ""
  : `mkdir -p -m 700 "${runtimeDirectory}"\nmount --bind "${runtimeDirectory}" /run/runtime`;

/**
 * The mount point /var/lib/agent is made without touching the machine: where it is missing, /var/lib
 * becomes a tmpfs of links to what is in the real one.
 */
const labScript = `
${ownPid}
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 700 /run/runtime
${shareRuntime}
if [ ! -d /var/lib/agent ]; then
  mkdir /run/var-lib
  mount --bind /var/lib /run/var-lib
  mount -t tmpfs -o mode=755 tmpfs /var/lib
  mkdir /var/lib/agent /var/lib/.real
  mount --move /run/var-lib /var/lib/.real
  (cd /var/lib && ln -s .real/* .)
fi
ip -batch - <<BATCH
link set lo up
link add underlay type bridge forward_delay 0 mcast_snooping 0
link set underlay up
BATCH`;

function hostScript(name: string, options: HostOptions, lab: number): string {
  const mtu = options.mtuBytes ?? 1500;
  const routes = options.routes ?? ["default dev eth0"];
  return `
${ownPid}
nsenter --net=/proc/${lab}/ns/net ip link add ${portOf(name)} mtu ${mtu} master underlay up \
  type veth peer name eth0 mtu ${mtu} netns /proc/$pid/ns/net
ip -batch - <<BATCH
link set lo up
address add ${options.address} dev eth0
link set eth0 up
${routes.map((route) => `route add ${route}`).join("\n")}
BATCH
echo ${name} >/proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs /var/lib/agent
mkdir -m 700 /var/lib/agent/runtime
mount --bind /run/runtime /var/lib/agent/runtime
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys`;
}
