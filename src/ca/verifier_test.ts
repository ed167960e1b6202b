import assert from "node:assert/strict";
import { readCertificate } from "./certificate.ts";
import { PeerRejectedError, PeerVerifier, RootRejectedError, verifyPeer } from "./mod.ts";
import { isSignedBy } from "./signature.ts";
import { attacker, root, signedByRoot, trust } from "./testing/fixture.ts";
import { CLUSTER, HOUR_MS, makeRoot, NOW_MS, someId } from "./testing/forge.ts";

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert(error instanceof PeerRejectedError, String(error));
    return error.code;
  }
  return "accepted";
}

/** Milliseconds of the quickest of many calls: other processes only add to it. */
function quickest(calls: number, work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let call = 0; call < calls; call++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

Deno.test("a verifier says what verifyPeer says, the second time too", () => {
  const verifier = new PeerVerifier(trust);
  const leaf = signedByRoot({});
  const expected = verifyPeer(leaf, trust, NOW_MS);
  assert.deepEqual(verifier.verify(leaf, NOW_MS), expected);
  // A copy: the certificate is known by its content.
  assert.deepEqual(verifier.verify(Uint8Array.from(leaf), NOW_MS), expected);
});

Deno.test("a certificate that is remembered still expires", () => {
  const verifier = new PeerVerifier(trust);
  const leaf = signedByRoot({});
  verifier.verify(leaf, NOW_MS);
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS + HOUR_MS + 1)), "expired");
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS - HOUR_MS - 1)), "not-yet-valid");
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS)), "accepted");
});

Deno.test("a verifier forgets everything when its roots are replaced", async () => {
  const verifier = new PeerVerifier(trust);
  const leaf = signedByRoot({});
  verifier.verify(leaf, NOW_MS);
  const other = await makeRoot(8);
  verifier.setTrust({ clusterId: CLUSTER, roots: [other.certificate] });
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS)), "unknown-issuer");
  const foreign = { clusterId: someId(9), roots: trust.roots };
  assert.throws(() => verifier.setTrust(foreign), RootRejectedError);
  assert.throws(() => verifier.setTrust({ clusterId: CLUSTER, roots: [] }), RootRejectedError);
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS)), "unknown-issuer");
  verifier.setTrust(trust);
  assert.equal(codeOf(() => verifier.verify(leaf, NOW_MS)), "accepted");
});

Deno.test("an unknown peer costs little more than one signature check, a known one a hash", () => {
  const verifier = new PeerVerifier(trust);
  const leaf = signedByRoot({});
  const read = readCertificate(leaf);
  const rootKey = readCertificate(root.certificate).spki;
  verifier.verify(leaf, NOW_MS);
  // Measured: 0.6 ms for the signature, 0.66 ms in all, 0.003 ms for a known one.
  const signature = quickest(100, () => isSignedBy(read, rootKey));
  const unknown = quickest(100, () => verifyPeer(leaf, trust, NOW_MS));
  const known = quickest(100, () => verifier.verify(leaf, NOW_MS));
  assert(unknown < 2 * signature, `unknown ${unknown} ms, signature ${signature} ms`);
  assert(known < signature / 10, `known ${known} ms, signature ${signature} ms`);
});

Deno.test("a verifier remembers the peers that it saw last, and none that it refused", () => {
  const leaves = ["41", "42", "43"].map((serial) => signedByRoot({ serial }));
  const [first, second, third] = leaves;
  assert(first !== undefined && second !== undefined && third !== undefined);
  const verifier = new PeerVerifier(trust, { capacity: 2 });
  // An identity is made once for a certificate, so the same object is a remembered one.
  const firstSeen = verifier.verify(first, NOW_MS);
  const secondSeen = verifier.verify(second, NOW_MS);
  verifier.verify(first, NOW_MS);
  for (let serial = 0x50; serial < 0x60; serial++) {
    const forged = signedByRoot({ signer: attacker.privateKey, serial: serial.toString(16) });
    assert.equal(codeOf(() => verifier.verify(forged, NOW_MS)), "bad-signature");
  }
  verifier.verify(third, NOW_MS);
  assert.equal(verifier.verify(first, NOW_MS), firstSeen);
  assert.notEqual(verifier.verify(second, NOW_MS), secondSeen);
  assert.throws(() => new PeerVerifier(trust, { capacity: 0 }), RangeError);
});
