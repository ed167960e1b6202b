import assert from "node:assert/strict";
import { PLANTED_BUGS } from "./planted_bugs.ts";
import { flawedProgram, realProgram } from "./program.ts";
import { simulate } from "./simulation.ts";

const real = await realProgram();

for (const { name, edits, faults, withinSeeds } of PLANTED_BUGS) {
  Deno.test(`a planted mistake is found: ${name}`, async () => {
    const folder = Deno.makeTempDirSync({ prefix: "agent-flawed-" });
    try {
      const program = await flawedProgram(folder, edits);
      let seed = 1;
      const options = faults === undefined ? {} : { faults };
      while (seed <= withinSeeds && simulate(program, seed, options).violation === null) seed++;
      assert.ok(seed <= withinSeeds, `${withinSeeds} seeds have not shown it`);
      const { violation } = simulate(real, seed, options);
      assert.equal(violation, null, "without the mistake all is well");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}
