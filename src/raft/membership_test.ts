import assert from "node:assert/strict";
import fc from "fast-check";
import {
  changeMembership,
  checkMembership,
  decodeMembership,
  encodeMembership,
  majorityOf,
  reachedByMajority,
} from "./membership.ts";
import type { Membership, MembershipChange } from "./types.ts";

const ids = "abcdefghij".split("");

Deno.test("what a majority has reached", () => {
  const table: [values: number[], reached: number][] = [
    [[], 0],
    [[3], 3],
    [[3, 5], 3],
    [[1, 5, 9], 5],
    [[9, 9, 0, 0], 0],
    [[4, 1, 3, 2, 5], 3],
  ];
  for (const [values, reached] of table) {
    assert.equal(reachedByMajority(values), reached, values.join(" "));
  }
});

Deno.test("any majorities of a membership and the next have a member in common", () => {
  const membership = fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1 }).chain((all) =>
    fc.integer({ min: 1, max: Math.min(7, all.length) }).map((count): Membership => ({
      voters: all.slice(0, count),
      learners: all.slice(count),
    }))
  );
  const change = fc.record({
    kind: fc.constantFrom<MembershipChange["kind"]>("add-learner", "promote", "remove"),
    id: fc.constantFrom(...ids),
  });
  let changed = 0;
  fc.assert(
    fc.property(membership, change, (before, change) => {
      const result = changeMembership(before, change);
      if ("refusal" in result) return;
      changed++;
      const { next } = result;
      assert.deepEqual(checkMembership(next), next);
      assert.deepEqual(decodeMembership(encodeMembership(next)), next);
      const all = new Set([...before.voters, ...next.voters]).size;
      assert.ok(majorityOf(before.voters.length) + majorityOf(next.voters.length) > all);
      assert.ok(next.voters.length >= 1 && next.voters.length <= 7);
    }),
    { seed: 1, numRuns: 2000 },
  );
  assert.ok(changed > 500);
});

Deno.test("what is no membership is not read as one", () => {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  for (
    const value of [
      null,
      {},
      { v: 2, voters: ["a"], learners: [] },
      { v: 1, voters: ["a"] },
      { v: 1, voters: ["a"], learners: ["a"] },
      { v: 1, voters: ["a", ""], learners: [] },
      { v: 1, voters: "a", learners: [] },
      { v: 1, voters: Array.from({ length: 65 }, (_, at) => `${at}`), learners: [] },
    ]
  ) assert.equal(decodeMembership(encode(value)), null, JSON.stringify(value));
  assert.equal(decodeMembership(new Uint8Array([0xff])), null);
});
