import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  hashSecret,
  makeToken,
  parseToken,
  rootMatchesPin,
  rootPinOf,
  RootRejectedError,
  type TokenRejectedCode,
  TokenRejectedError,
} from "./mod.ts";
import { keyOf, makeRoot, someBytes } from "./testing/forge.ts";

const token = makeToken({ rootSpkiPin: new Uint8Array(32), secret: new Uint8Array(16).fill(255) });

Deno.test("a token has the written form", () => {
  assert.equal(token, `AGTKN-1-${"a".repeat(52)}-${"7".repeat(25)}4`);
  assert.throws(
    () => makeToken({ rootSpkiPin: new Uint8Array(31), secret: new Uint8Array(16) }),
    RangeError,
  );
  assert.throws(
    () => makeToken({ rootSpkiPin: new Uint8Array(32), secret: new Uint8Array(15) }),
    RangeError,
  );
});

Deno.test("a token is read back as it was made", () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(fc.property(bytes(32), bytes(16), (rootSpkiPin, secret) => {
    const read = parseToken(makeToken({ rootSpkiPin, secret }));
    assert.deepEqual([...read.rootSpkiPin], [...rootSpkiPin]);
    assert.deepEqual([...read.secret], [...secret]);
  }));
});

const MALFORMED: readonly (readonly [string, string, TokenRejectedCode])[] = [
  ["nothing", "", "not-a-token"],
  ["another kind of key", token.replace("AGTKN", "AGTKEY"), "not-a-token"],
  ["lower case", token.toLowerCase(), "not-a-token"],
  ["space before it", ` ${token}`, "not-a-token"],
  ["a later version", token.replace("-1-", "-2-"), "unknown-version"],
  ["the prefix alone", "AGTKN", "unknown-version"],
  ["no secret", token.slice(0, 60), "wrong-parts"],
  ["one part more", `${token}-x`, "wrong-parts"],
  ["pin cut short", token.replace("aaaa-", "aaa-"), "bad-pin"],
  ["pin with a digit that base32 has not", token.replace("-aaaa", "-aaa1"), "bad-pin"],
  ["pin of 27 bytes", token.replace("-aaaaaaaa", "-"), "bad-pin"],
  ["secret of 11 bytes", token.replace("-77777777", "-"), "bad-secret"],
  ["pin in capitals", token.replace("-aaaa", "-AAAA"), "bad-pin"],
  ["secret cut short", token.slice(0, -1), "bad-secret"],
  ["secret too long", `${token}4`, "bad-secret"],
  ["line end after it", `${token}\n`, "bad-secret"],
  ["secret with stray low bits", `${token.slice(0, -1)}5`, "bad-secret"],
];

for (const [what, text, code] of MALFORMED) {
  Deno.test(`refuses a token: ${what}`, () => {
    assert.throws(() => parseToken(text), (error) => {
      assert(error instanceof TokenRejectedError, String(error));
      assert.equal(error.code, code);
      assert(!Deno.inspect(error).includes("7777"), "the secret is not in the error");
      return true;
    });
  });
}

Deno.test("the pin is the SHA-256 of the root's public key", async () => {
  const root = await makeRoot();
  const pin = createHash("sha256").update(keyOf(root).spki).digest();
  assert.deepEqual([...rootPinOf(root.certificate)], [...pin]);
  assert(rootMatchesPin(root.certificate, pin));
  // The same name and serial number, another key.
  const other = await makeRoot();
  assert(!rootMatchesPin(other.certificate, pin));
  assert(!rootMatchesPin(root.certificate, pin.subarray(1)));
  assert.throws(() => rootMatchesPin(new Uint8Array(5), pin), RootRejectedError);
});

Deno.test("a secret is kept as its SHA-256", () => {
  const secret = someBytes(16, 4);
  assert.equal(hashSecret(secret), createHash("sha256").update(secret).digest("base64url"));
});
