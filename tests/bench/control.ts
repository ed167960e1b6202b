// needs: root netns vxlan
/**
 * The control plane in figures: joining, from a network's creation to the first reply across hosts,
 * requests a second, memory, and a reconciliation that finds nothing to do.
 *
 * Usage: scripts/bench control [--joins N] [--networks N] [--seconds N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type ClusterHost, RUN_DIR, STATE_DIR, withHosts } from "../e2e/cluster.ts";
import { idleMemory, type Join, type Memory, timedJoin } from "./agent_process.ts";
import { measureFirstReply, range } from "./first_replies.ts";
import { runLoad, tlsServer, useAllCpus } from "./load.ts";
import type { LoadPlan, UnixServer } from "./load_client.ts";
import { percentile } from "./statistics.ts";

const LOAD_NETWORKS = 20;
const LOAD_ENDPOINTS = 1000;
const CONNECTIONS = 16;
const NOOP_RUNS = 15;

interface Options {
  readonly joins: number;
  readonly networks: number;
  readonly seconds: number;
}

/** What stands in the last line. */
type Result = Record<string, number>;

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      joins: { type: "string", default: "9" },
      networks: { type: "string", default: "50" },
      seconds: { type: "string", default: "4" },
    },
  });
  const options = {
    joins: Number(values.joins),
    networks: Number(values.networks),
    seconds: Number(values.seconds),
  };
  if (options.joins < 4) throw new RangeError("--joins: the rest needs 4 hosts that have joined");
  return options;
}

/** Lets fresh hosts join, one after the other. */
async function measureJoins(
  manager: ClusterHost,
  fresh: readonly ClusterHost[],
): Promise<readonly number[]> {
  const { token } = await manager.createToken({ uses: fresh.length });
  const joins: Join[] = [];
  for (const host of fresh) {
    joins.push(await timedJoin(host, manager.address, token));
    await host.ready();
  }
  const times = joins.map(({ ms }) => ms);
  console.log(`join, from exec to ready, ${fresh.length} fresh hosts: ${range(times, 0)} ms`);
  for (const [index, { step }] of (joins[0]?.steps ?? []).entries()) {
    const at = joins.flatMap(({ steps }) => steps[index]?.atMs ?? []);
    // A step may name a host or an address: that of the first host is enough.
    console.log(`  at ${range(at, 0)} ms: ${step.slice(0, 70)}`);
  }
  return times;
}

/** Networks with endpoints of a host that is off, and a workload of each given host on every one. */
async function makeLoad(
  manager: ClusterHost,
  idle: ClusterHost,
  attached: readonly ClusterHost[],
): Promise<void> {
  await idle.killAgent();
  const each = LOAD_ENDPOINTS / LOAD_NETWORKS;
  for (let index = 0; index < LOAD_NETWORKS; index++) {
    const network = `load-${index}`;
    await manager.createNetwork(network);
    const path = `/v1/networks/${network}/endpoints`;
    await Promise.all(
      Array.from({ length: each }, () => manager.socket.post(path, { node: idle.name })),
    );
    for (const host of attached) await host.addWorkload(`load-${index}`, [network]);
  }
  for (const host of attached) await host.ready();
}

function showMemory(title: string, { rssMb, pssMb }: Memory): void {
  console.log(`memory of the ${title}: RSS ${rssMb.toFixed(1)} MB, PSS ${pssMb.toFixed(1)} MB`);
}

/**
 * Reads all that is in the kernel, compares it with what should be, and finds nothing to do: as a
 * client of `GET /v1/plan` sees it.
 */
async function measureNoop(title: string, host: ClusterHost): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < NOOP_RUNS; run++) {
    const startMs = performance.now();
    const operations = await host.plan();
    times.push(performance.now() - startMs);
    if (operations.length > 0) throw new Error(`${host.name} is not at rest: ${operations[0]}`);
  }
  console.log(`no-op reconciliation of the ${title}: ${range(times, 1)} ms`);
  return percentile(times, 50);
}

/** As {@linkcode runLoad}, and tells. */
async function measureLoad(title: string, from: ClusterHost, plan: LoadPlan): Promise<number> {
  const { requestsPerS, p50Ms, p99Ms } = await runLoad(from.lab, plan);
  console.log(
    `${title}, ${plan.connections} connections: ${requestsPerS.toFixed(0)}/s, ` +
      `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
  );
  return requestsPerS;
}

async function measureRequests(
  manager: ClusterHost,
  worker: ClusterHost,
  idle: ClusterHost,
  seconds: number,
): Promise<Result> {
  // Of a size that does not end; nobody is attached to it, so a write is a write and nothing more.
  const network = "writes";
  await manager.createNetwork(network, { subnet: "10.80.0.0/14" });
  const read = { method: "GET", path: "/v1/networks/load-0" };
  const write = {
    method: "POST",
    path: `/v1/networks/${network}/endpoints`,
    body: JSON.stringify({ node: idle.name }),
  };
  const unix: UnixServer = { kind: "unix", path: `${RUN_DIR}/agent.sock` };
  const tls = tlsServer(manager.address, manager.lab.path(STATE_DIR));
  const common = { connections: CONNECTIONS, seconds };
  const overUnix = { server: unix, ...common };
  const overTls = { server: tls, ...common };
  return {
    reads_per_s: await measureLoad("reads, unix socket", manager, { ...overUnix, ...read }),
    reads_per_s_mtls: await measureLoad("reads, mutual TLS", worker, { ...overTls, ...read }),
    writes_per_s: await measureLoad("writes, unix socket", manager, { ...overUnix, ...write }),
    writes_per_s_mtls: await measureLoad("writes, mutual TLS", worker, { ...overTls, ...write }),
  };
}

async function run(
  manager: ClusterHost,
  fresh: readonly ClusterHost[],
  options: Options,
): Promise<void> {
  await manager.must("init");
  await manager.ready();
  const joinMs = await measureJoins(manager, fresh);
  const [worker, idle, left, right] = fresh;
  if (!worker || !idle || !left || !right) throw new RangeError("4 hosts have joined");
  const managerBefore = await idleMemory(manager);
  const workerBefore = await idleMemory(worker);
  showMemory("manager, no network", managerBefore);
  showMemory("worker, no network", workerBefore);
  await makeLoad(manager, idle, [manager, worker]);
  const noopMs = await measureNoop(`worker, ${LOAD_NETWORKS} networks`, worker);
  const managerNoopMs = await measureNoop(`manager, ${LOAD_NETWORKS} networks`, manager);
  const load = `${LOAD_NETWORKS} networks, ${LOAD_ENDPOINTS} endpoints`;
  const managerAfter = await idleMemory(manager);
  const workerAfter = await idleMemory(worker);
  showMemory(`manager, ${load}`, managerAfter);
  showMemory(`worker, ${load}`, workerAfter);
  const firstReplyMs = await measureFirstReply(manager, [left, right], { count: options.networks });
  const requests = await measureRequests(manager, left, idle, options.seconds);
  const result: Result = {
    join_ms_p50: percentile(joinMs, 50),
    join_ms_max: Math.max(...joinMs),
    first_reply_ms_p50: firstReplyMs,
    ...requests,
    worker_rss_mb: workerAfter.rssMb,
    worker_pss_mb: workerAfter.pssMb,
    worker_rss_mb_empty: workerBefore.rssMb,
    manager_rss_mb: managerAfter.rssMb,
    manager_pss_mb: managerAfter.pssMb,
    manager_rss_mb_empty: managerBefore.rssMb,
    noop_reconcile_ms: noopMs,
    noop_reconcile_ms_manager: managerNoopMs,
  };
  const rounded = Object.fromEntries(
    Object.entries(result).map(([name, value]) => [name, Number(value.toFixed(1))]),
  );
  console.log(JSON.stringify({ bench: "control", kernel: Deno.osRelease(), ...rounded }));
}

const options = parse(Deno.args);
await useAllCpus();
await withHosts(1 + options.joins, async (_lab, [manager, ...fresh]) => {
  if (manager === undefined) throw new RangeError("There is a host");
  await run(manager, fresh, options);
});
