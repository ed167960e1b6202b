/**
 * An encrypted network before the reader's eyes: what was said beside what the wire carries, new keys
 * under traffic, a key that somebody deletes, and a packet that nobody sent.
 *
 * @module
 */
import type { NetworkView } from "../src/api/mod.ts";
import type { TestHost } from "../tests/lab/hosts.ts";
import { Forger } from "../tests/e2e/forger.ts";
import { espOf } from "../tests/e2e/frames.ts";
import { UnderlayWatch } from "../tests/e2e/underlay_watch.ts";
import { demonstrate, type Stage } from "./demo_stage.ts";

const MESSAGE = "The safe opens with 4711. READABLE-MARKER.";
const DISCARD_PORT = 9;

/** The workload that the others talk to. */
interface Web {
  readonly ip: string;
  readonly mac: string;
  /** Its network namespace, as a path on the machine. */
  readonly netns: string;
}

async function network({ demo, narrator, hosts: [one, two] }: Stage): Promise<Web> {
  narrator.chapter("An encrypted network");
  narrator.say("That a network is encrypted is said when it is made, and nobody types a key.");
  await demo.createNetwork(one, "shop", { encrypted: true });
  narrator.say("A workload on host2:");
  const web = demo.start(two, "agent", "exec", "shop", "--name", "web", "--", "sleep", "600");
  const ip = await demo.addressOf(one, "shop", "web");
  const netns = `/proc/${await web.pid()}/ns/net`;
  const shown = await demo.quietly(one, "agent", "endpoint", "ls", "shop", "--json");
  const endpoint = JSON.parse(shown.stdout).items.find((item: { name: string }) =>
    item.name === "web"
  );
  return { ip, mac: endpoint.mac, netns };
}

async function speak(stage: Stage, watch: UnderlayWatch, { ip }: Web): Promise<void> {
  const { demo, narrator, hosts: [, , three] } = stage;
  narrator.chapter("What is said, and what the wire carries");
  narrator.say("A workload on host3 sends a message to the one on host2, ten times:");
  const from = await watch.mark();
  const send = `ping -q -c 1 -W 10 ${ip} >/dev/null; ` +
    `for i in $(seq 10); do echo '${MESSAGE}' >/dev/udp/${ip}/${DISCARD_PORT}; done`;
  await demo.must(three, "agent", "exec", "shop", "--", "bash", "-c", send);
  const frames = (await watch.frames()).slice(from);
  const last = frames.filter((frame) => espOf(frame) !== null).at(-1);
  narrator.say("Between the hosts, one of the packets is (the right column is text):");
  if (last !== undefined) narrator.output(hexDump(last));
  const { counts, leaks } = await watch.look(from);
  narrator.say(
    `Of all that the hosts have sent each other meanwhile: ${counts.esp} packets of ESP, ` +
      `${counts.control} of the control plane (TLS), ${counts.neighbours} of ARP and the like, ` +
      `${counts.cleartext} others.`,
  );
  narrator.check("the message left as ESP", counts.esp >= 10);
  narrator.check("nothing else of the network did, and nothing readable", leaks.length === 0);
}

/**
 * Does something while a workload on host3 pings the one on host2.
 *
 * @returns what the ping has said
 */
async function underPing(
  { demo, narrator, hosts: [one, , three] }: Stage,
  { ip }: Web,
  intervalSeconds: number,
  action: () => Promise<void>,
): Promise<string> {
  const interval = String(intervalSeconds);
  const command = ["agent", "exec", "shop", "--", "ping", "-i", interval, "-w", "120", ip];
  narrator.command(three, [...command, "&"]);
  const ping = demo.spawn(three, ...command);
  const said = new Response(ping.stdout).text();
  await demo.attached(one, "shop", 2);
  await action();
  await ping.kill("SIGINT");
  await ping.stderr.cancel();
  const text = await said;
  narrator.output(text.slice(text.indexOf("\n---") + 1));
  return text;
}

async function rotate(stage: Stage, web: Web): Promise<void> {
  const { demo, narrator, hosts: [one] } = stage;
  narrator.chapter("New keys while packets flow");
  const said = await underPing(stage, web, 0.01, async () => {
    await demo.must(one, "agent", "network", "rotate", "shop", "--wait");
  });
  narrator.check("no packet was lost while the keys changed", isLossless(said));
}

/**
 * Those that are under way when a ping is ended are not lost, only not waited for; and who has only just
 * come is not known to its peers at once.
 */
function isLossless(said: string): boolean {
  const answered = [...said.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number));
  const span = Math.max(...answered) - Math.min(...answered) + 1;
  return answered.length > 0 && new Set(answered).size === span;
}

async function deleteKey(stage: Stage, watch: UnderlayWatch, web: Web): Promise<void> {
  const { demo, narrator, hosts: [one, , three] } = stage;
  narrator.chapter("Somebody deletes a key");
  const from = await watch.mark();
  await underPing(stage, web, 0.02, async () => {
    await demo.must(three, "ip", "xfrm", "state", "deleteall", "src", three.address);
    await demo.epoch(one, "shop", 3);
  });
  const { counts, leaks } = await watch.look(from);
  narrator.say(
    `On the wire meanwhile: ${counts.esp} packets of ESP, ${counts.cleartext} in the clear.`,
  );
  narrator.check("not one packet left in the clear", leaks.length === 0);
  const again = await demo.type(
    three,
    ...["agent", "exec", "shop", "--", "ping", "-c", "3", "-i", "0.2", web.ip],
  );
  narrator.check("the pair has fresh keys and talks again", again.status === 0);
}

async function forge(stage: Stage, web: Web): Promise<void> {
  const { demo, narrator, hosts: [one, two, three] } = stage;
  narrator.chapter("Packets that nobody sent");
  const view = await read<NetworkView>(stage, one, "/v1/networks/shop");
  const port = view.encryption?.port ?? 0;
  narrator.say(`VXLAN packets in the clear for the workload on host2, to UDP port ${port}:`);
  using forger = new Forger({
    ...{ host: two, netns: web.netns, ip: web.ip, mac: web.mac, vni: view.vni, port },
    friend: { host: three, ip: "10.64.0.77", mac: "02:00:00:00:00:77" },
    stranger: one,
  });
  for (const [way, attempt] of Object.entries(forger.attempts)) {
    narrator.check(`not delivered: ${way}`, await attempt() === 0);
  }
  narrator.say("What host2 has refused:");
  await demo.type(two, "grep", "-E", "XfrmIn(TmplMismatch|PolBlock|NoPols)", "/proc/net/xfrm_stat");
}

async function read<T>({ demo }: Stage, host: TestHost, path: string): Promise<T> {
  const { stdout } = await demo.quietly(
    host,
    ...[
      "curl",
      "--silent",
      "--fail",
      "--unix-socket",
      "/run/agent/agent.sock",
      `http://agent${path}`,
    ],
  );
  return JSON.parse(stdout);
}

/** As `tcpdump -X` prints it. */
function hexDump(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const text = row.map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".");
    rows.push(`${at.toString(16).padStart(4, "0")}  ${hex}  ${text.join("")}`);
  }
  return rows.join("\n");
}

Deno.exit(
  await demonstrate(async (stage) => {
    const watch = await UnderlayWatch.start(stage.lab);
    const web = await network(stage);
    await speak(stage, watch, web);
    await rotate(stage, web);
    await deleteKey(stage, watch, web);
    await watch.stop();
    await forge(stage, web);
  }),
);
