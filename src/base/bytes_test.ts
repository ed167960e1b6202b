import assert from "node:assert/strict";
import fc from "fast-check";
import {
  concatBytes,
  decodeBase32,
  decodeBase64url,
  decodeHex,
  encodeBase32,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  equalBytes,
} from "./mod.ts";

Deno.test("base32 writes the vectors of RFC 4648 section 10", () => {
  const vectors: [string, string][] = [
    ["", ""],
    ["f", "my"],
    ["fo", "mzxq"],
    ["foo", "mzxw6"],
    ["foob", "mzxw6yq"],
    ["fooba", "mzxw6ytb"],
    ["foobar", "mzxw6ytboi"],
  ];
  for (const [text, encoded] of vectors) {
    assert.equal(encodeBase32(encodeUtf8(text)), encoded);
    assert.deepEqual(decodeBase32(encoded), encodeUtf8(text));
  }
});

Deno.test("every text encoding gives back the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    assert.deepEqual([...decodeBase32(encodeBase32(bytes))], [...bytes]);
    assert.deepEqual([...decodeBase64url(encodeBase64url(bytes))], [...bytes]);
    assert.deepEqual([...decodeHex(encodeHex(bytes))], [...bytes]);
  }));
});

Deno.test("decoders refuse what their encoder would not write", () => {
  for (const text of ["MY", "my======", "mz", "m1", "m", "my "]) {
    assert.throws(() => decodeBase32(text), TypeError, text);
  }
  for (const text of ["AA==", "A", "AB", "+/", "AA A"]) {
    assert.throws(() => decodeBase64url(text), TypeError, text);
  }
  for (const text of ["0", "0g", "0x00"]) assert.throws(() => decodeHex(text), TypeError, text);
});

Deno.test("bytes are joined, and compared by content", () => {
  const joined = concatBytes(Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3));
  assert.deepEqual([...joined], [1, 2, 3]);
  assert.ok(equalBytes(joined, Uint8Array.of(1, 2, 3)));
  assert.ok(!equalBytes(joined, Uint8Array.of(1, 2, 4)));
  assert.ok(!equalBytes(joined, Uint8Array.of(1, 2)));
});
