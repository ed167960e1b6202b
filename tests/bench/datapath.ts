// needs: root netns vxlan
/**
 * An overlay network of ours against the same VXLAN set up by hand with `ip` and `bridge`, between
 * the same two hosts, in turn. What counts are the ratios within each pair of runs.
 *
 * Usage: scripts/bench datapath [--pairs N] [--seconds N] [--pings N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type ClusterHost, withCluster } from "../e2e/cluster.ts";
import { HAND_MADE_WORKLOAD, handMadeAddress, setUpByHand } from "./hand_made.ts";
import { differences } from "./kernel_settings.ts";
import { type Pair, ratioSpread, type Spread, spread } from "./statistics.ts";
import {
  type Measurement,
  packetRate,
  type Path,
  roundTrips,
  startReceivers,
  tcpThroughput,
} from "./traffic.ts";

/** What is printed of each figure, and how many decimals of it. */
const titles: Readonly<Record<string, readonly [title: string, digits: number]>> = {
  tcp1: ["TCP, 1 stream, Gbit/s", 2],
  tcp4: ["TCP, 4 streams, Gbit/s", 2],
  pps: ["packets of 64 bytes, 1000/s", 1],
  p50_latency: ["round trip, p50, µs", 2],
  p99_latency: ["round trip, p99, µs", 2],
};

const NETWORK = "bench";
const OUR_WORKLOAD = "our-work";

interface Options {
  readonly pairs: number;
  readonly seconds: number;
  readonly pings: number;
}

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      pairs: { type: "string", default: "15" },
      seconds: { type: "string", default: "1" },
      pings: { type: "string", default: "3000" },
    },
  });
  const { pairs, seconds, pings } = values;
  return { pairs: Number(pairs), seconds: Number(seconds), pings: Number(pings) };
}

/** Both networks between the same two hosts. */
async function makePaths(one: ClusterHost, two: ClusterHost): Promise<readonly [Path, Path]> {
  await one.createNetwork(NETWORK);
  await one.addWorkload(OUR_WORKLOAD, [NETWORK]);
  const workload = await two.addWorkload(OUR_WORKLOAD, [NETWORK]);
  const mtuBytes = workload.attachment.interfaces[0]?.mtuBytes;
  if (mtuBytes === undefined) throw new Error("The workload has no interface");
  const left = { host: one.lab, number: 1 };
  const right = { host: two.lab, number: 2 };
  await setUpByHand(left, right, mtuBytes);
  const ends = { from: one.lab, to: two.lab };
  return [
    { label: "ours", ...ends, netns: OUR_WORKLOAD, ip: workload.ip },
    { label: "by hand", ...ends, netns: HAND_MADE_WORKLOAD, ip: handMadeAddress(right) },
  ];
}

async function showDifferences(one: ClusterHost): Promise<void> {
  const lines = await differences(
    { host: one.lab, sandbox: `agent-${NETWORK}`, workload: OUR_WORKLOAD },
    { host: one.lab, sandbox: "hand-box", workload: HAND_MADE_WORKLOAD },
  );
  console.log(
    lines.length === 0
      ? "devices and sysctls: the same"
      : "devices and sysctls: the same but for (ours / by hand)",
  );
  for (const line of lines) console.log(`  ${line}`);
}

/**
 * Measures each figure of both paths, in short runs that lie close together, in the order A B B A: so
 * what changes on the machine meanwhile weighs on both alike.
 */
async function runPair(
  [first, second]: readonly [Path, Path],
  measurements: readonly Measurement[],
): Promise<Record<string, Pair>> {
  const sums: Record<Path["label"], Record<string, number>> = { "ours": {}, "by hand": {} };
  const order = [first, second, second, first];
  for (const measurement of measurements) {
    for (const path of order) {
      const sum = sums[path.label];
      for (const [name, value] of Object.entries(await measurement.run(path))) {
        sum[name] = (sum[name] ?? 0) + value / 2;
      }
    }
  }
  return Object.fromEntries(
    Object.entries(sums.ours).map(([name, ours]) => {
      return [name, { ours, byHand: sums["by hand"][name] ?? Number.NaN }];
    }),
  );
}

function show({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

function report(pairs: readonly Record<string, Pair>[]): Record<string, number> {
  const result: Record<string, number> = {};
  console.log(`\nmedian (min–max) of ${pairs.length} pairs`);
  console.log(
    "".padEnd(30) + "ours".padEnd(26) + "by hand".padEnd(26) + "ours ÷ by hand, pairwise",
  );
  for (const [name, [title, digits]] of Object.entries(titles)) {
    const all = pairs.flatMap((pair) => pair[name] ?? []);
    const ratio = ratioSpread(all);
    result[`${name}_ratio`] = Number(ratio.median.toFixed(4));
    const [ours, byHand] = [all.map((pair) => pair.ours), all.map((pair) => pair.byHand)].map(
      (values) => show(spread(values), digits).padEnd(26),
    );
    console.log(`${title.padEnd(30)}${ours}${byHand}${show(ratio, 3)}`);
  }
  return result;
}

const { pairs, seconds, pings } = parse(Deno.args);
await withCluster(2, async (cluster) => {
  const paths = await makePaths(cluster.host(1), cluster.host(2));
  const kernel = Deno.osRelease();
  console.log(`kernel ${kernel}; ${pairs} pairs, the order swapped from pair to pair`);
  await showDifferences(cluster.host(1));
  for (const path of paths) await startReceivers(path);
  const measurements = [
    tcpThroughput(1, seconds),
    tcpThroughput(4, seconds),
    packetRate(seconds),
    roundTrips(pings),
  ];
  // What is slow the first time (caches, a route, a TCP metric) is no part of the comparison.
  await runPair(paths, [tcpThroughput(1, 1), packetRate(1), roundTrips(pings)]);
  const [ours, byHand] = paths;
  const swapped = [byHand, ours] as const;
  const measured: Record<string, Pair>[] = [];
  for (let number = 0; number < pairs; number++) {
    const order = number % 2 === 0 ? paths : swapped;
    const pair = await runPair(order, measurements);
    measured.push(pair);
    const figures = Object.entries(pair).map(([name, figure]) => {
      const digits = titles[name]?.[1];
      return `${name} ${figure.ours.toFixed(digits)} / ${figure.byHand.toFixed(digits)}`;
    });
    console.log(`pair ${number + 1}, ${order[0].label} first: ${figures.join(", ")}`);
  }
  const ratios = report(measured);
  console.log(JSON.stringify({ bench: "datapath", kernel, pairs, ...ratios }));
});
