/**
 * The main job before the reader's eyes: three hosts, one cluster, two networks. Each step is said
 * in plain words with the command that a person would type; each claim is checked.
 *
 * @module
 */
import {
  type CommandOutput,
  type TestHost,
  TestLab,
  type TestProcess,
} from "../tests/lab/hosts.ts";

const SOCKET = "/run/agent/agent.sock";
const PING_INTERVAL_S = 0.01;

/** Prints what is done, and remembers what was checked. */
class Narrator {
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
class Demo {
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

  async createNetwork(host: TestHost, name: string): Promise<void> {
    await this.must(
      host,
      ...["curl", "--silent", "--fail", "--unix-socket", SOCKET, "http://agent/v1/networks"],
      ...["--header", "content-type: application/json", "--data", JSON.stringify({ name })],
    );
  }

  /** Address of the endpoint of this name, once its workload is attached. */
  async addressOf(host: TestHost, network: string, name: string): Promise<string> {
    for (let tries = 0; tries < 100; tries++) {
      const { stdout } = await this.quietly(host, "agent", "endpoint", "ls", network, "--json");
      const { items } = JSON.parse(stdout);
      for (const endpoint of items) {
        if (endpoint.name === name && endpoint.attachment === "attached") return endpoint.ip;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`The workload ${name} was not attached to ${network}`);
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
  return JSON.stringify(parts);
}

async function found(demo: Demo, narrator: Narrator, hosts: readonly TestHost[]): Promise<void> {
  const [first, ...others] = hosts;
  if (first === undefined) throw new TypeError("there are hosts");
  narrator.chapter("A cluster of three hosts");
  narrator.say("The first host makes the cluster, with a certificate authority of its own.");
  const said = await demo.must(first, "agent", "init");
  const join = /agent join (\S+) --token (\S+)/.exec(said);
  if (join === null) throw new Error("agent init did not print a join command");
  const [, address = "", token = ""] = join;
  narrator.say("The others join with the command that it has printed.");
  for (const host of others) await demo.must(host, "agent", "join", address, "--token", token);
  const list = await demo.must(first, "agent", "node", "ls");
  narrator.check(
    "three members, all of them alive",
    hosts.every(({ name }) => list.includes(name)),
  );
}

async function segment(
  demo: Demo,
  narrator: Narrator,
  hosts: readonly TestHost[],
): Promise<string> {
  const [one, two, three] = hosts;
  if (one === undefined || two === undefined || three === undefined) {
    throw new TypeError("three hosts");
  }
  narrator.chapter("Two networks");
  narrator.say("Networks are made over HTTP.");
  await demo.createNetwork(one, "shop");
  await demo.createNetwork(one, "bank");
  narrator.say(
    "A workload on host2: `agent exec` gives it a namespace, attaches it, and becomes it.",
  );
  demo.start(two, "agent", "exec", "shop", "--name", "web", "--", "sleep", "600");
  const address = await demo.addressOf(one, "shop", "web");
  narrator.say("A workload on host3, on the same network, gets a reply across the hosts.");
  const same = await demo.type(
    three,
    "agent",
    "exec",
    "shop",
    "--",
    "ping",
    "-c",
    "3",
    "-i",
    "0.2",
    address,
  );
  narrator.check(`a reply from ${address}, across hosts, on one network`, same.status === 0);
  narrator.say(
    "One on the other network gets none, not even when it takes an address of the first.",
  );
  const intrude = `ip address add 10.64.0.99/24 dev eth0; ping -c 3 -i 0.2 -W 1 ${address}`;
  const other = await demo.type(three, "agent", "exec", "bank", "--", "sh", "-c", intrude);
  narrator.check("no reply across networks", / 0 received/.test(other.stdout));
  return address;
}

async function survive(
  demo: Demo,
  narrator: Narrator,
  hosts: readonly TestHost[],
  address: string,
): Promise<void> {
  const [, two, three] = hosts;
  if (two === undefined || three === undefined) throw new TypeError("three hosts");
  narrator.chapter("An agent is killed");
  narrator.say("While a ping goes on, the agent on host2 is killed and started again.");
  const command = [
    ...["agent", "exec", "shop", "--", "ping", "-q", "-i", String(PING_INTERVAL_S), "-w", "4"],
    address,
  ];
  narrator.command(three, [...command, "&"]);
  const pinging = demo.quietly(three, ...command);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await demo.must(two, "pkill", "-KILL", "-f", "agent.* run");
  const again = demo.start(two, "agent", "run");
  const { stdout } = await pinging;
  narrator.output(stdout);
  narrator.check("no packet was lost", / 0% packet loss/.test(stdout));
  const plan = await demo.type(two, "agent", "plan");
  narrator.check("the new agent finds everything as it should be", plan.status === 0);
  void again;
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
      `${host.name}: links, namespaces, neighbours and routes are as before`,
      after === before[index],
    );
  }
}

async function main(): Promise<number> {
  const narrator = new Narrator();
  const lab = await TestLab.start();
  const stop = () => lab.close().finally(() => Deno.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    const hosts = [];
    for (const index of [1, 2, 3]) {
      hosts.push(await lab.addHost(`host${index}`, { address: `192.0.2.${index}/24` }));
    }
    const before = await Promise.all(hosts.map(kernelState));
    const demo = new Demo(narrator);
    await found(demo, narrator, hosts);
    const address = await segment(demo, narrator, hosts);
    await survive(demo, narrator, hosts, address);
    await leave(demo, narrator, hosts, before);
  } catch (error) {
    narrator.check(error instanceof Error ? error.message : String(error), false);
  } finally {
    await lab.close();
  }
  return narrator.end();
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

Deno.exit(await main());
