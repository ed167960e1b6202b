/**
 * Runs many simulations and says what came of them; see `usage`. Started by `scripts/sim`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { realProgram } from "./program.ts";
import { type Run, simulate } from "./simulation.ts";
import { formatFailure, NOTHING, type Summary, withRun } from "./summary.ts";

const usage = `Usage: scripts/sim [--seeds N] [--minutes M] [--from SEED] [--jobs J]
       scripts/sim --seed SEED

Simulates clusters of managers: real Raft core and real state, simulated networks, disks and clocks
that go wrong. Stops after N seeds (500) or M minutes (60), whichever comes first; runs J at a time
(as many as there are CPUs). With --seed, runs that one and shows the last events.

The last line is one JSON object with what all runs have come to; the exit status is 1 if anything
happened that must not.`;

function numberOf(text: string | undefined, fallback: number, name: string): number {
  const value = Number(text ?? fallback);
  if (Number.isFinite(value) && value > 0) return value;
  throw new RangeError(`--${name} takes a number above 0, not ${text}`);
}

/** Lets `jobs` workers run seeds until there are no more of them, or the time is over. */
async function runAll(
  options: { from: number; seeds: number; endMs: number; jobs: number },
): Promise<Summary> {
  let summary = NOTHING;
  let next = options.from;
  const lane = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = (event: MessageEvent<Run | "ready">) => {
        if (event.data !== "ready") {
          summary = withRun(summary, event.data);
          if (event.data.violation !== null) console.log(formatFailure(event.data));
          if (summary.seeds % 500 === 0) console.log(`${summary.seeds} seeds`);
        }
        if (next >= options.from + options.seeds || performance.now() > options.endMs) {
          worker.terminate();
          resolve();
        } else worker.postMessage(next++);
      };
    });
  await Promise.all(Array.from({ length: options.jobs }, lane));
  return summary;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seeds: { type: "string" },
      minutes: { type: "string" },
      from: { type: "string" },
      jobs: { type: "string" },
      seed: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  if (values.seed !== undefined) {
    const seed = numberOf(values.seed, 1, "seed");
    const run = simulate(await realProgram(), seed, { trace: "last" });
    console.log(run.violation === null ? `seed ${seed}: all is well` : formatFailure(run));
    return run.violation === null ? 0 : 1;
  }
  const summary = await runAll({
    from: numberOf(values.from, 1, "from"),
    seeds: numberOf(values.seeds, 500, "seeds"),
    endMs: performance.now() + 60_000 * numberOf(values.minutes, 60, "minutes"),
    jobs: numberOf(values.jobs, navigator.hardwareConcurrency, "jobs"),
  });
  console.log(JSON.stringify(summary));
  return summary.violations.length === 0 ? 0 : 1;
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(`sim: ${error instanceof Error ? error.message : error}`);
  Deno.exit(2);
}
