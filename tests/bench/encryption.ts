// needs: root netns vxlan esp flower
/**
 * An encrypted network of ours: its throughput against the same SAs and policies set up by hand, in turn;
 * packets that are lost while its keys change again and again; how long a change takes among 3 hosts, and
 * among 50 of which all but one are simulated; and the first reply over a network that was just made.
 *
 * Usage: scripts/bench encryption [--pairs N] [--seconds N] [--rotations N] [--rate PACKETS_PER_S]
 *        [--members N] [--networks N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { TestHost, TestProcess } from "../lab/hosts.ts";
import { Cluster, type ClusterHost, withHosts, type Workload } from "../e2e/cluster.ts";
import { handMadeNetwork, HandMadePair } from "../e2e/hand_made_esp.ts";
import { pause, waitFor } from "../e2e/wait.ts";
import type { NetworkView } from "../../src/api/mod.ts";
import { addedDrops, countDrops } from "./drops.ts";
import { measureFirstReply } from "./first_replies.ts";
import { measureManyMembers } from "./many_members.ts";
import { report, runPair, runPairs, type Titles } from "./pairs.ts";
import { spread } from "./statistics.ts";
import type { TrafficReport } from "./steady_traffic.ts";
import { type Path, startReceivers, tcpThroughput } from "./traffic.ts";

const titles: Titles = {
  tcp1: ["TCP, 1 stream, Gbit/s", 3],
  tcp4: ["TCP, 4 streams, Gbit/s", 3],
};

const NETWORK = "shop";
const MEMBERS = 3;
/** When nobody has sent or received anything for so long, all that will come has come. */
const QUIET_MS = 500;

interface Options {
  readonly pairs: number;
  readonly seconds: number;
  readonly rotations: number;
  /** Packets a second, of all hosts together. */
  readonly rate: number;
  readonly members: number;
  readonly networks: number;
}

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      pairs: { type: "string", default: "7" },
      seconds: { type: "string", default: "1" },
      rotations: { type: "string", default: "100" },
      rate: { type: "string", default: "1000" },
      members: { type: "string", default: "50" },
      networks: { type: "string", default: "15" },
    },
  });
  const { pairs, seconds, rotations, rate, members, networks } = values;
  return {
    pairs: Number(pairs),
    seconds: Number(seconds),
    rotations: Number(rotations),
    rate: Number(rate),
    members: Number(members),
    networks: Number(networks),
  };
}

type Result = Record<string, number>;

/** A network of ours between the first two hosts, one by hand between two that have no agent. */
async function measureThroughput(
  workloads: readonly Workload[],
  byHand: readonly [TestHost, TestHost],
  { pairs, seconds }: Options,
): Promise<Result> {
  const [near, far] = workloads;
  if (near === undefined || far === undefined) throw new RangeError("There are two workloads");
  const [left, right] = await new HandMadePair(byHand).add(handMadeNetwork(77));
  const paths: readonly [Path, Path] = [
    { label: "ours", from: near.host.lab, to: far.host.lab, netns: near.name, ip: far.ip },
    { label: "by hand", from: left.host, to: right.host, netns: left.name, ip: right.ip },
  ];
  for (const path of paths) await startReceivers(path);
  // What is slow the first time (caches, a route, a TCP metric) is no part of the comparison.
  await runPair(paths, [tcpThroughput(1, 1)]);
  const measurements = [tcpThroughput(1, seconds), tcpThroughput(4, seconds)];
  const measured = await runPairs(paths, measurements, { pairs, titles });
  const { tcp1_ratio, tcp4_ratio } = report(measured, titles);
  return { esp_tcp1_ratio: tcp1_ratio ?? Number.NaN, esp_tcp4_ratio: tcp4_ratio ?? Number.NaN };
}

function epochsOf(view: NetworkView): readonly number[] {
  return view.encryption?.epochs.map(({ epoch }) => epoch) ?? [];
}

/** A change of keys, from the request until nobody has anything of the old ones. */
async function rotate(manager: ClusterHost): Promise<number> {
  const path = `/v1/networks/${NETWORK}`;
  const startMs = performance.now();
  const [epoch] = epochsOf(await manager.socket.post<NetworkView>(`${path}/rotate`, {}));
  await waitFor(`all to be with epoch ${epoch} alone`, async () => {
    const epochs = epochsOf(await manager.socket.get<NetworkView>(path));
    return epochs.length === 1 && epochs[0] === epoch;
  });
  return performance.now() - startMs;
}

/** Programs that send to each other, one in each workload. */
async function startTraffic(
  workloads: readonly Workload[],
  rate: number,
): Promise<readonly TestProcess[]> {
  const program = new URL("steady_traffic.ts", import.meta.url).pathname;
  const deno = `${Deno.execPath()} run --allow-all --no-check --quiet`;
  const processes = workloads.map((own, number) => {
    const others = workloads.filter((other) => other !== own).map(({ ip }) => ip);
    return own.spawn(`${deno} ${program} ${number} ${rate / workloads.length} ${others.join(" ")}`);
  });
  for (const { host, name } of workloads) {
    await waitFor(`${name} to listen`, async () => {
      const sockets = await host.lab.exec("ip", "netns", "exec", name, "cat", "/proc/net/udp");
      return sockets.includes(":1B58 ");
    });
  }
  for (const process of processes) await process.kill("SIGHUP");
  return processes;
}

/** Has all stop to send, and waits until what is under way has come. */
async function stopTraffic(
  processes: readonly TestProcess[],
  workloads: readonly Workload[],
): Promise<void> {
  for (const process of processes) await process.kill("SIGINT");
  const count = () => Promise.all(workloads.map((workload) => workload.sh("cat /proc/net/snmp")));
  let before = await count();
  await waitFor("all packets to have come", async () => {
    await pause(QUIET_MS);
    const now = await count();
    const isQuiet = now.join() === before.join();
    before = now;
    return isQuiet;
  });
}

async function endTraffic(processes: readonly TestProcess[]): Promise<readonly TrafficReport[]> {
  return await Promise.all(processes.map(async (process): Promise<TrafficReport> => {
    const said = new Response(process.stdout).text();
    await process.kill("SIGTERM");
    return JSON.parse(await said);
  }));
}

/** Keys change one time after the other, each when the last has settled, while all send to all. */
async function measureRotations(
  manager: ClusterHost,
  workloads: readonly Workload[],
  { rotations, rate }: Options,
): Promise<Result> {
  const before = await countDrops(workloads, NETWORK);
  const processes = await startTraffic(workloads, rate);
  const times: number[] = [];
  for (let number = 0; number < rotations; number++) times.push(await rotate(manager));
  await stopTraffic(processes, workloads);
  const drops = addedDrops(before, await countDrops(workloads, NETWORK));
  const reports = await endTraffic(processes);
  const sum = (name: keyof TrafficReport) =>
    reports.reduce((total, figures) => total + figures[name], 0);
  const lost = sum("sent") - sum("received");
  const { median, min, max } = spread(times);
  console.log(
    `\n${rotations} rotations among ${workloads.length} hosts that send ` +
      `${rate} packets/s: ${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})`,
  );
  console.log(
    `  packets: ${sum("sent")} sent, ${sum("received")} received, ${sum("duplicates")} twice, ` +
      `${sum("refused")} refused by the sender's kernel, ` +
      `${sum("overflows")} dropped in full receive buffers`,
  );
  console.log(`  dropped, as kernels count: ${drops.join(", ") || "none"}`);
  return {
    rotations,
    rotation_packets_per_s: rate,
    rotation_packets_sent: sum("sent"),
    rotation_packets_lost: lost,
    rotation_overflows: sum("overflows"),
    rotation_ms_3: Math.round(median),
  };
}

async function measureRealHosts(options: Options): Promise<Result> {
  let result: Result = {};
  await withHosts(MEMBERS + 2, async (_lab, hosts) => {
    const cluster = await Cluster.form(hosts.slice(0, MEMBERS));
    await cluster.manager.createNetwork(NETWORK, { encrypted: true });
    const workloads = await Promise.all(
      cluster.hosts.map((host) => host.addWorkload("work", [NETWORK])),
    );
    for (const from of workloads) {
      for (const to of workloads) {
        if (from !== to) await waitFor(`${to.ip} to answer`, () => from.reaches(to.ip));
      }
    }
    const [left, right] = hosts.slice(MEMBERS).map(({ lab }) => lab);
    if (left === undefined || right === undefined) throw new RangeError("Two hosts are over");
    result = {
      ...await measureThroughput(workloads, [left, right], options),
      ...await measureRotations(cluster.manager, workloads, options),
      esp_first_reply_ms_p50: Math.round(
        await measureFirstReply(cluster.manager, [cluster.host(2), cluster.host(3)], {
          count: options.networks,
          encrypted: true,
        }),
      ),
    };
  });
  return result;
}

const options = parse(Deno.args);
const kernel = Deno.osRelease();
console.log(`kernel ${kernel}; ${options.pairs} pairs, the order swapped from pair to pair`);
const real = await measureRealHosts(options);
const many = await measureManyMembers(options.members);
const { median, min, max } = spread(many);
console.log(
  `\n${many.length} rotations among ${options.members} members, one of them with this kernel: ` +
    `${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})`,
);
const result = { ...real, [`rotation_ms_${options.members}`]: Math.round(median) };
console.log(JSON.stringify({ bench: "encryption", kernel, pairs: options.pairs, ...result }));
