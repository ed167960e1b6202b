import assert from "node:assert/strict";
import { HandClock } from "../cluster/testing_clock.ts";
import { keepingLogger } from "../cluster/testing_plane.ts";
import { EncryptionProbe } from "./encryption_probe.ts";

function setUp(answers: (string | Error)[]) {
  const clock = new HandClock();
  const told: string[] = [];
  const start = () =>
    EncryptionProbe.start({
      probe: () => {
        const answer = answers.shift() ?? "too often";
        if (answer instanceof Error) throw answer;
        return answer;
      },
      clock,
      logger: keepingLogger(),
      onChange: () => void told.push("changed"),
    });
  return { clock, told, start };
}

async function turn(clock: HandClock, ms: number): Promise<void> {
  clock.pass(ms);
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("what works is tried once", async () => {
  const { clock, told, start } = setUp(["ok"]);
  const probe = await start();
  assert.deepEqual([probe.answer, told, clock.timers], ["ok", [], 0]);
});

Deno.test("what does not is tried every minute, and told when it changes", async () => {
  const { clock, told, start } = setUp(["unavailable (no esp4)", new Error("no room"), "ok"]);
  const probe = await start();
  assert.equal(probe.answer, "unavailable (no esp4)");
  await turn(clock, 60_000);
  assert.deepEqual([probe.answer, told.length], ["unavailable (no room)", 1]);
  await turn(clock, 59_999);
  assert.equal(told.length, 1);
  await turn(clock, 1);
  assert.deepEqual([probe.answer, told.length, clock.timers], ["ok", 2, 0]);
});

Deno.test("a closed one tries no more", async () => {
  const { clock, start } = setUp(["unavailable (no esp4)"]);
  const probe = await start();
  probe.close();
  await turn(clock, 120_000);
  assert.equal(probe.answer, "unavailable (no esp4)");
});

Deno.test("where it takes long nobody waits, and the answer is told when it comes", async () => {
  const { clock, told } = setUp([]);
  const { promise, resolve } = Promise.withResolvers<string>();
  const started = EncryptionProbe.start({
    probe: () => promise,
    clock,
    logger: keepingLogger(),
    onChange: () => void told.push("changed"),
  });
  clock.pass(1_000);
  const probe = await started;
  assert.match(probe.answer, /^unavailable/);
  resolve("ok");
  await turn(clock, 0);
  assert.deepEqual([probe.answer, told], ["ok", ["changed"]]);
});
