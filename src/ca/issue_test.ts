import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Bytes, IpAddress, type Role } from "../base/mod.ts";
import {
  certificateToPem,
  checkCsr,
  createKeyAndCsr,
  issue,
  type IssueOptions,
  managerServerName,
  renewalTime,
  RootRejectedError,
  spkiHashOf,
  verifyPeer,
} from "./mod.ts";
import { readCertificate } from "./certificate.ts";
import {
  CLUSTER,
  HOUR_MS,
  makeKey,
  makeRoot,
  MEMBER,
  NOW_MS,
  someBytes,
  someId,
} from "./testing/forge.ts";
import { openssl, opensslOk, withFiles } from "./testing/openssl.ts";

const root = await makeRoot();
const { csr } = createKeyAndCsr();
const { publicKey, spkiHash } = checkCsr(csr);
const trust = { clusterId: CLUSTER, roots: [root.certificate] };
const AT = ["-attime", `${NOW_MS / 1000}`];

function issueFor(role: Role, changes: Partial<IssueOptions> = {}): Promise<Bytes> {
  return issue({
    root: root.certificate,
    rootKey: root.privateKey,
    publicKey,
    clusterId: CLUSTER,
    role,
    id: MEMBER,
    serial: someBytes(16, 5),
    nowMs: NOW_MS,
    lifetimeMs: HOUR_MS,
    ...changes,
  });
}

function files(leaf: Uint8Array): Readonly<Record<string, string>> {
  return { "root.pem": certificateToPem(root.certificate), "leaf.pem": certificateToPem(leaf) };
}

const USAGES: Readonly<Record<Role, string>> = {
  manager: "TLS Web Server Authentication, TLS Web Client Authentication",
  worker: "TLS Web Client Authentication",
  admin: "TLS Web Client Authentication",
};

for (const role of ["manager", "worker", "admin"] as const) {
  Deno.test(`a ${role}'s certificate names its holder`, async () => {
    const leaf = await issueFor(role);
    const identity = verifyPeer(leaf, trust, NOW_MS);
    assert.deepEqual(
      { clusterId: identity.clusterId, role: identity.role, id: identity.id },
      { clusterId: CLUSTER, role, id: MEMBER },
    );
    assert.equal(identity.spkiHash, spkiHash);
    assert.equal(spkiHashOf(leaf), spkiHash);
  });

  Deno.test(`openssl reads a ${role}'s certificate as it was meant`, async () => {
    const leaf = await issueFor(role);
    await withFiles(files(leaf), async (directory) => {
      const identity = verifyPeer(leaf, trust, NOW_MS);
      const text = await opensslOk(directory, "x509", "-in", "leaf.pem", "-noout", "-text");
      const dns = role === "manager" ? `, DNS:manager\\.${CLUSTER}\\.agent\\.internal` : "";
      const expected = [
        /Version: 3 \(0x2\)/,
        /Basic Constraints: critical\s+CA:FALSE\n/,
        /Key Usage: critical\s+Digital Signature\n/,
        new RegExp(`Extended Key Usage: *\\n\\s+${USAGES[role]}\\n`),
        new RegExp(`Alternative Name: *\\n\\s+URI:agent://${CLUSTER}/${role}/${MEMBER}${dns}\\n`),
        /Subject Key Identifier:/,
        /Authority Key Identifier:/,
        /Not Before: Nov 23 11:00:00 2026 GMT/,
        /Not After : Nov 23 13:00:00 2026 GMT/,
        new RegExp(`Subject: O = ${CLUSTER}, CN = ${role} ${MEMBER}\n`),
      ];
      for (const pattern of expected) assert.match(text, pattern);
      const facts = await opensslOk(
        directory,
        "x509",
        "-in",
        "leaf.pem",
        "-noout",
        "-serial",
        "-fingerprint",
        "-sha256",
      );
      const print = Buffer.from(identity.fingerprint, "base64url").toString("hex").toUpperCase();
      assert.match(facts, new RegExp(`serial=${identity.serial.toUpperCase()}\n`));
      assert(facts.replaceAll(":", "").includes(print));

      const verify = (...args: string[]) =>
        openssl(
          directory,
          "verify",
          "-x509_strict",
          ...AT,
          "-CAfile",
          "root.pem",
          ...args,
          "leaf.pem",
        );
      const client = await verify("-purpose", "sslclient");
      assert.equal(client.code, 0, client.text);
      const server = await verify(
        "-purpose",
        "sslserver",
        "-verify_hostname",
        managerServerName(CLUSTER),
      );
      assert.equal(server.code === 0, role === "manager", server.text);
    });
  });
}

Deno.test("a certificate carries the addresses asked for, in both families", async () => {
  const addresses = [IpAddress.parse("192.0.2.1"), IpAddress.parse("2001:db8::1")];
  const leaf = await issueFor("manager", { addresses });
  assert.equal(verifyPeer(leaf, trust, NOW_MS).role, "manager");
  await withFiles(files(leaf), async (directory) => {
    for (const address of addresses) {
      await opensslOk(
        directory,
        "verify",
        ...AT,
        "-CAfile",
        "root.pem",
        "-verify_ip",
        address.toString(),
        "leaf.pem",
      );
    }
    const other = await openssl(
      directory,
      "verify",
      ...AT,
      "-CAfile",
      "root.pem",
      "-verify_ip",
      "192.0.2.2",
      "leaf.pem",
    );
    assert.notEqual(other.code, 0);
  });
});

Deno.test("the lifetime counts from the issue, in whole seconds, and ends with the root", async () => {
  const leaf = await issueFor("worker", { nowMs: NOW_MS + 999, lifetimeMs: 30_999 });
  const { notBeforeMs, notAfterMs } = verifyPeer(leaf, trust, NOW_MS);
  assert.deepEqual([notBeforeMs, notAfterMs], [NOW_MS - HOUR_MS, NOW_MS + 30_000]);
  assert.equal(renewalTime({ notBeforeMs, notAfterMs, fraction: 0.5 }), NOW_MS + 15_000);

  const rootEnd = readCertificate(root.certificate).notAfterMs;
  const late = await issueFor("worker", { nowMs: rootEnd - 5000, lifetimeMs: HOUR_MS });
  assert.equal(verifyPeer(late, trust, rootEnd).notAfterMs, rootEnd);
  await assert.rejects(issueFor("worker", { nowMs: rootEnd }), { code: "expired" });
  const early = NOW_MS - HOUR_MS - 1;
  await assert.rejects(issueFor("worker", { nowMs: early }), {
    name: "RootRejectedError",
    code: "not-yet-valid",
  });
});

Deno.test("the serial number is 126 of the bits given, always 16 bytes and positive", async () => {
  for (
    const [first, written] of [[0x00, "40"], [0xff, "7f"], [0x80, "40"], [0x41, "41"]] as const
  ) {
    const serial = new Uint8Array(16).fill(9);
    serial[0] = first;
    const leaf = await issueFor("worker", { serial });
    assert.equal(verifyPeer(leaf, trust, NOW_MS).serial, written + "09".repeat(15));
  }
});

Deno.test("refuses to issue for what is not what it should be", async () => {
  const foreign = await makeRoot(3, someId(9));
  const p384 = await makeKey("P-384");
  const cases: readonly (readonly [Partial<IssueOptions>, new (...args: never[]) => Error])[] = [
    [{ root: foreign.certificate }, RootRejectedError],
    [{ root: await issueFor("manager") }, RootRejectedError],
    [{ root: new Uint8Array(8) }, RootRejectedError],
    [{ clusterId: someId(9) }, RootRejectedError],
    [{ id: "web" }, TypeError],
    [{ publicKey: p384.spki }, TypeError],
    [{ publicKey: new Uint8Array(91) }, TypeError],
    [{ serial: someBytes(15, 1) }, RangeError],
    [{ lifetimeMs: 999 }, RangeError],
    [{ lifetimeMs: Number.NaN }, RangeError],
  ];
  for (const [changes, kind] of cases) await assert.rejects(issueFor("worker", changes), kind);
});

Deno.test("a root key that cannot be used is refused, and not shown", async () => {
  const damaged = Uint8Array.from(root.privateKey);
  damaged[4] = 0xff;
  const p384 = await makeKey("P-384");
  for (const rootKey of [damaged, p384.privateKey, new Uint8Array()]) {
    await assert.rejects(issueFor("worker", { rootKey }), (error) => {
      assert(error instanceof TypeError);
      assert.equal(error.cause, undefined);
      assert.match(error.message, /root key is not/);
      return true;
    });
  }
});

Deno.test("a root key that is not the root's is refused", async () => {
  const other = await makeRoot(4);
  await assert.rejects(issueFor("worker", { rootKey: other.privateKey }), TypeError);
});
