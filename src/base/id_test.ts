import assert from "node:assert/strict";
import { canonicalJson, isId, isName, jsonDigest, newId, type Random } from "./mod.ts";

const counting: Random = {
  bytes: (length) => Uint8Array.from({ length }, (_, index) => index),
  below: () => 0,
};

Deno.test("an id is 26 characters, and never also a name", () => {
  const id = newId(counting);
  assert.equal(id, "aaaqeayeaudaocajbifqydiob4");
  assert.ok(isId(id));
  assert.ok(!isName(id));
  for (const text of ["", id.slice(1), `${id}a`, id.toUpperCase(), `${id.slice(0, 25)}7`]) {
    assert.ok(!isId(text), text);
  }
});

Deno.test("a name is a DNS label", () => {
  for (const text of ["a", "shop", "web-1", "1", "a".repeat(63)]) assert.ok(isName(text), text);
  for (
    const text of [
      "",
      "-a",
      "a-",
      "A",
      "a_b",
      "a.b",
      "a".repeat(64),
      "a b",
      "ü",
      "a".repeat(26),
      "../x",
    ]
  ) {
    assert.ok(!isName(text), text);
  }
});

Deno.test("equal values have one JSON text and one digest", () => {
  const left = { b: [1, { d: null, c: "x" }], a: undefined, "ä": true };
  const right = { "ä": true, b: [1, { c: "x", d: null }] };
  assert.equal(canonicalJson(left), '{"b":[1,{"c":"x","d":null}],"ä":true}');
  assert.equal(canonicalJson(left), canonicalJson(right));
  assert.equal(jsonDigest(left), jsonDigest(right));
  assert.notEqual(jsonDigest(left), jsonDigest({ ...left, e: 0 }));
  assert.notEqual(jsonDigest(JSON.parse('{"__proto__":1}')), jsonDigest({}));
  assert.equal(jsonDigest(null).length, 43);
});
