import assert from "node:assert/strict";
import { systemClock } from "./clock.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

const fired = (delayMs: number) =>
  new Promise<void>((resolve) => {
    systemClock.schedule(delayMs, resolve);
  });

Deno.test("the wall clock is in whole milliseconds, the other never goes back", async () => {
  assert(Number.isInteger(systemClock.nowMs()));
  const before = systemClock.monotonicMs();
  await fired(2);
  assert(systemClock.monotonicMs() > before);
});

Deno.test("what is cancelled is not called, and leaves no timer", sanitized, async () => {
  const cancel = systemClock.schedule(1, () => assert.fail("cancelled"));
  cancel();
  cancel();
  await fired(5);
});

Deno.test("a delay longer than a timer can be does not fire at once", sanitized, async () => {
  const cancel = systemClock.schedule(90 * 86_400_000, () => assert.fail("90 days are not over"));
  await fired(5);
  cancel();
});

Deno.test("it fires when all of a long delay is over", () => {
  const { setTimeout: timeout } = globalThis;
  const { now } = performance;
  let nowMs = 1000;
  const delays: number[] = [];
  let calls = 0;
  try {
    performance.now = () => nowMs;
    // Time that passes as soon as someone waits.
    Object.assign(globalThis, {
      setTimeout: (callback: () => void, delayMs: number) => {
        delays.push(delayMs);
        nowMs += delayMs;
        callback();
      },
    });
    systemClock.schedule(2 ** 32, () => calls++);
  } finally {
    performance.now = now;
    Object.assign(globalThis, { setTimeout: timeout });
  }
  assert.deepEqual(delays, [2 ** 31 - 1, 2 ** 31 - 1, 2]);
  assert.equal(calls, 1);
});
