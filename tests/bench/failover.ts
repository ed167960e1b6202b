// needs: root netns vxlan
/**
 * What it costs when the manager that leads dies: three managers and two workers, the leader is killed
 * (`kill -9`) again and again while writers on the other hosts write and a ping goes between the
 * workers. Measured is the time from the kill to the next write that is acknowledged to a client of
 * another host's socket; at the end every acknowledged write has to be on every manager's disk.
 *
 * Usage: scripts/bench failover [--kills N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Cluster, withHosts } from "../e2e/cluster.ts";
import { assertNothingLost, leaderOf, voters, Writer } from "../e2e/managers.ts";
import { Pinger } from "../e2e/pinger.ts";
import { percentile, spread } from "./statistics.ts";

/** The first answer may be of the one that is dead by now: only the second was surely begun after it. */
async function nextWrite(writer: Writer): Promise<void> {
  await writer.goesOn();
  await writer.goesOn();
}

/** Longest time between a whole cluster and the next kill: the moment has to be any. */
const LIFE_MS = 500;

const { values } = parseArgs({ options: { kills: { type: "string", default: "30" } } });
const kills = Number(values.kills);
if (!(kills >= 1)) throw new RangeError(`--kills ${values.kills} is not a number above 0`);

await withHosts(5, async (_lab, hosts) => {
  const cluster = await Cluster.form(hosts, { managers: 3 });
  const managers = hosts.slice(0, 3);
  await voters(managers, 3);
  await cluster.manager.createNetwork("red", { subnet: "10.64.0.0/14" });
  const to = await cluster.host(4).addWorkload("to", ["red"], { name: "to" });
  const from = await cluster.host(5).addWorkload("from", ["red"], { name: "from" });
  const pinger = await Pinger.start(from, to.ip);
  const writers = hosts.map((host) => new Writer(host, host.name));

  const times: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await voters(managers, 3);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * LIFE_MS));
    const leader = await leaderOf(managers);
    const others = writers.filter((_, index) => hosts[index] !== leader);
    const killedMs = performance.now();
    await leader.killAgent();
    await Promise.any(others.map(nextWrite));
    times.push(performance.now() - killedMs);
    console.log(`kill ${kill}: ${leader.name}, next write after ${times.at(-1)?.toFixed(0)} ms`);
    await leader.restartAgent();
  }
  await Promise.all(writers.map((writer) => writer.stop()));
  const { answered, lost } = await pinger.stop();
  // Throws when one is missing, or is there twice.
  await assertNothingLost(managers, writers);
  const { median, max } = spread(times);
  const written = writers.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  console.log(`${kills} kills, ${written} writes acknowledged, ${answered} pings answered`);
  console.log(JSON.stringify({
    bench: "failover",
    kernel: Deno.osRelease(),
    kills,
    median_ms: Math.round(median),
    p90_ms: Math.round(percentile(times, 90)),
    worst_ms: Math.round(max),
    packets_lost: lost.length,
    writes: written,
    writes_lost: 0,
  }));
});
