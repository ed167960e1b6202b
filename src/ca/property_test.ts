import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, encodeHex } from "../base/mod.ts";
import { checkDer } from "./der.ts";
import {
  checkCsr,
  clusterIdOfRoot,
  createKeyAndCsr,
  CsrRejectedError,
  PeerRejectedError,
  RootRejectedError,
  verifyPeer,
} from "./mod.ts";
import { root, signedByRoot, trust } from "./testing/fixture.ts";
import { NOW_MS, tlv } from "./testing/forge.ts";

const leaf = signedByRoot({});
const { csr } = createKeyAndCsr();

/** `original` with some bytes replaced, removed or put in: most still look like DER. */
function mutationsOf(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat(original.length - 1),
    remove: fc.nat(3),
    insert: fc.uint8Array({ maxLength: 3 }),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let bytes = original;
    for (const { at, remove, insert } of changes) {
      bytes = concatBytes(bytes.subarray(0, at), insert, bytes.subarray(at + remove));
    }
    return bytes;
  });
}

/** Well-formed DER of any shape, which gets past the first check. */
const derTree: fc.Arbitrary<Uint8Array> = fc.letrec<{ node: Uint8Array }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small" },
    fc.tuple(fc.constantFrom(0x04, 0x06, 0x0c, 0x17, 0x82, 0x86, 0x87), fc.uint8Array())
      .map(([tag, content]) => tlv(tag, content)),
    fc.tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xa3), fc.array(tie("node"), { maxLength: 6 }))
      .map(([tag, content]) => tlv(tag, ...content)),
  ),
})).node;

function anyBytes(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc.oneof(mutationsOf(original), derTree, fc.uint8Array({ maxLength: 600 }))
    .filter((bytes) => encodeHex(bytes) !== encodeHex(original));
}

/** The error of `work`; there must be one. */
function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  assert.fail("the bytes were accepted");
}

Deno.test("no bytes but the certificate itself give an identity, nor another error", () => {
  fc.assert(
    fc.property(anyBytes(leaf), (bytes) => {
      const error = errorOf(() => verifyPeer(bytes, trust, NOW_MS));
      assert(error instanceof PeerRejectedError, String(error));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("each single bit of a certificate counts", () => {
  for (let bit = 0; bit < leaf.length * 8; bit++) {
    const bytes = Uint8Array.from(leaf);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const error = errorOf(() => verifyPeer(bytes, trust, NOW_MS));
    assert(error instanceof PeerRejectedError, `bit ${bit}: ${error}`);
  }
});

Deno.test("a certificate that is cut short is refused at every length", () => {
  for (let length = 0; length < leaf.length; length++) {
    const error = errorOf(() => verifyPeer(leaf.subarray(0, length), trust, NOW_MS));
    assert(error instanceof PeerRejectedError && error.code === "not-a-certificate");
  }
});

Deno.test("arbitrary issuers in the chain give no identity, nor another error", () => {
  const stranger = signedByRoot({ issuer: tlv(0x30) });
  fc.assert(
    fc.property(fc.array(anyBytes(root.certificate), { maxLength: 4 }), (chain) => {
      const error = errorOf(() => verifyPeer(stranger, trust, NOW_MS, chain));
      assert(error instanceof PeerRejectedError, String(error));
    }),
    { numRuns: 500 },
  );
});

Deno.test("no bytes but the request itself are taken, nor give another error", () => {
  fc.assert(
    fc.property(anyBytes(csr), (bytes) => {
      const error = errorOf(() => checkCsr(bytes));
      assert(error instanceof CsrRejectedError, String(error));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("no bytes but the root itself are a root, nor give another error", () => {
  fc.assert(
    fc.property(anyBytes(root.certificate), (bytes) => {
      const error = errorOf(() => clusterIdOfRoot(bytes));
      assert(error instanceof RootRejectedError, String(error));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("DER that is nested deep is refused, not followed", () => {
  let bytes = tlv(0x30);
  for (let depth = 0; depth < 1000; depth++) bytes = tlv(0x30, bytes);
  assert.throws(() => checkDer(bytes), /too deep/);
  const error = errorOf(() => verifyPeer(bytes.subarray(0), trust, NOW_MS));
  assert(error instanceof PeerRejectedError);
});
