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
import { report, runPair, runPairs, type Titles } from "./pairs.ts";
import { packetRate, type Path, roundTrips, startReceivers, tcpThroughput } from "./traffic.ts";

const titles: Titles = {
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
  const measured = await runPairs(paths, measurements, { pairs, titles });
  const ratios = report(measured, titles);
  console.log(JSON.stringify({ bench: "datapath", kernel, pairs, ...ratios }));
});
