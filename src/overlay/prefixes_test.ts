import assert from "node:assert/strict";
import fc from "fast-check";
import { Cidr, IpAddress } from "../base/mod.ts";
import { mergePrefixes } from "./prefixes.ts";

function merge(prefixes: readonly string[], most = 256): string[] {
  return mergePrefixes(prefixes.map(Cidr.parse), most).map(String);
}

Deno.test("mergePrefixes drops what is within another and joins halves", () => {
  assert.deepEqual(merge([]), []);
  assert.deepEqual(merge(["10.0.0.0/8", "10.64.0.0/16", "10.0.0.0/8"]), ["10.0.0.0/8"]);
  assert.deepEqual(merge(["10.64.1.0/24", "10.64.0.0/25", "10.64.0.128/25"]), ["10.64.0.0/23"]);
  // Neighbours that are no halves of one prefix.
  assert.deepEqual(merge(["10.64.1.0/24", "10.64.2.0/24"]), ["10.64.1.0/24", "10.64.2.0/24"]);
  assert.deepEqual(merge(["2001:db8:0:1::/64", "2001:db8::/64"]), ["2001:db8::/63"]);
  assert.deepEqual(merge(["0.0.0.0/0", "128.0.0.0/1"]), ["0.0.0.0/0"]);
});

Deno.test("mergePrefixes widens the narrowest when there are too many", () => {
  const many = ["10.64.0.0/32", "10.64.0.5/32", "10.66.0.0/16", "10.68.0.0/16"];
  assert.deepEqual(merge(many, 3), ["10.64.0.0/29", "10.66.0.0/16", "10.68.0.0/16"]);
});

Deno.test("mergePrefixes covers all that was given, and without a limit nothing else", () => {
  const prefix = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 })).map(
    ([byte, length]) => Cidr.containing(new IpAddress(4, (10n << 24n) + BigInt(byte)), length),
  );
  fc.assert(fc.property(fc.array(prefix), fc.integer({ min: 1, max: 8 }), (prefixes, most) => {
    const exact = mergePrefixes(prefixes, Infinity);
    const few = mergePrefixes(prefixes, most);
    assert.ok(few.length <= most);
    for (let byte = 0n; byte < 256n; byte++) {
      const address = new IpAddress(4, (10n << 24n) + byte);
      const isIn = (set: readonly Cidr[]) => set.some((one) => one.contains(address));
      assert.equal(isIn(exact), isIn(prefixes));
      assert.ok(isIn(few) || !isIn(prefixes));
    }
  }));
});
