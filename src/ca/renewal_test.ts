import assert from "node:assert/strict";
import fc from "fast-check";
import { renewalTime } from "./mod.ts";
import { HOUR_MS, NOW_MS } from "./testing/forge.ts";

Deno.test("renewal is 50 to 80 % of the way from issue to the end", () => {
  const at = (lifetimeMs: number, fraction: number) =>
    renewalTime({ notBeforeMs: NOW_MS - HOUR_MS, notAfterMs: NOW_MS + lifetimeMs, fraction }) -
    NOW_MS;
  // The hour before the issue does not count: of 30 seconds it would take all.
  assert.equal(at(30_000, 0.5), 15_000);
  assert.equal(at(30_000, 0.8), 24_000);
  assert.equal(at(90 * 24 * HOUR_MS, 0.5), 45 * 24 * HOUR_MS);
  const between = fc.double({ min: 0.5, max: 0.8, noNaN: true });
  fc.assert(fc.property(fc.integer({ min: 1000, max: 1e12 }), between, (lifetimeMs, fraction) => {
    const time = at(lifetimeMs, fraction);
    assert(Number.isInteger(time) && time >= lifetimeMs / 2 - 1 && time <= 0.8 * lifetimeMs);
  }));
});

Deno.test("renewal refuses what cannot be planned", () => {
  const life = { notBeforeMs: NOW_MS - HOUR_MS, notAfterMs: NOW_MS + 1000 };
  for (const fraction of [0.49, 0.81, 0, 1, Number.NaN]) {
    assert.throws(() => renewalTime({ ...life, fraction }), RangeError);
  }
  assert.throws(() => renewalTime({ ...life, notAfterMs: NOW_MS, fraction: 0.5 }), RangeError);
});
