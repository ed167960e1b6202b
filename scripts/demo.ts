/**
 * The main job before the reader's eyes: three hosts, one cluster, two networks. Each step is said
 * in plain words with the command that a person would type; each claim is checked. With `--managers 3`
 * all three are managers, and it is the one that leads that is killed.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Demo, demonstrate, type Stage } from "./demo_stage.ts";

const PING_INTERVAL_S = 0.01;

async function segment({ demo, narrator, hosts: [one, two, three] }: Stage): Promise<string> {
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
  { demo, narrator, hosts: [one, two, three] }: Stage,
  address: string,
): Promise<void> {
  narrator.chapter("An agent is killed");
  narrator.say("While a ping goes on, the agent on host2 is killed and started again.");
  const command = [
    ...["agent", "exec", "shop", "--name", "pinger", "--"],
    ...["ping", "-q", "-i", String(PING_INTERVAL_S), "-w", "4", address],
  ];
  narrator.command(three, [...command, "&"]);
  const pinging = demo.quietly(three, ...command);
  // Who has never heard of a workload cannot answer it.
  await demo.addressOf(one, "shop", "pinger");
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

/** The manager that leads is killed: the others go on, and no packet is lost. */
async function failOver({ demo, narrator, hosts }: Stage, address: string): Promise<void> {
  narrator.chapter("The manager that leads is killed");
  const leader = await leaderAmong(demo, hosts);
  const others = hosts.filter((host) => host !== leader);
  const [other, last] = others;
  if (other === undefined || last === undefined) throw new TypeError("there are three hosts");
  narrator.say(`${leader.name} leads. While a ping goes on, it is killed.`);
  const command = [
    ...["agent", "exec", "shop", "--name", "pinger", "--"],
    ...["ping", "-q", "-i", String(PING_INTERVAL_S), "-w", "6", address],
  ];
  narrator.command(last, [...command, "&"]);
  const pinging = demo.quietly(last, ...command);
  await demo.addressOf(other, "shop", "pinger");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await demo.must(leader, "pkill", "-KILL", "-f", "agent.* run");
  const beganMs = performance.now();
  narrator.say(
    `A network is made on ${other.name} meanwhile: its request waits for the next leader.`,
  );
  const made = await demo.type(other, "agent", "network", "create", "meanwhile");
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  narrator.check(`another manager leads, and has made it, after ${seconds} s`, made.status === 0);
  const { stdout } = await pinging;
  narrator.output(stdout);
  narrator.check("no packet was lost", / 0% packet loss/.test(stdout));
  demo.start(leader, "agent", "run");
  let said = "";
  for (let tries = 0; tries < 100 && !/ 1 of the managers may fail/.test(said); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    said = (await demo.quietly(leader, "agent", "status")).stdout;
  }
  await demo.type(leader, "agent", "status");
  const list = await demo.type(leader, "agent", "network", "ls");
  narrator.check(`${leader.name} is back, and knows of it`, /meanwhile/.test(list.stdout));
}

async function leaderAmong(demo: Demo, hosts: Stage["hosts"]): Promise<Stage["hosts"][number]> {
  for (const host of hosts) {
    const { stdout } = await demo.quietly(host, "agent", "status", "--json");
    if (JSON.parse(stdout).manager?.role === "leader") return host;
  }
  throw new Error("no manager leads");
}

const { values } = parseArgs({ options: { managers: { type: "string", default: "1" } } });
if (values.managers !== "1" && values.managers !== "3") {
  console.error(`demo: --managers ${values.managers}: it is shown with 1 or with 3`);
  Deno.exit(2);
}
const managers = values.managers === "3" ? 3 : 1;
Deno.exit(
  await demonstrate(async (stage) => {
    const address = await segment(stage);
    await (managers === 3 ? failOver(stage, address) : survive(stage, address));
  }, { managers }),
);
