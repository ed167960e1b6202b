// needs: root netns vxlan
/**
 * Replicated writes as clients of the API see them, beside a cluster of etcd under the same clients: three
 * managers on this machine's disk, fsync on, mutual TLS between all. Writes a second and how long one
 * takes by the number of clients, linearizable reads a second, in turn over several rounds; and before and
 * after, what the disk can do.
 *
 * A client has one request under way at a time, on a connection of its own with the member that leads. Ours
 * sets a label of a network that no other client changes, etcd puts as many bytes under a key, by its JSON
 * gateway.
 *
 * Usage: scripts/bench raft [--seconds N] [--rounds N] [--under DIRECTORY]
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { TestHost } from "../lab/hosts.ts";
import { type ClusterHost, withHosts } from "../e2e/cluster.ts";
import { leaderOf, voters } from "../e2e/managers.ts";
import { diskOf, fsyncsPerSecond } from "./disk.ts";
import { EtcdCluster } from "./etcd.ts";
import { runLoad, tlsServer, useAllCpus } from "./load.ts";
import type { LoadPlan, LoadResult, TlsServer } from "./load_client.ts";
import { median, ratioSpread, spread } from "./statistics.ts";

const MANAGERS = 3;
const CLIENTS = [1, 8, 32, 128];
const READERS = 32;
/** Of labels and values; a label has at most 255 characters. */
const VALUE_BYTES = 255;

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly under: string;
}

/** Somebody who writes and reads, at the server that leads. */
interface Contender {
  readonly name: "ours" | "etcd";
  readonly leader: () => Promise<TlsServer>;
  readonly write: Pick<LoadPlan, "method" | "path" | "body">;
  readonly read: Pick<LoadPlan, "method" | "path" | "body">;
}

/** By contender, what is done, and round. */
type Measured = Map<string, LoadResult[]>;

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "3" },
      rounds: { type: "string", default: "3" },
      under: { type: "string", default: Deno.cwd() },
    },
  });
  return { seconds: Number(values.seconds), rounds: Number(values.rounds), under: values.under };
}

/** Managers whose state is in `directory`, which is on a disk: a lab's own is not. */
async function startOurs(
  hosts: readonly ClusterHost[],
  directory: string,
): Promise<Contender> {
  const [first, ...others] = hosts;
  if (first === undefined) throw new RangeError("There is a manager");
  const stateDir = ({ name }: ClusterHost) => `${directory}/${name}`;
  await first.must("init", "--state-dir", stateDir(first));
  await first.ready();
  const { token } = await first.createToken({ role: "manager", uses: others.length });
  for (const host of others) {
    await host.must("join", first.address, "--token", token, "--state-dir", stateDir(host));
  }
  await voters(hosts, MANAGERS);
  for (let client = 0; client < Math.max(...CLIENTS); client++) {
    await first.createNetwork(`bench-${client}`);
  }
  const path = "/v1/networks/bench-{connection}";
  const body = JSON.stringify({ labels: { value: "a".repeat(VALUE_BYTES) } });
  return {
    name: "ours",
    leader: async () => {
      const leader = await leaderOf(hosts);
      const others = hosts.filter((host) => host !== leader).map(stateDir);
      return tlsServer(leader.address, stateDir(leader), others);
    },
    write: { method: "PATCH", path, body },
    read: { method: "GET", path },
  };
}

async function startEtcd(hosts: readonly TestHost[], directory: string): Promise<Contender> {
  const setup = new URL("../../scripts/setup", import.meta.url).pathname;
  const args = ["--program", "etcd-server", "usr/bin/etcd"];
  const { success, stdout } = await new Deno.Command(setup, { args, stderr: "inherit" }).output();
  if (!success) throw new Error("etcd could not be had: see above");
  const program = new TextDecoder().decode(stdout).trim();
  const cluster = await EtcdCluster.start(hosts, { program, directory });
  return {
    name: "etcd",
    leader: () => cluster.leader(),
    write: EtcdCluster.put(VALUE_BYTES),
    read: EtcdCluster.range(),
  };
}

async function measure(
  contender: Contender,
  client: TestHost,
  seconds: number,
  measured: Measured,
): Promise<void> {
  const { name, leader, write, read } = contender;
  const work = [
    ...CLIENTS.map((connections) => ({ what: `writes_${connections}`, connections, ...write })),
    { what: `reads_${READERS}`, connections: READERS, ...read },
  ];
  for (const { what, ...plan } of work) {
    const result = await runLoad(client, { server: await leader(), seconds, ...plan });
    const key = `${name}_${what}`;
    measured.set(key, [...measured.get(key) ?? [], result]);
    const { requestsPerS, p50Ms, p99Ms } = result;
    console.log(
      `  ${key.padEnd(18)}${requestsPerS.toFixed(0).padStart(7)}/s, ` +
        `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
    );
  }
}

function report(measured: Measured, fsyncsPerS: number): Record<string, number> {
  const values = (key: string, figure: keyof LoadResult) =>
    (measured.get(key) ?? []).map((result) => result[figure]);
  const result: Record<string, number> = { fsyncs_per_s: fsyncsPerS };
  const work = [...CLIENTS.map((clients) => `writes_${clients}`), `reads_${READERS}`];
  console.log("\nmedian (min–max) of all rounds          ours                    etcd   ratio");
  for (const what of work) {
    const [kind = "", clients = ""] = what.split("_");
    const columns = (["ours", "etcd"] as const).map((name) => {
      const prefix = name === "ours" ? "" : "etcd_";
      const key = `${name}_${what}`;
      const { median: perS, min, max } = spread(values(key, "requestsPerS"));
      result[`${prefix}${kind}_per_s_${clients}`] = Math.round(perS);
      if (kind === "writes") {
        result[`${prefix}p50_ms_${clients}`] = rounded(median(values(key, "p50Ms")));
        result[`${prefix}p99_ms_${clients}`] = rounded(median(values(key, "p99Ms")));
      }
      return `${perS.toFixed(0)} (${min.toFixed(0)}–${max.toFixed(0)})`.padStart(24);
    });
    const pairs = values(`ours_${what}`, "requestsPerS").map((ours, round) => ({
      ours,
      byHand: values(`etcd_${what}`, "requestsPerS")[round] ?? Number.NaN,
    }));
    const ratio = ratioSpread(pairs).median.toFixed(2);
    const title = `${kind}/s of ${clients} client${clients === "1" ? "" : "s"}`;
    console.log(`${title.padEnd(22)}${columns.join("")}${ratio.padStart(8)}`);
  }
  result.reads_per_s = result[`reads_per_s_${READERS}`] ?? Number.NaN;
  const best = Math.max(...CLIENTS.map((clients) => result[`writes_per_s_${clients}`] ?? 0));
  result.writes_per_fsync = rounded(best / fsyncsPerS);
  return result;
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

async function main({ seconds, rounds, under }: Options): Promise<void> {
  const fileSystem = await diskOf(under);
  const kernel = Deno.osRelease();
  console.log(`kernel ${kernel}; file system ${fileSystem}; ${rounds} rounds, in turn`);
  await useAllCpus();
  const directory = Deno.makeTempDirSync({ dir: under, prefix: "bench-raft-" });
  try {
    const before = fsyncsPerSecond(under);
    const measured: Measured = new Map();
    await withHosts(2 * MANAGERS + 1, async (_lab, hosts) => {
      const client = hosts[2 * MANAGERS]?.lab;
      if (client === undefined) throw new RangeError("There is a host for the clients");
      const ours = await startOurs(hosts.slice(0, MANAGERS), directory);
      const others = hosts.slice(MANAGERS, 2 * MANAGERS).map(({ lab }) => lab);
      const etcd = await startEtcd(others, `${directory}/etcd`);
      for (let round = 0; round < rounds; round++) {
        const order = round % 2 === 0 ? [ours, etcd] : [etcd, ours];
        console.log(`round ${round + 1}, ${order[0]?.name} first`);
        for (const contender of order) await measure(contender, client, seconds, measured);
      }
    });
    const after = fsyncsPerSecond(under);
    console.log(`fsyncs: ${before}/s before, ${after}/s after`);
    const result = report(measured, Math.round((before + after) / 2));
    console.log(
      JSON.stringify({ bench: "raft", kernel, file_system: fileSystem, rounds, ...result }),
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

await main(parse(Deno.args));
