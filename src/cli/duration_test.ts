import assert from "node:assert/strict";
import { formatDurationMs, parseDurationMs } from "./duration.ts";

Deno.test("durations are read, and written in their largest whole unit", () => {
  const cases = [["250ms", 250], ["30s", 30_000], ["90s", 90_000], ["15m", 900_000]] as const;
  const long = [["24h", 86_400_000], ["90d", 7_776_000_000]] as const;
  for (const [text, durationMs] of [...cases, ...long]) {
    assert.equal(parseDurationMs(text), durationMs);
    assert.equal(parseDurationMs(formatDurationMs(durationMs)), durationMs);
  }
  assert.equal(formatDurationMs(86_400_000), "1d");
  assert.equal(formatDurationMs(90_000), "90s");
});

Deno.test("nothing else is a duration", () => {
  for (
    const text of ["", "5", "h", "0s", "-1s", "1.5h", "1h30m", "1 h", "1H", "1w", "9999999999s"]
  ) {
    assert.equal(parseDurationMs(text), null, text);
  }
});
