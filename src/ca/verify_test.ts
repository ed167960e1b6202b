import assert from "node:assert/strict";
import { encodeUtf8 } from "../base/mod.ts";
import { readCertificate } from "./certificate.ts";
import {
  issue,
  PeerRejectedError,
  type Root,
  RootRejectedError,
  spkiHashOf,
  verifyPeer,
} from "./mod.ts";
import { attacker, key, rejects, root, rootName, signedByRoot, trust } from "./testing/fixture.ts";
import {
  CLIENT,
  CLUSTER,
  commonName,
  extension,
  forge,
  type Forgery,
  HOUR_MS,
  keyOf,
  makeKey,
  makeRoot,
  MEMBER,
  NOW_MS,
  someBytes,
  someId,
  tlv,
  utcTime,
} from "./testing/forge.ts";

Deno.test("refuses a leaf that a leaf signed, with and without its chain", async () => {
  const worker = signedByRoot({ subject: commonName("leaf") });
  const posing = forge({
    issuer: commonName("leaf"),
    signer: key.privateKey,
    spki: attacker.spki,
  });
  rejects(posing, "unknown-issuer");
  rejects(posing, "bad-chain", { chain: [worker] });
  const real = await issueWorker(root);
  const under = forge({
    issuer: readCertificate(real).subject,
    signer: key.privateKey,
    spki: attacker.spki,
  });
  rejects(under, "bad-chain", { chain: [real] });
});

function issueWorker(by: Root): Promise<Uint8Array> {
  return issue({
    root: by.certificate,
    rootKey: by.privateKey,
    publicKey: key.spki,
    clusterId: CLUSTER,
    role: "worker",
    id: MEMBER,
    serial: someBytes(16, 5),
    nowMs: NOW_MS,
    lifetimeMs: HOUR_MS,
  });
}

const CONSTRAINT = tlv(
  0x30,
  tlv(0xa0, tlv(0x30, tlv(0x82, encodeUtf8(`${CLUSTER}.agent.internal`)))),
);

/** Extensions of an intermediate, by name. */
function intermediateExtensions() {
  return {
    constraints: extension("551d13", "30060101ff020100", "critical"),
    usage: extension("551d0f", "03020106", "critical"),
    names: extension("551d1e", CONSTRAINT, "critical"),
  };
}

Deno.test("accepts an intermediate of the chain that a root signed, and a cross-signed root", async () => {
  const middle = await makeKey();
  const name = commonName("intermediate");
  const leaf = forge({ issuer: name, signer: middle.privateKey, spki: key.spki });
  const build = (changes: Partial<Forgery>) =>
    signedByRoot({
      subject: name,
      spki: middle.spki,
      extensions: Object.values(intermediateExtensions()),
      ...changes,
    });
  const good = build({});
  assert.equal(verifyPeer(leaf, trust, NOW_MS, [good]).id, MEMBER);
  assert.equal(verifyPeer(leaf, trust, NOW_MS, [root.certificate, good]).id, MEMBER);
  rejects(leaf, "unknown-issuer");
  rejects(leaf, "bad-chain", { chain: Array.from({ length: 5 }, () => good) });
  rejects(leaf, "bad-chain", { chain: [new Uint8Array(3)] });
  rejects(leaf, "bad-signature", { chain: [build({ signer: attacker.privateKey })] });
  rejects(leaf, "bad-signature", { chain: [build({ spki: attacker.spki })] });
  rejects(leaf, "unknown-issuer", { chain: [build({ issuer: commonName("other") })] });
  rejects(leaf, "expired", { chain: [build({ notAfter: utcTime(NOW_MS - 1000) })] });
  rejects(leaf, "not-yet-valid", { chain: [build({ notBefore: utcTime(NOW_MS + 1000) })] });
  const faults = {
    constraints: extension("551d13", "3000", "critical"),
    usage: extension("551d0f", "03020780", "critical"),
    names: extension(
      "551d1e",
      tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x82, encodeUtf8("agent.internal"))))),
      "critical",
    ),
  };
  for (const [field, value] of Object.entries(faults)) {
    const extensions = Object.values({ ...intermediateExtensions(), [field]: value });
    rejects(leaf, "bad-chain", { chain: [build({ extensions })] });
  }
  const further = [
    extension("551d25", CLIENT),
    extension("2a0304", "0500", "critical"),
  ];
  for (const more of further) {
    const extensions = [...Object.values(intermediateExtensions()), more];
    rejects(leaf, "bad-chain", { chain: [build({ extensions })] });
  }

  const successor = await makeRoot(8);
  const crossSigned = build({
    subject: readCertificate(successor.certificate).subject,
    spki: keyOf(successor).spki,
  });
  const next = await issueWorker(successor);
  rejects(next, "unknown-issuer");
  assert.equal(verifyPeer(next, trust, NOW_MS, [crossSigned]).id, MEMBER);
});

Deno.test("believes any of several roots, and no other cluster's", async () => {
  const second = await makeRoot(8);
  const both = { clusterId: CLUSTER, roots: [root.certificate, second.certificate] };
  const leaf = await issueWorker(second);
  assert.equal(verifyPeer(leaf, both, NOW_MS).id, MEMBER);
  rejects(leaf, "unknown-issuer");
  const foreign = await makeRoot(3, someId(9));
  rejects(signedByRoot({}), "unknown-issuer", {
    trust: { clusterId: someId(9), roots: [foreign.certificate] },
  });
  const mixed = { clusterId: CLUSTER, roots: [root.certificate, foreign.certificate] };
  assert.throws(() => verifyPeer(leaf, mixed, NOW_MS), RootRejectedError);
  assert.throws(() => verifyPeer(leaf, { ...trust, roots: [] }, NOW_MS), RootRejectedError);
});

Deno.test("refuses under the root's name and serial number with another key", async () => {
  const impostor = await makeRoot();
  assert.deepEqual(readCertificate(impostor.certificate).subject, rootName);
  rejects(await issueWorker(impostor), "bad-signature");
});

Deno.test("a certificate is good from its first to its last second, and the root's dates count", () => {
  const from = NOW_MS - HOUR_MS;
  const to = NOW_MS + HOUR_MS;
  const leaf = signedByRoot({});
  verifyPeer(leaf, trust, from);
  verifyPeer(leaf, trust, to);
  rejects(leaf, "not-yet-valid", { nowMs: from - 1 });
  rejects(leaf, "expired", { nowMs: to + 1 });
  // A clock that is no number at all must not open the door.
  assert.throws(() => verifyPeer(leaf, trust, Number.NaN));

  const rootTo = readCertificate(root.certificate).notAfterMs;
  const long = signedByRoot({
    notBefore: utcTime(from - HOUR_MS),
    notAfter: utcTime(rootTo + HOUR_MS),
  });
  verifyPeer(long, trust, rootTo);
  rejects(long, "expired", { nowMs: rootTo + 1 });
  rejects(long, "not-yet-valid", { nowMs: from - 1 });
});

Deno.test("spkiHashOf knows a key whatever dates and issuer say", () => {
  const hash = verifyPeer(signedByRoot({}), trust, NOW_MS).spkiHash;
  const expired = forge({
    issuer: commonName("nobody"),
    signer: attacker.privateKey,
    spki: key.spki,
    notAfter: utcTime(0),
    extensions: "none",
  });
  assert.equal(spkiHashOf(expired), hash);
  assert.notEqual(spkiHashOf(signedByRoot({ spki: attacker.spki })), hash);
  assert.throws(() => spkiHashOf(new Uint8Array(9)), PeerRejectedError);
});
