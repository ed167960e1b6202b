import assert from "node:assert/strict";
import { RefusalLog } from "./refusal_log.ts";
import { handClock, keepingLogger } from "./test_cluster.ts";

Deno.test("a flood of refusals is a few lines, and the next one says how many there were", () => {
  const { clock, pass } = handClock();
  const { logger, lines } = keepingLogger();
  const log = new RefusalLog(clock, logger);
  for (let count = 0; count < 1000; count++) log.note("Refused", { peer: "192.0.2.1:1" });
  assert.equal(lines.length, 20);
  pass(10_000);
  log.note("Refused", { peer: "192.0.2.1:2" });
  log.note("Refused", { peer: "192.0.2.1:3" });
  assert.deepEqual(lines.slice(20), [
    'warn Refused {"peer":"192.0.2.1:2","unsaid":980}',
    'warn Refused {"peer":"192.0.2.1:3"}',
  ]);
});
