import assert from "node:assert/strict";
import { decodeHex, encodeHex, SecretBytes } from "../../../src/base/mod.ts";
import {
  agreeKey,
  bootKeyPair,
  contextDigest,
  deriveSaKey,
  keyContext,
} from "../../../src/esp/mod.ts";

/** The blocks of vectors.txt: a name and a value a line. */
function readVectors(): Map<string, string>[] {
  const text = Deno.readTextFileSync(new URL("./vectors.txt", import.meta.url));
  return text.split("\n\n").map((block) =>
    new Map(
      block.split("\n").filter((line) => /^[a-z]/.test(line)).map((line) => {
        const space = line.indexOf(" ");
        return [line.slice(0, space), line.slice(space + 1)];
      }),
    )
  ).filter((vector) => vector.size > 0);
}

const vectors = readVectors();

for (const vector of vectors) {
  const get = (name: string): string => {
    const value = vector.get(name);
    assert.ok(value !== undefined, `no ${name} in ${vector.get("vector")}`);
    return value;
  };
  const secret = (name: string) => new SecretBytes(decodeHex(get(name)));

  Deno.test(`golden: openssl derives the same key, ${get("vector")}`, () => {
    const sender = bootKeyPair(secret("sender-private"));
    const receiver = bootKeyPair(secret("receiver-private"));
    assert.equal(encodeHex(sender.publicKey), get("sender-public"));
    assert.equal(encodeHex(receiver.publicKey), get("receiver-public"));
    const agreed = agreeKey(sender, receiver.publicKey);
    assert.equal(encodeHex(agreed.reveal()), get("agreed"));
    assert.ok(agreed.equals(agreeKey(receiver, sender.publicKey)));
    const context = keyContext({
      clusterId: get("cluster"),
      incarnation: get("incarnation"),
      networkId: get("network"),
      epoch: Number(get("epoch")),
      sender: { id: get("sender"), bootPublicKey: sender.publicKey },
      receiver: { id: get("receiver"), bootPublicKey: receiver.publicKey },
    });
    assert.equal(encodeHex(context.salt), get("salt"));
    assert.equal(encodeHex(context.info), get("info"));
    assert.equal(contextDigest(context), get("context"));
    const key = deriveSaKey(secret("secret"), agreed, context);
    assert.equal(encodeHex(key.reveal()), get("key"));
  });
}

Deno.test("golden: whatever changes, the key is another", () => {
  assert.ok(vectors.length >= 13);
  assert.equal(new Set(vectors.map((vector) => vector.get("key"))).size, vectors.length);
});
