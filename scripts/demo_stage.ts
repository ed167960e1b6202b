/**
 * What demonstrations have in common: hosts made of namespaces, commands that are typed before the
 * reader's eyes, and claims that are checked.
 *
 * @module
 */
import type { EndpointView, NetworkView } from "../src/api/mod.ts";
import {
  type CommandOutput,
  type TestHost,
  TestLab,
  type TestProcess,
} from "../tests/lab/hosts.ts";

const SOCKET = "/run/agent/agent.sock";
/** A guest starts processes slowly. */
const PATIENCE_MS = 60_000;

/** Prints what is done, and remembers what was checked. */
export class Narrator {
  readonly #checks: { readonly claim: string; readonly holds: boolean }[] = [];

  chapter(title: string): void {
    console.log(`\n== ${title}`);
  }

  say(words: string): void {
    console.log(`\n   ${words}`);
  }

  command(host: TestHost, argv: readonly string[]): void {
    console.log(`   ${host.name}# ${argv.map(quoted).join(" ")}`);
  }

  output(text: string): void {
    for (const line of text.trimEnd().split("\n")) console.log(`     ${line}`);
  }

  check(claim: string, holds: boolean): void {
    this.#checks.push({ claim, holds });
    console.log(`   ${holds ? "checked" : "FAILED"}: ${claim}`);
  }

  /** Prints what was checked; the exit status. */
  end(): number {
    const failed = this.#checks.filter(({ holds }) => !holds);
    console.log(`\n== What was checked`);
    for (const { claim, holds } of this.#checks) {
      console.log(`   ${holds ? "ok  " : "FAIL"} ${claim}`);
    }
    console.log(`\n${this.#checks.length - failed.length} checks passed, ${failed.length} failed`);
    return failed.length === 0 ? 0 : 1;
  }
}

/** Three hosts and what is done on them. */
export class Demo {
  readonly #narrator: Narrator;
  readonly #env: Record<string, string>;

  constructor(narrator: Narrator) {
    this.#narrator = narrator;
    this.#env = { PATH: `${Deno.cwd()}/dist:/usr/sbin:/usr/bin:/sbin:/bin` };
  }

  /** Runs a command as a person would, and shows it with what it says. */
  async type(host: TestHost, ...argv: string[]): Promise<CommandOutput> {
    this.#narrator.command(host, argv);
    const output = await host.output(argv, { env: this.#env });
    this.#narrator.output(output.stderr + output.stdout);
    return output;
  }

  /** As {@linkcode Demo.type}, and the demonstration ends here when the command fails. */
  async must(host: TestHost, ...argv: string[]): Promise<string> {
    const output = await this.type(host, ...argv);
    if (output.status !== 0) throw new Error(`${argv.join(" ")} ended with ${output.status}`);
    return output.stdout;
  }

  /** Starts a command that goes on. */
  start(host: TestHost, ...argv: string[]): TestProcess {
    this.#narrator.command(host, [...argv, "&"]);
    return host.spawn(argv, { env: this.#env, output: "null" });
  }

  /** Runs a command that a reader need not see. */
  quietly(host: TestHost, ...argv: string[]): Promise<CommandOutput> {
    return host.output(argv, { env: this.#env });
  }

  /** Starts one that a reader need not see, whose output is read. */
  spawn(host: TestHost, ...argv: string[]): TestProcess {
    return host.spawn(argv, { env: this.#env });
  }

  async createNetwork(host: TestHost, name: string, more: object = {}): Promise<void> {
    await this.must(
      host,
      ...["curl", "--silent", "--fail", "--unix-socket", SOCKET, "http://agent/v1/networks"],
      ...[
        "--header",
        "content-type: application/json",
        "--data",
        JSON.stringify({ name, ...more }),
      ],
    );
  }

  /** Waits until so many workloads are attached to a network. */
  async attached(host: TestHost, network: string, count: number): Promise<void> {
    await this.#until(`${count} workloads attached to ${network}`, async () => {
      const endpoints = await this.#endpoints(host, network);
      const there = endpoints.filter(({ attachment }) => attachment === "attached");
      return there.length >= count ? there : null;
    });
  }

  /** Address of the endpoint of this name, once its workload is attached. */
  addressOf(host: TestHost, network: string, name: string): Promise<string> {
    return this.#until(`the workload ${name} attached to ${network}`, async () => {
      const endpoints = await this.#endpoints(host, network);
      const found = endpoints.find((one) => one.name === name && one.attachment === "attached");
      return found?.ip ?? null;
    });
  }

  /** Waits until all members of a network are with this epoch, or a later one, and no other. */
  async epoch(host: TestHost, network: string, epoch: number): Promise<void> {
    await this.#until(`epoch ${epoch} of ${network}`, async () => {
      const args = ["agent", "network", "inspect", network, "--json"];
      const view: NetworkView = JSON.parse((await this.quietly(host, ...args)).stdout);
      const [newest, ...older] = view.encryption?.epochs ?? [];
      return newest !== undefined && newest.epoch >= epoch && older.length === 0 ? newest : null;
    });
  }

  async #endpoints(host: TestHost, network: string): Promise<readonly EndpointView[]> {
    const { stdout } = await this.quietly(host, "agent", "endpoint", "ls", network, "--json");
    return JSON.parse(stdout).items;
  }

  async #until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    while (performance.now() < deadline) {
      const found = await look();
      if (found !== null) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`After ${PATIENCE_MS / 1000} s there is not: ${what}`);
  }
}

/** What the kernel of a host has that a network program could have left there. */
async function kernelState(host: TestHost): Promise<string> {
  const parts = [];
  for (const what of ["link", "netns", "neigh", "route"]) {
    const text = await host.exec("ip", ...(what === "link" ? ["-br", "link"] : [what]));
    // Neighbours of the underlay come and go by themselves.
    parts.push(what === "neigh" ? text.split("\n").filter((line) => !line.includes("eth0")) : text);
  }
  // Kernels without IPsec have nothing to tell.
  const { stdout } = await host.output([
    "sh",
    "-c",
    "ip xfrm state; ip xfrm policy; tc qdisc show",
  ]);
  return JSON.stringify([...parts, stdout]);
}

async function found(
  demo: Demo,
  narrator: Narrator,
  hosts: readonly TestHost[],
  { managers }: DemoOptions,
): Promise<void> {
  const [first, ...others] = hosts;
  if (first === undefined) throw new TypeError("there are hosts");
  narrator.chapter("A cluster of three hosts");
  narrator.say("The first host makes the cluster, with a certificate authority of its own.");
  const said = await demo.must(first, "agent", "init");
  const join = /agent join (\S+) --token (\S+)/.exec(said);
  if (join === null) throw new Error("agent init did not print a join command");
  const [, address = "", token = ""] = join;
  if (managers === 1) {
    narrator.say("The others join with the command that it has printed.");
    for (const host of others) await demo.must(host, "agent", "join", address, "--token", token);
  } else {
    narrator.say("The others join as managers: of three, one may fail.");
    await joinAsManagers(demo, narrator, first, others);
  }
  const list = await demo.must(first, "agent", "node", "ls");
  narrator.check(
    "three members, all of them alive",
    hosts.every(({ name }) => list.includes(name)),
  );
}

async function joinAsManagers(
  demo: Demo,
  narrator: Narrator,
  first: TestHost,
  others: readonly TestHost[],
): Promise<void> {
  const uses = String(others.length);
  const made = await demo.must(
    first,
    "agent",
    "token",
    "create",
    "--role",
    "manager",
    "--uses",
    uses,
  );
  const [, address = "", token = ""] = /agent join (\S+) --token (\S+)/.exec(made) ?? [];
  for (const host of others) await demo.must(host, "agent", "join", address, "--token", token);
  let said = "";
  for (let tries = 0; tries < 100 && !/ 1 of the managers may fail/.test(said); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    said = (await demo.quietly(first, "agent", "status")).stdout;
  }
  await demo.must(first, "agent", "status");
  narrator.check("three managers, of which one may fail", / 1 of the managers may fail/.test(said));
}

async function leave(
  demo: Demo,
  narrator: Narrator,
  hosts: readonly TestHost[],
  before: readonly string[],
): Promise<void> {
  narrator.chapter("The hosts leave");
  for (const [index, host] of [...hosts.entries()].reverse()) {
    await demo.must(host, "agent", "leave", ...(index === 0 ? ["--force"] : []));
    const after = await kernelState(host);
    narrator.check(
      `${host.name}: links, namespaces, neighbours, routes and IPsec are as before`,
      after === before[index],
    );
  }
}

/** Shows something on three hosts that are one cluster, and the hosts' leaving; the exit status. */
export async function demonstrate(
  show: (stage: Stage) => Promise<void>,
  options: DemoOptions = { managers: 1 },
): Promise<number> {
  const narrator = new Narrator();
  const lab = await TestLab.start();
  const stop = () => lab.close().finally(() => Deno.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    const [one, two, three] = [await add(lab, 1), await add(lab, 2), await add(lab, 3)];
    const hosts = [one, two, three];
    const before = await Promise.all(hosts.map(kernelState));
    const demo = new Demo(narrator);
    await found(demo, narrator, hosts, options);
    await show({ narrator, demo, lab, hosts: [one, two, three] });
    await leave(demo, narrator, hosts, before);
  } catch (error) {
    narrator.check(error instanceof Error ? error.message : String(error), false);
  } finally {
    await lab.close();
  }
  return narrator.end();
}

function add(lab: TestLab, number: number): Promise<TestHost> {
  return lab.addHost(`host${number}`, { address: `192.0.2.${number}/24` });
}

/** How it is shown. */
export interface DemoOptions {
  /** How many of the hosts are managers. */
  readonly managers: 1 | 3;
}

/** Where it is shown. */
export interface Stage {
  readonly narrator: Narrator;
  readonly demo: Demo;
  readonly lab: TestLab;
  readonly hosts: readonly [TestHost, TestHost, TestHost];
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
