import assert from "node:assert/strict";
import { format, inspect } from "node:util";
import { encodeBase64url, encodeHex, SecretBytes } from "./mod.ts";

const BYTES = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);

Deno.test("secret bytes show themselves to nobody who does not ask by name", () => {
  const secret = new SecretBytes(BYTES);
  const holder = { key: secret, list: [secret], map: new Map([["key", secret]]) };
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify(holder),
    Deno.inspect(holder, { depth: 9, showHidden: true }),
    Deno.inspect(secret, { showHidden: true, getters: true }),
    inspect(holder, { depth: 9, showHidden: true, getters: true, customInspect: false }),
    inspect(secret),
    format("%s %o %O %j", secret, secret, secret, secret),
    JSON.stringify({ ...secret }),
    JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
    new Error(`${secret}`, { cause: secret }).message,
    Deno.inspect(structuredClone({ secret })),
  ].join("\n");
  for (const form of ["deadbeef", encodeBase64url(BYTES), "222", "de, ad", "3735928559"]) {
    assert.ok(!shown.includes(form), `${form} in\n${shown}`);
  }
  assert.equal(encodeHex(secret.reveal()), "deadbeef");
});

Deno.test("secret bytes cannot be changed from outside", () => {
  const bytes = BYTES.slice();
  const secret = new SecretBytes(bytes);
  bytes.fill(0);
  secret.reveal().fill(0);
  assert.deepEqual(secret.reveal(), BYTES);
  assert.equal(secret.length, 4);
  assert.ok(secret.equals(new SecretBytes(BYTES)));
  assert.ok(!secret.equals(new SecretBytes(bytes)));
});
