// needs: root netns vxlan esp flower
/**
 * A host with a thousand peers on ten encrypted networks: our reconciler from an empty kernel, beside the
 * very same netlink messages sent again from a file, and beside iproute2's batches; then a full check that
 * finds nothing to do, beside the same dumps; then one peer more.
 *
 * Usage: scripts/bench reconcile [--peers N] [--networks N] [--rounds N] [--profile DIRECTORY]
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Clock } from "../../src/base/mod.ts";
import { buildDesired, type Desired, Reconciler } from "../../src/overlay/mod.ts";
import type { Projection } from "../../src/state/mod.ts";
import { createLogger, systemClock } from "../../src/sys/mod.ts";
import { Crowd } from "./crowd.ts";
import { IpBatch } from "./ip_batch.ts";
import { Recording } from "./netlink_recording.ts";
import { OneHost } from "./one_host.ts";
import { profiled } from "./profile.ts";
import { median, ratioSpread, spread } from "./statistics.ts";

const NOOP_RUNS = 5;
const ONE_PEER_RUNS = 15;
/** Every so many ticks of a second the reconciler reads everything anew. */
const FULL_CHECK_TICKS = 30;
const TICK_MS = 1_000;

interface Options {
  readonly peers: number;
  readonly networks: number;
  readonly rounds: number;
  readonly profile: string | null;
}

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      peers: { type: "string", default: "1000" },
      networks: { type: "string", default: "10" },
      rounds: { type: "string", default: "3" },
      profile: { type: "string" },
    },
  });
  return {
    peers: Number(values.peers),
    networks: Number(values.networks),
    rounds: Number(values.rounds),
    profile: values.profile ?? null,
  };
}

/** The machine's time, but the reconciler's seconds pass when this program says so. */
class TickingClock implements Clock {
  #tick: (() => void) | null = null;
  nowMs = () => systemClock.nowMs();
  monotonicMs = () => systemClock.monotonicMs();

  schedule(delayMs: number, callback: () => void): () => void {
    if (delayMs !== TICK_MS) return systemClock.schedule(delayMs, callback);
    this.#tick = callback;
    return () => {
      this.#tick = null;
    };
  }

  tick(): void {
    this.#tick?.();
  }
}

/** What was measured once, each in ms. */
type Figures = Record<string, number>;

/** Our reconciler on a host. */
class Measured {
  readonly clock = new TickingClock();
  readonly reconciler: Reconciler;
  readonly host: ReturnType<OneHost["open"]>;

  constructor(host: OneHost, crowd: Crowd) {
    this.host = host.open();
    this.reconciler = new Reconciler({
      host: this.host,
      clock: this.clock,
      keys: crowd.keys,
      // Repairs would be of changes that nobody made.
      logger: createLogger({ level: "warn", write: (line) => console.error(line) }),
    });
  }

  /** Brings something about. @returns how long that took */
  async settle(desired: Desired): Promise<number> {
    const startMs = performance.now();
    this.reconciler.setDesired(desired);
    const { problems } = await this.reconciler.settled();
    const ms = performance.now() - startMs;
    if (problems.length > 0) throw new Error(problems[0]?.message);
    return ms;
  }

  /** Reads everything anew and finds nothing to do. */
  async check(): Promise<number> {
    const { rounds } = this.reconciler.stats;
    for (let second = 0; second < FULL_CHECK_TICKS; second++) {
      this.clock.tick();
      await this.reconciler.settled();
      // It is told before the round has quite ended, and a tick during a round is none.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const { stats } = this.reconciler;
    if (stats.rounds !== rounds + 1 || stats.lastNoopMs !== stats.lastRoundMs) {
      throw new Error("There was something to do");
    }
    return stats.lastRoundMs;
  }

  async close(): Promise<void> {
    await this.reconciler.close();
    this.host.close();
  }
}

interface Round {
  readonly figures: Figures;
  readonly bulk: Recording;
  readonly dumps: Recording;
  readonly ip: IpBatch;
}

/** From an empty kernel by our reconciler. */
async function measureOurs(options: Options, directory: string): Promise<Round> {
  const { peers, networks, profile } = options;
  const trace = (name: string) => profile === null ? null : `${profile}/${name}.cpuprofile`;
  const host = await OneHost.make();
  const crowd = new Crowd(networks, `${directory}/run`, host.workloadPath);
  const desired = crowd.desired(peers);
  const more = crowd.told(peers + 1);
  const measured = new Measured(host, crowd);
  const rssBefore = memoryMb("VmRSS");
  const full_ms = await profiled(trace("full"), () => measured.settle(desired));
  const { longestSliceMs } = measured.reconciler.stats;
  const peak_rss_mb = memoryMb("VmHWM");
  console.log(
    `memory before ${rssBefore.toFixed(0)} MB, at most ${peak_rss_mb.toFixed(0)} MB; ` +
      `longest slice ${longestSliceMs.toFixed(1)} ms`,
  );
  await assertComplete(host, crowd, peers);
  const bulk = new Recording(directory, measured.host.takeBulk());
  await measured.check();
  Deno.mkdirSync(`${directory}/dumps`);
  const dumps = new Recording(`${directory}/dumps`, measured.host.takeDumps());
  const noops: number[] = [];
  const replays: number[] = [];
  await profiled(trace("noop"), async () => {
    for (let run = 0; run < NOOP_RUNS; run++) noops.push(await measured.check());
  });
  for (let run = 0; run < NOOP_RUNS; run++) {
    const startMs = performance.now();
    dumps.replayDumps(host.name, host.prefix);
    replays.push(performance.now() - startMs);
  }
  const adding: number[] = [];
  const parsing: number[] = [];
  let before = desired;
  await profiled(trace("one_peer"), async () => {
    for (let run = 0; run < ONE_PEER_RUNS; run++) {
      const told = run === 0 ? more : crowd.told(peers + 1 + run);
      const text = JSON.stringify(told.projection);
      collectGarbage();
      const startMs = performance.now();
      const projection: Projection = JSON.parse(text);
      parsing.push(performance.now() - startMs);
      collectGarbage();
      // From the projection in hand to the kernel.
      const handMs = performance.now();
      before = buildDesired(projection, told.attachments, before);
      await measured.settle(before);
      adding.push(performance.now() - handMs);
    }
  });
  await measured.close();
  await host.end();
  const figures = {
    full_ms,
    noop_ms: median(noops),
    dump_replay_ms: median(replays),
    one_peer_ms: median(adding),
    one_peer_parse_ms: median(parsing),
    peak_rss_mb,
  };
  return { figures, bulk, dumps, ip: new IpBatch(directory, crowd.told(peers).projection) };
}

/** A host that has the same networks with nobody on them, and what brings in the others. */
async function measureOther(
  { networks, peers }: Options,
  directory: string,
  work: (host: OneHost) => Promise<unknown>,
): Promise<number> {
  const host = await OneHost.make();
  const crowd = new Crowd(networks, `${directory}/run2`, host.workloadPath);
  const measured = new Measured(host, crowd);
  await measured.settle(crowd.desired(0));
  await measured.close();
  const startMs = performance.now();
  await work(host);
  const ms = performance.now() - startMs;
  await assertComplete(host, crowd, peers);
  await host.end();
  return ms;
}

async function assertComplete(host: OneHost, crowd: Crowd, peers: number): Promise<void> {
  const names = crowd.names().map((name) => `agent-${name}`);
  const counts = await host.count(names);
  const pairs = peers * names.length;
  const wanted = { sas: 2 * pairs, policies: 2 * pairs, neighbours: pairs, fdbEntries: 2 * pairs };
  for (const [what, count] of Object.entries(wanted)) {
    if (counts[what] !== count) throw new Error(`There are ${counts[what]} ${what}, not ${count}`);
  }
}

/** What this program made to measure with is not collected at the cost of what is measured (--expose-gc). */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

function memoryMb(name: string): number {
  const text = Deno.readTextFileSync("/proc/self/status");
  return Number(text.match(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m"))?.[1]) * 1024 / 1e6;
}

async function warmUp(): Promise<void> {
  const host = await OneHost.make();
  const directory = Deno.makeTempDirSync({ prefix: "reconcile" });
  const crowd = new Crowd(1, directory, host.workloadPath);
  const measured = new Measured(host, crowd);
  await measured.settle(crowd.desired(20));
  await measured.close();
  await host.end();
  Deno.removeSync(directory, { recursive: true });
}

async function runRound(options: Options): Promise<Figures> {
  const directory = Deno.makeTempDirSync({ prefix: "reconcile" });
  const { figures, bulk, ip } = await measureOurs(options, directory);
  const replay_ms = await measureOther(
    options,
    directory,
    (host) => Promise.resolve(bulk.replay(host.name, host.prefix)),
  );
  const ip_batch_ms = await measureOther(
    options,
    directory,
    (host) => ip.run(host.name, host.prefix),
  );
  Deno.removeSync(directory, { recursive: true });
  return { ...figures, replay_ms, ip_batch_ms };
}

function report(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {});
  const of = (name: string) => rounds.map((figures) => figures[name] ?? Number.NaN);
  console.log(`\nmedian (min–max) of ${rounds.length} rounds`);
  for (const name of names) {
    const { median, min, max } = spread(of(name));
    console.log(`${name.padEnd(20)}${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`);
  }
  const ratios = [
    ["full_ms", "replay_ms"],
    ["full_ms", "ip_batch_ms"],
    ["noop_ms", "dump_replay_ms"],
  ] as const;
  for (const [left, right] of ratios) {
    const pairs = rounds.map((figures) => ({
      ours: figures[left] ?? Number.NaN,
      byHand: figures[right] ?? Number.NaN,
    }));
    const { median, min, max } = ratioSpread(pairs);
    console.log(
      `${left} ÷ ${right}: ${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
    );
  }
  const medians = names.map((name) => [name, Number(median(of(name)).toFixed(1))] as const);
  // Later rounds of this process have the memory of earlier ones.
  return { ...Object.fromEntries(medians), peak_rss_mb: Math.round(of("peak_rss_mb")[0] ?? 0) };
}

async function main(options: Options): Promise<void> {
  const { peers, networks } = options;
  const kernel = Deno.osRelease();
  console.log(`kernel ${kernel}; ${networks} encrypted networks with ${peers} peers each`);
  // The first SA and the first filter of all have the kernel load modules.
  await warmUp();
  const rounds: Figures[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const figures = await runRound(options);
    rounds.push(figures);
    const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(1)}`);
    console.log(`round ${round + 1}: ${shown.join(", ")}`);
  }
  const result = report(rounds);
  console.log(JSON.stringify({ bench: "reconcile", kernel, peers, networks, ...result }));
}

try {
  await main(parse(Deno.args));
} catch (error) {
  // What still watches a kernel would keep this process from its end.
  console.error(error);
  Deno.exit(1);
}
