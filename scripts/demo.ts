/**
 * The main job before the reader's eyes: three hosts, one cluster, two networks. Each step is said
 * in plain words with the command that a person would type; each claim is checked.
 *
 * @module
 */
import { demonstrate, type Stage } from "./demo_stage.ts";

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
  { demo, narrator, hosts: [, two, three] }: Stage,
  address: string,
): Promise<void> {
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

Deno.exit(
  await demonstrate(async (stage) => {
    const address = await segment(stage);
    await survive(stage, address);
  }),
);
