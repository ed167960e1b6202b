import assert from "node:assert/strict";
import fc from "fast-check";
import { systemRandom } from "./random.ts";

Deno.test("as many bytes as asked for, all of them drawn", () => {
  for (const length of [0, 1, 65_536, 65_537, 200_000]) {
    assert.equal(systemRandom.bytes(length).length, length);
  }
  // Any 64 of them are all zero once in 2^512.
  const bytes = systemRandom.bytes(200_000);
  for (let start = 0; start + 64 <= bytes.length; start += 64) {
    assert(bytes.subarray(start, start + 64).some((byte) => byte !== 0));
  }
});

Deno.test("a number is whole and below its limit", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 32 }), (limit) => {
    const drawn = systemRandom.below(limit);
    return Number.isInteger(drawn) && drawn >= 0 && drawn < limit;
  }));
});

Deno.test("all numbers are as likely, also where the limit divides no power of two", () => {
  // Without drawing again, the lowest third would come half the time.
  const limit = 3 * 2 ** 30;
  let low = 0;
  for (let draw = 0; draw < 10_000; draw++) if (systemRandom.below(limit) < 2 ** 30) low++;
  // A third is expected; ten standard deviations are 471.
  assert(Math.abs(low - 3333) < 471, `${low} of 10000 were in the lowest third`);
});

Deno.test("a limit out of range is refused", () => {
  for (const limit of [0, -1, 1.5, 2 ** 32 + 1, NaN]) {
    assert.throws(() => systemRandom.below(limit), RangeError);
  }
});
