import assert from "node:assert/strict";
import { HandClock } from "../cluster/testing_clock.ts";
import { keepingLogger } from "../cluster/testing_plane.ts";
import { type EncryptionMemory, EncryptionProbe } from "./encryption_probe.ts";

/** Whether the kernel could, as an earlier process has found. */
class Memory implements EncryptionMemory {
  able: boolean;
  constructor(able: boolean) {
    this.able = able;
  }
  read(): boolean {
    return this.able;
  }
  write(able: boolean): void {
    this.able = able;
  }
}

function setUp(answers: (string | Error)[], memory = new Memory(false)) {
  const clock = new HandClock();
  const told: string[] = [];
  const start = () =>
    EncryptionProbe.start({
      probe: () => {
        const answer = answers.shift() ?? "too often";
        if (answer instanceof Error) throw answer;
        return answer;
      },
      memory,
      clock,
      logger: keepingLogger(),
      onChange: () => void told.push("changed"),
    });
  return { clock, told, start, memory };
}

async function turn(clock: HandClock, ms: number): Promise<void> {
  clock.pass(ms);
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("what works is tried once", async () => {
  const { clock, told, start, memory } = setUp(["ok"]);
  const probe = await start();
  assert.deepEqual([probe.answer, told, clock.timers], ["ok", [], 0]);
  assert(memory.able, "the next process need not wait for it");
});

Deno.test("what an earlier process has found holds at once, and is tried again before long", async () => {
  const { clock, told, start, memory } = setUp(["unavailable (no esp4)", "ok"], new Memory(true));
  const probe = await start();
  assert.deepEqual([probe.answer, told.length], ["ok", 0]);
  await turn(clock, 9_999);
  assert.equal(probe.answer, "ok");
  await turn(clock, 1);
  assert.deepEqual([probe.answer, told.length], ["unavailable (no esp4)", 1]);
  assert(!memory.able, "it does not hold for the next process");
  await turn(clock, 60_000);
  assert.deepEqual([probe.answer, told.length, memory.able], ["ok", 2, true]);
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
    memory: new Memory(false),
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
