import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeHex, encodeBase32, encodeHex, SecretBytes } from "../base/mod.ts";
import {
  agreeKey,
  bootKeyPair,
  contextDigest,
  deriveSaKey,
  KeyAgreementError,
  keyContext,
  type KeyInputs,
} from "./mod.ts";

const secret = (hex: string) => new SecretBytes(decodeHex(hex));
const id = (byte: number) => encodeBase32(new Uint8Array(16).fill(byte));

const inputs: KeyInputs = {
  clusterId: id(1),
  incarnation: id(2),
  networkId: id(3),
  epoch: 1,
  sender: { id: id(4), bootPublicKey: new Uint8Array(32).fill(5) },
  receiver: { id: id(6), bootPublicKey: new Uint8Array(32).fill(7) },
};

Deno.test("keys agree as in RFC 7748 section 6.1", () => {
  const bob = bootKeyPair(
    secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
  );
  assert.equal(
    encodeHex(bob.publicKey),
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
  );
  const alice = decodeHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  assert.equal(
    encodeHex(agreeKey(bob, alice).reveal()),
    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
  );
});

Deno.test("a public key with which everybody would agree on zero is refused", () => {
  const own = bootKeyPair(secret("11".repeat(32)));
  // Points of low order, in their canonical and other forms (RFC 7748 section 6.1).
  for (
    const point of [
      "00".repeat(32),
      "01" + "00".repeat(31),
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
  ) assert.throws(() => agreeKey(own, decodeHex(point)), KeyAgreementError, point);
});

Deno.test("every input changes the context, and no two inputs give the same", () => {
  const anyId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(encodeBase32);
  const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const party = fc.record({ id: anyId, bootPublicKey: anyKey });
  const any: fc.Arbitrary<KeyInputs> = fc.record({
    clusterId: anyId,
    incarnation: anyId,
    networkId: anyId,
    epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    sender: party,
    receiver: party,
  });
  const change: fc.Arbitrary<Partial<KeyInputs>> = fc.oneof(
    fc.record({ clusterId: anyId }),
    fc.record({ incarnation: anyId }),
    fc.record({ networkId: anyId }),
    fc.record({ epoch: fc.integer({ min: 1, max: 1000 }) }),
    fc.record({ sender: party }),
    fc.record({ receiver: party }),
  );
  const text = (one: KeyInputs) => {
    const { salt, info } = keyContext(one);
    return `${encodeHex(salt)} ${encodeHex(info)}`;
  };
  fc.assert(fc.property(any, change, (one, changed) => {
    const other = { ...one, ...changed };
    const { salt, info } = keyContext(one);
    assert.equal(salt.length, 48);
    assert.equal(info.length, 115);
    const same = JSON.stringify(plain(one)) === JSON.stringify(plain(other));
    assert.equal(text(one) === text(other), same);
    assert.equal(contextDigest(keyContext(one)) === contextDigest(keyContext(other)), same);
    // The way back has another key, or the two would share a sequence of nonces.
    const back = { ...one, sender: one.receiver, receiver: one.sender };
    assert.equal(
      text(back) === text(one),
      JSON.stringify(plain(back)) === JSON.stringify(plain(one)),
    );
  }));
});

function plain(inputs: KeyInputs) {
  const party = ({ id, bootPublicKey }: KeyInputs["sender"]) => [id, encodeHex(bootPublicKey)];
  const { clusterId, incarnation, networkId, epoch, sender, receiver } = inputs;
  return [clusterId, incarnation, networkId, epoch, party(sender), party(receiver)];
}

Deno.test("inputs of another length are refused", () => {
  const cases: readonly [Partial<KeyInputs>, RegExp][] = [
    [{ epoch: 0 }, /epoch 0/],
    [{ epoch: 1.5 }, /epoch 1\.5/],
    [{ epoch: 2 ** 53 }, /epoch/],
    [{ networkId: "aa" }, /id has 1 bytes, not 16/],
    [{ sender: { id: id(4), bootPublicKey: new Uint8Array(31) } }, /sender has 31 bytes/],
    [{ receiver: { id: id(4), bootPublicKey: new Uint8Array(33) } }, /receiver has 33 bytes/],
  ];
  for (const [change, reason] of cases) {
    assert.throws(
      () => keyContext({ ...inputs, ...change }),
      (error) => error instanceof RangeError && reason.test(error.message),
    );
  }
  const context = keyContext(inputs);
  const good = secret("00".repeat(32));
  assert.throws(() => deriveSaKey(secret("00"), good, context), /secret of the network/);
  assert.throws(() => deriveSaKey(good, secret("00"), context), /agreed secret/);
  assert.throws(() => bootKeyPair(secret("00")), RangeError);
  assert.throws(() => agreeKey(bootKeyPair(good), new Uint8Array(31)), RangeError);
});

Deno.test("neither secrets nor keys show themselves", () => {
  const networkSecret = secret("deadbeef".repeat(8));
  const own = bootKeyPair(networkSecret);
  const agreed = agreeKey(own, bootKeyPair(secret("11".repeat(32))).publicKey);
  const key = deriveSaKey(networkSecret, agreed, keyContext(inputs));
  const shown = [
    JSON.stringify({ own, agreed, key }),
    Deno.inspect({ own, agreed, key, networkSecret }, { depth: 9, showHidden: true }),
    `${agreed} ${key} ${own.privateKey}`,
  ].join("\n");
  for (const hidden of [networkSecret, agreed, key]) {
    const [first, second, third] = hidden.reveal();
    assert.ok(!shown.includes(encodeHex(hidden.reveal()).slice(0, 16)));
    assert.doesNotMatch(shown, new RegExp(`${first}, *${second}, *${third},`));
    assert.doesNotMatch(shown, new RegExp(`"0":${first},"1":${second}`));
  }
});
