import assert from "node:assert/strict";
import { createDecipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { encodeUtf8, type Random } from "../base/mod.ts";
import { Sealer, UnsealError } from "./seal.ts";

let drawn = 0;
const counting: Random = {
  bytes: (length) => new Uint8Array(length).fill(++drawn),
  below: () => 0,
};
const key = new Uint8Array(32).fill(9);
const place = encodeUtf8("entry/1/1");

Deno.test("sealed bytes are salt, counter, ciphertext and tag, under HKDF of the data key", () => {
  const sealed = new Sealer(key, counting).seal(encodeUtf8("secret"), place);
  const derived = new Uint8Array(
    hkdfSync("sha256", key, sealed.slice(0, 16), encodeUtf8("agent/seal/1"), 32),
  );
  assert.deepEqual([...sealed.slice(16, 28)], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const decipher = createDecipheriv("aes-256-gcm", derived, sealed.slice(16, 28));
  decipher.setAAD(place);
  decipher.setAuthTag(sealed.slice(-16));
  assert.equal(decipher.update(sealed.slice(28, -16)).toString(), "secret");
  decipher.final();
});

Deno.test("any bytes open again, also in another process with the same data key", () => {
  fc.assert(fc.property(fc.uint8Array(), (plain) => {
    const sealed = new Sealer(key, counting).seal(plain, place);
    assert.deepEqual([...new Sealer(key, counting).open(sealed, place)], [...plain]);
  }));
});

Deno.test("a key never meets a counter twice", () => {
  const seen = new Set<string>();
  for (let start = 0; start < 3; start++) {
    const sealer = new Sealer(key, counting);
    for (let count = 0; count < 100; count++) {
      seen.add(String(sealer.seal(encodeUtf8("x"), place).slice(0, 28)));
    }
  }
  assert.equal(seen.size, 300);
});

Deno.test("damage, another place and another key are refused", () => {
  const sealed = new Sealer(key, counting).seal(encodeUtf8("secret"), place);
  const open = (bytes: Uint8Array, where = place, dataKey = key) =>
    new Sealer(dataKey, counting).open(bytes, where);
  for (let index = 0; index < sealed.length; index++) {
    const damaged = sealed.slice();
    damaged[index] = (damaged[index] ?? 0) ^ 1;
    assert.throws(() => open(damaged), UnsealError, `byte ${index}`);
  }
  assert.throws(() => open(sealed, encodeUtf8("entry/1/2")), UnsealError);
  assert.throws(() => open(sealed, place, new Uint8Array(32)), UnsealError);
  assert.throws(() => open(sealed.slice(0, 40)), UnsealError);
  assert.throws(() => new Sealer(new Uint8Array(16), counting), RangeError);
});
