import assert from "node:assert/strict";
import fc from "fast-check";
import { Cidr, IpAddress } from "../base/mod.ts";
import { lowestFreeSubnet } from "./ipam.ts";
import { formatIpv4Prefix, type Ipv4Prefix, PrefixIndex, prefixSize } from "./prefix_index.ts";
import { RoundRobin } from "./round_robin.ts";

/** Prefixes that are near each other, so that they often overlap. */
const nearPrefix: fc.Arbitrary<Ipv4Prefix> = fc.tuple(fc.nat(255), fc.integer({ min: 24, max: 32 }))
  .map(([low, length]) => {
    const size = prefixSize(length);
    return { start: 0xffffff00 + Math.floor(low / size) * size, length };
  });

function cidr(prefix: Ipv4Prefix): Cidr {
  return new Cidr(new IpAddress(4, BigInt(prefix.start)), prefix.length);
}

Deno.test("the prefix index finds an overlap exactly when there is one", () => {
  const step = fc.record({
    prefix: nearPrefix,
    holder: fc.constantFrom("a", "b"),
    add: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step), nearPrefix, (steps, asked) => {
    const index = new PrefixIndex();
    const held = new Set<string>();
    for (const { prefix, holder, add } of steps) {
      const key = `${holder} ${cidr(prefix)}`;
      if (add) {
        index.add(prefix, holder);
        held.add(key);
      } else {
        index.remove(prefix, holder);
        held.delete(key);
      }
    }
    const all = [...held].map((key) => Cidr.parse(key.slice(2)));
    const found = index.overlap(asked);
    assert.equal(found !== null, all.some((one) => one.overlaps(cidr(asked))));
    if (found === null) return;
    assert.ok(cidr(found).overlaps(cidr(asked)));
    const holders = ["a", "b"].filter((holder) => held.has(`${holder} ${cidr(found)}`));
    assert.equal(index.holderOf(found), holders[0]);
  }));
});

Deno.test("the lowest free subnet is found as by trying all", () => {
  const pool = { start: 0xffffff00, length: 24 };
  fc.assert(
    fc.property(fc.array(nearPrefix), fc.integer({ min: 24, max: 32 }), (taken, length) => {
      const index = new PrefixIndex();
      for (const prefix of taken) index.add(prefix, "a");
      const size = prefixSize(length);
      let expected: string | null = null;
      for (let start = pool.start; expected === null && start < 2 ** 32; start += size) {
        const candidate = cidr({ start, length });
        if (!taken.some((one) => cidr(one).overlaps(candidate))) expected = `${candidate}`;
      }
      const found = lowestFreeSubnet(pool, length, [index, new PrefixIndex()], pool.start);
      assert.equal(found === null ? null : formatIpv4Prefix(found), expected);
    }),
  );
});

Deno.test("numbers come in turn, and a freed one after all others, the newest last", () => {
  const numbers = new RoundRobin(1, 5, 5);
  const take = () => {
    const value = numbers.peek();
    if (value !== null) numbers.take(value);
    return value;
  };
  assert.deepEqual([take(), take(), take()], [1, 2, 3]);
  numbers.release(2);
  numbers.release(1);
  assert.deepEqual([take(), take(), take(), take(), take()], [4, 5, 2, 1, null]);
  numbers.release(4);
  assert.equal(take(), 4);
});

Deno.test("only so many freed numbers are kept back, the oldest of them go first", () => {
  const numbers = new RoundRobin(1, 4, 1);
  for (let value = 1; value <= 4; value++) numbers.take(value);
  numbers.release(1);
  numbers.release(2);
  assert.equal(numbers.peek(), 1);
});

Deno.test("a number is never out twice, and none is out only when all are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.nat(), { nil: null })),
      fc.integer({ min: 0, max: 6 }),
      (steps, remembered) => {
        let numbers = new RoundRobin(10, 14, remembered);
        const out: number[] = [];
        for (const step of steps) {
          const value = numbers.peek();
          if (step === null) {
            assert.equal(value === null, out.length === 5);
            if (value === null) continue;
            assert.ok(value >= 10 && value <= 14 && !out.includes(value));
            numbers.take(value);
            out.push(value);
          } else {
            for (const freed of out.splice(step % 5, 1)) numbers.release(freed);
          }
          const restored = new RoundRobin(10, 14, remembered);
          restored.restore(numbers.save(), out);
          numbers = restored;
        }
      },
    ),
  );
});
