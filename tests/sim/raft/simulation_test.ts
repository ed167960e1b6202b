import assert from "node:assert/strict";
import { realProgram } from "./program.ts";
import { simulate } from "./simulation.ts";
import { formatFailure } from "./summary.ts";

const SEEDS = 500;
/** So that a test says where it is, and ends soon when something is wrong. */
const SEEDS_IN_A_TEST = 50;

const program = await realProgram();

for (let from = 1; from <= SEEDS; from += SEEDS_IN_A_TEST) {
  const to = from + SEEDS_IN_A_TEST - 1;
  Deno.test(`nothing that must not happen, seeds ${from} to ${to}`, () => {
    for (let seed = from; seed <= to; seed++) {
      if (simulate(program, seed).violation === null) continue;
      assert.fail(`\n${formatFailure(simulate(program, seed, { trace: "last" }))}`);
    }
  });
}

Deno.test("the same seed is the same run", () => {
  const [once, again] = [7, 7].map((seed) => simulate(program, seed, { trace: "last" }));
  assert.deepEqual(once, again);
  assert.notDeepEqual(once, simulate(program, 8, { trace: "last" }));
});

Deno.test("there is trouble, and work is done in spite of it", () => {
  const runs = Array.from({ length: 20 }, (_, at) => simulate(program, at + 1));
  const sum = (of: (run: typeof runs[number]) => number) =>
    runs.reduce((total, run) => total + of(run), 0);
  assert.ok(sum((run) => run.operations) > 20 * 100, "clients are served");
  assert.ok(sum((run) => run.elections) > 20 * 2, "leaders are replaced");
  assert.ok(sum((run) => run.changes) > 10, "members come and go");
  const kinds = new Set(runs.flatMap((run) => [...run.faults.keys()]));
  assert.ok(kinds.size > 15, `faults are of many kinds: ${[...kinds].join(", ")}`);
});
