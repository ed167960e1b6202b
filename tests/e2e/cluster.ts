/**
 * A cluster of real hosts for end-to-end tests: the built binary, one agent per host, each host a
 * set of namespaces of a {@linkcode TestLab}.
 *
 * ```ts
 * await withCluster(3, async ({ hosts: [one, two] }) => {
 *   await one.createNetwork("red");
 *   const a = await one.addWorkload("a", ["red"]);
 *   const b = await two.addWorkload("b", ["red"]);
 *   assert(await a.reaches(b.ip));
 * });
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import type {
  Attachment,
  HostStatus,
  NetworkRequest,
  NetworkView,
  Page,
  PlanView,
  TokenCreated,
  TokenRequest,
} from "../../src/api/mod.ts";
import { type CommandOutput, type TestHost, TestLab, type TestProcess } from "../lab/hosts.ts";
import { Socket } from "./socket.ts";
import { waitFor } from "./wait.ts";

/** The program under test; `AGENT` names another one. */
export const AGENT = Deno.env.get("AGENT") ?? new URL("../../dist/agent", import.meta.url).pathname;

/** Where an agent keeps what survives a reboot. */
export const STATE_DIR = "/var/lib/agent";
/** Where it keeps what does not. */
export const RUN_DIR = "/run/agent";

/** One host, and the agent on it. */
export class ClusterHost {
  /** Another one after a reboot. */
  lab: TestHost;
  /** The agent's API. */
  readonly socket: Socket;
  readonly #started: TestProcess[] = [];

  constructor(lab: TestHost) {
    this.lab = lab;
    this.socket = new Socket(() => this.lab.path(`${RUN_DIR}/agent.sock`));
  }

  get name(): string {
    return this.lab.name;
  }

  /** Its underlay address. */
  get address(): string {
    return this.lab.address;
  }

  /** Runs the program as a user does, whatever comes of it. */
  agent(...args: readonly string[]): Promise<CommandOutput> {
    return this.lab.output([AGENT, ...args]);
  }

  /** Runs the program, which must succeed; what it says. */
  must(...args: readonly string[]): Promise<string> {
    return this.lab.exec(AGENT, ...args);
  }

  /** Runs a shell command that must succeed; what it says. */
  sh(script: string): Promise<string> {
    return this.lab.exec("sh", "-c", script);
  }

  /** Number of the agent's process, in the host's own count; the lock file tells. */
  agentPid(): number {
    const text = Deno.readTextFileSync(this.lab.path(`${STATE_DIR}/lock`)).trim();
    assert.match(text, /^[1-9][0-9]*$/, "the agent has written its pid into its lock file");
    return Number(text);
  }

  /** As by `kill -9`; resolves when the process is no more. */
  async killAgent(signal: "KILL" | "TERM" = "KILL"): Promise<void> {
    const pid = this.agentPid();
    await this.lab.exec("kill", `-${signal}`, `${pid}`);
    await waitFor(`the agent on ${this.name} to end`, () => !this.processRuns(pid));
  }

  /** Whether the host has a process of this number that has not ended. */
  processRuns(pid: number): boolean {
    try {
      return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(this.lab.path(`/proc/${pid}/status`)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || String(error).includes("No such process")) {
        return false;
      }
      throw error;
    }
  }

  /** Starts the agent of a member; returns at once. */
  startAgent(): TestProcess {
    const script = `exec "$0" run >>${STATE_DIR}/agent.log 2>&1 </dev/null`;
    return this.start(["sh", "-c", script, AGENT], { output: "null" });
  }

  /** Starts a command that goes on; the end of the test ends it, if nothing does before. */
  start(...args: Parameters<TestHost["spawn"]>): TestProcess {
    const process = this.lab.spawn(...args);
    this.#started.push(process);
    return process;
  }

  /** Resolves when all that was started has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.status));
    this.socket.close();
  }

  /** Resolves when the kernel has what the cluster wants of this host, and the leader is heard. */
  ready(): Promise<HostStatus> {
    return waitFor(`the agent on ${this.name} to be ready`, async () => {
      const status = await this.socket.get<HostStatus>("/v1/self");
      return status.ready && status.connected ? status : null;
    });
  }

  /** Starts the agent again and waits until it is ready. */
  async restartAgent(): Promise<void> {
    this.startAgent();
    await this.ready();
  }

  /** What the agent would do to the kernel now. */
  async plan(): Promise<readonly string[]> {
    return (await this.socket.get<PlanView>("/v1/plan")).operations;
  }

  createNetwork(name: string, more: Partial<NetworkRequest> = {}): Promise<NetworkView> {
    return this.socket.post<NetworkView>("/v1/networks", { name, ...more });
  }

  createToken(more: TokenRequest = {}): Promise<TokenCreated> {
    return this.socket.post<TokenCreated>("/v1/tokens", more);
  }

  /** Every object of a list of fewer than 1000. */
  async list<Item>(kind: "networks" | "nodes" | "tokens"): Promise<readonly Item[]> {
    return (await this.socket.get<Page<Item>>(`/v1/${kind}?limit=1000`)).items;
  }

  /** Makes a namespace and attaches it to networks. */
  async addWorkload(...args: Parameters<ClusterHost["attachWorkload"]>): Promise<Workload> {
    const [name] = args;
    await this.lab.exec("ip", "netns", "add", name);
    return await this.attachWorkload(...args);
  }

  /** Attaches a namespace to networks. */
  async attachWorkload(
    name: string,
    networks: readonly string[],
    more: { readonly ip?: string; readonly name?: string } = {},
  ): Promise<Workload> {
    const { ip, ...rest } = more;
    const attachment = await this.socket.post<Attachment>("/v1/attachments", {
      netns: `/run/netns/${name}`,
      networks: networks.map((network) => ({ network, ...(ip === undefined ? {} : { ip }) })),
      ...rest,
    });
    return new Workload(this, name, attachment);
  }

  /** The newest lines of the agent's log, but for its record of writes. */
  log(lines: number): string {
    try {
      const text = Deno.readTextFileSync(this.lab.path(`${STATE_DIR}/agent.log`));
      // A line for each write would leave no room for those that tell what is wrong.
      const telling = text.split("\n").filter((line) =>
        !line.includes("for a change was answered")
      );
      return telling.slice(-lines - 1).join("\n");
    } catch (error) {
      return `(no log: ${error instanceof Error ? error.message : error})`;
    }
  }
}

/** A network namespace on a host, attached to networks. */
export class Workload {
  readonly host: ClusterHost;
  readonly name: string;
  readonly attachment: Attachment;

  constructor(host: ClusterHost, name: string, attachment: Attachment) {
    this.host = host;
    this.name = name;
    this.attachment = attachment;
  }

  /** Its address on the first network. */
  get ip(): string {
    return this.#first().ip;
  }

  /** The MAC address that belongs to it. */
  get mac(): string {
    return this.#first().mac;
  }

  /** Its network namespace, as a path on the machine. */
  get netns(): string {
    return this.host.lab.path(`/run/netns/${this.name}`);
  }

  /** Takes it off its networks; its namespace stays. */
  async detach(): Promise<void> {
    await this.host.socket.delete(`/v1/attachments/${this.attachment.id}`);
  }

  /** Runs a shell command in it that must succeed; what it says. */
  sh(script: string): Promise<string> {
    return this.host.lab.exec("ip", "netns", "exec", this.name, "sh", "-c", script);
  }

  /** Runs a shell command in it, whatever comes of it. */
  tries(script: string): Promise<CommandOutput> {
    return this.host.lab.output(["ip", "netns", "exec", this.name, "sh", "-c", script]);
  }

  /** Starts a shell command in it that goes on. */
  spawn(script: string): TestProcess {
    return this.host.start(["ip", "netns", "exec", this.name, "sh", "-c", `exec ${script}`]);
  }

  /** Whether a ping is answered. */
  async reaches(ip: string): Promise<boolean> {
    return (await this.tries(`ping -c 1 -W 2 ${ip}`)).status === 0;
  }

  #first() {
    const [first] = this.attachment.interfaces;
    assert(first !== undefined, "a workload has an interface");
    return first;
  }
}

/** How to form a cluster. */
export interface FormOptions {
  /** Done when the first host is a manager, before the others join. */
  readonly founded?: () => Promise<void>;
  /** How many of the hosts are managers; by default one. */
  readonly managers?: number;
}

/** Hosts that are members of one cluster; the first are its managers. */
export class Cluster {
  readonly hosts: readonly ClusterHost[];

  private constructor(hosts: readonly ClusterHost[]) {
    this.hosts = hosts;
  }

  /** Founds it on the first host and lets the others join. */
  static async form(hosts: readonly ClusterHost[], options: FormOptions = {}): Promise<Cluster> {
    const [first, ...others] = hosts;
    assert(first !== undefined, "a cluster has a host");
    await first.must("init");
    await options.founded?.();
    const more = (options.managers ?? 1) - 1;
    const join = async (joining: readonly ClusterHost[], role: "manager" | "worker") => {
      if (joining.length === 0) return;
      const { token } = await first.createToken({ role, uses: joining.length });
      // One by one: on one CPU none is faster for the others, and one that starts is slow to answer the
      // probe of its address, which has three seconds.
      for (const host of joining) await host.must("join", first.address, "--token", token);
    };
    await join(others.slice(0, more), "manager");
    await join(others.slice(more), "worker");
    await Promise.all(hosts.map((host) => host.ready()));
    return new Cluster(hosts);
  }

  /** The first host. */
  get manager(): ClusterHost {
    return this.host(1);
  }

  /** One of the hosts, counted from 1 as their names are. */
  host(number: number): ClusterHost {
    const host = this.hosts[number - 1];
    assert(host !== undefined, `there is a host ${number}`);
    return host;
  }
}

/**
 * Runs a test with hosts that are no members yet, `host1` with 192.0.2.1 and so on, and shows their
 * logs when it fails.
 */
export async function withHosts(
  count: number,
  test: (lab: TestLab, hosts: readonly ClusterHost[]) => Promise<void>,
): Promise<void> {
  const lab = await TestLab.start();
  const hosts: ClusterHost[] = [];
  try {
    for (let number = 1; number <= count; number++) {
      const address = `192.0.2.${number}/24`;
      hosts.push(new ClusterHost(await lab.addHost(`host${number}`, { address })));
    }
    await test(lab, hosts);
  } catch (error) {
    for (const host of hosts) console.error(`--- log of ${host.name}\n${host.log(30)}`);
    throw error;
  } finally {
    await lab.close();
    await Promise.all(hosts.map((host) => host.ended()));
  }
}

/** Runs a test with a cluster of this many hosts. */
export function withCluster(
  count: number,
  test: (cluster: Cluster) => Promise<void>,
  options: FormOptions = {},
): Promise<void> {
  return withHosts(count, async (_lab, hosts) => test(await Cluster.form(hosts, options)));
}
