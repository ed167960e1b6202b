import assert from "node:assert/strict";
import fc from "fast-check";
import { groupedPercentile, median, percentile, ratioSpread, spread } from "./statistics.ts";

Deno.test("a median is the middle value, or lies between the two middle ones", () => {
  assert.equal(median([3]), 3);
  assert.equal(median([10, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

Deno.test("a percentile is interpolated between neighbours", () => {
  const values = [50, 10, 40, 20, 30];
  const cases: [number, number][] = [[0, 10], [25, 20], [50, 30], [60, 34], [99, 49.6], [100, 50]];
  for (const [percent, expected] of cases) assert.equal(percentile(values, percent), expected);
});

Deno.test("figures that do not exist are not made up", () => {
  assert.throws(() => median([]), RangeError);
  assert.throws(() => groupedPercentile([], 50, 1), RangeError);
  assert.throws(() => ratioSpread([]), RangeError);
});

Deno.test("a grouped percentile finds what the scale has cut off", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 2999 }),
      (start, rank) => {
        // Evenly spread over three steps, then cut down to whole ones.
        const exact = Array.from({ length: 3000 }, (_, index) => start + index / 1000);
        const found = groupedPercentile(exact.map(Math.floor), rank / 30, 1);
        assert.ok(Math.abs(found - percentile(exact, rank / 30)) < 0.002, `${found}`);
      },
    ),
  );
  // The plain median is 16 and 17: a whole step apart.
  assert.equal(groupedPercentile([16, 16, 16, 16, 17], 50, 1), 16.625);
  assert.equal(groupedPercentile([16, 17, 17, 17, 17], 50, 1), 17.375);
  assert.equal(groupedPercentile([0.016, 0.016, 0.016, 0.016, 0.017], 50, 0.001), 0.016625);
});

Deno.test("a ratio is taken within each pair", () => {
  // The machine was not equally fast all the time: a ratio of the two medians would be 0.8.
  const pairs = [
    { ours: 9, byHand: 10 },
    { ours: 36, byHand: 30 },
    { ours: 20, byHand: 25 },
  ];
  assert.deepEqual(ratioSpread(pairs), { median: 0.9, min: 0.8, max: 1.2 });
  assert.deepEqual(spread([5, 1, 2]), { median: 2, min: 1, max: 5 });
});
