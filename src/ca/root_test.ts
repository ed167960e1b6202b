import assert from "node:assert/strict";
import { concatBytes, encodeHex, encodeUtf8 } from "../base/mod.ts";
import { readCertificate } from "./certificate.ts";
import {
  certificateToPem,
  clusterIdOfRoot,
  createRoot,
  issue,
  type RootRejectedCode,
  RootRejectedError,
} from "./mod.ts";
import { rootName } from "./profile.ts";
import {
  CLIENT,
  CLUSTER,
  extension,
  forge,
  type Forgery,
  HOUR_MS,
  keyOf,
  makeRoot,
  MEMBER,
  NOW_MS,
  someBytes,
  someId,
  tlv,
} from "./testing/forge.ts";
import { opensslOk, withFiles } from "./testing/openssl.ts";

const root = await makeRoot();
const SERIAL = "4142434445464748494a4b4c4d4e4f50";

function constraint(domain: string): Uint8Array {
  const permitted = tlv(0xa0, tlv(0x30, tlv(0x82, encodeUtf8(domain))));
  return extension("551d1e", tlv(0x30, permitted), "critical");
}

const EXTENSIONS = {
  constraints: extension("551d13", "30060101ff020101", "critical"),
  usage: extension("551d0f", "03020106", "critical"),
  names: constraint(`${CLUSTER}.agent.internal`),
};

/** A root made by hand; good without changes. */
function forgeRoot(
  changes: Partial<Forgery> = {},
  extensions: Partial<typeof EXTENSIONS> = {},
): Uint8Array {
  const name = rootName(CLUSTER, SERIAL);
  const { privateKey: signer, spki } = keyOf(root);
  return forge({
    issuer: name,
    subject: name,
    signer,
    spki,
    extensions: Object.values({ ...EXTENSIONS, ...extensions }),
    ...changes,
  });
}

Deno.test("a root says its cluster", async () => {
  assert.equal(clusterIdOfRoot(root.certificate), CLUSTER);
  assert.equal(clusterIdOfRoot((await makeRoot(4, someId(9))).certificate), someId(9));
  assert.equal(clusterIdOfRoot(forgeRoot()), CLUSTER);
});

Deno.test("openssl reads a root as it was meant", async () => {
  await withFiles({ "root.pem": certificateToPem(root.certificate) }, async (directory) => {
    const text = await opensslOk(directory, "x509", "-in", "root.pem", "-noout", "-text");
    const expected = [
      /Version: 3 \(0x2\)/,
      /Signature Algorithm: ecdsa-with-SHA256/,
      /NIST CURVE: P-256/,
      /Basic Constraints: critical\s+CA:TRUE, pathlen:1\n/,
      /Key Usage: critical\s+Certificate Sign, CRL Sign\n/,
      new RegExp(`Name Constraints: critical\\s+Permitted:\\s+DNS:${CLUSTER}\\.agent\\.internal\n`),
      /Subject Key Identifier:/,
      /Not Before: Nov 23 11:00:00 2026 GMT/,
      // 87,660 hours of which leap days are a part.
      /Not After : Nov 23 00:00:00 2036 GMT/,
    ];
    for (const pattern of expected) assert.match(text, pattern);
    assert.doesNotMatch(text, /URI:|Extended Key Usage/);
    const serial = readCertificate(root.certificate).serial;
    assert.equal(serial.length, 32);
    const names = await opensslOk(
      directory,
      "x509",
      "-in",
      "root.pem",
      "-noout",
      "-subject",
      "-issuer",
      "-serial",
    );
    assert.equal(
      names,
      `subject=O = ${CLUSTER}, CN = agent root ${serial}\n` +
        `issuer=O = ${CLUSTER}, CN = agent root ${serial}\nserial=${serial.toUpperCase()}\n`,
    );
    await opensslOk(
      directory,
      "verify",
      "-x509_strict",
      "-check_ss_sig",
      "-CAfile",
      "root.pem",
      "-attime",
      `${NOW_MS / 1000}`,
      "root.pem",
    );
  });
});

Deno.test("two roots of a cluster have different names", async () => {
  const other = await makeRoot(4);
  const subjects = [root, other].map(({ certificate }) =>
    encodeHex(readCertificate(certificate).subject)
  );
  assert.notEqual(subjects[0], subjects[1]);
});

Deno.test("a root that lasts beyond 2049 is written with the times of that age", async () => {
  const nowMs = Date.UTC(2049, 5, 1);
  const late = await createRoot({ clusterId: CLUSTER, serial: someBytes(16, 3), nowMs });
  assert.equal(readCertificate(late.certificate).notAfterMs, nowMs + 87_660 * HOUR_MS);
  await withFiles({ "root.pem": certificateToPem(late.certificate) }, async (directory) => {
    const dates = await opensslOk(directory, "x509", "-in", "root.pem", "-noout", "-enddate");
    assert.match(dates, /Jun {2}1 12:00:00 2059 GMT/);
  });
});

Deno.test("createRoot refuses what is no id and no serial number", async () => {
  const serial = someBytes(16, 3);
  await assert.rejects(createRoot({ clusterId: "shop", serial, nowMs: NOW_MS }), TypeError);
  const short = createRoot({ clusterId: CLUSTER, serial: serial.subarray(1), nowMs: NOW_MS });
  await assert.rejects(short, RangeError);
});

const attacker = keyOf(await makeRoot(7));
const OTHER = someId(9);

const NO_ROOTS: readonly (readonly [string, RootRejectedCode, () => Uint8Array])[] = [
  ["no bytes", "not-a-certificate", () => new Uint8Array()],
  ["bytes behind it", "not-a-certificate", () => concatBytes(root.certificate, Uint8Array.of(0))],
  ["signed by another key", "bad-signature", () => forgeRoot({ signer: attacker.privateKey })],
  ["another key put in", "bad-signature", () => forgeRoot({ spki: attacker.spki })],
  ["X.509v1", "not-a-root", () => forgeRoot({ version: "", extensions: "none" })],
  ["no extensions", "not-a-root", () => forgeRoot({ extensions: "none" })],
  [
    "CA:FALSE",
    "not-a-root",
    () => forgeRoot({}, { constraints: extension("551d13", "3000", "critical") }),
  ],
  [
    "no path length",
    "not-a-root",
    () => forgeRoot({}, { constraints: extension("551d13", "30030101ff", "critical") }),
  ],
  [
    "path length 0",
    "not-a-root",
    () => forgeRoot({}, { constraints: extension("551d13", "30060101ff020100", "critical") }),
  ],
  [
    "path length 2",
    "not-a-root",
    () => forgeRoot({}, { constraints: extension("551d13", "30060101ff020102", "critical") }),
  ],
  [
    "basic constraints that are not critical",
    "not-a-root",
    () => forgeRoot({}, { constraints: extension("551d13", "30060101ff020101") }),
  ],
  [
    "key usage of a leaf",
    "not-a-root",
    () => forgeRoot({}, { usage: extension("551d0f", "03020780", "critical") }),
  ],
  [
    "extended key usage",
    "not-a-root",
    () => forgeRoot({ extensions: [...Object.values(EXTENSIONS), extension("551d25", CLIENT)] }),
  ],
  [
    "unknown critical extension",
    "not-a-root",
    () =>
      forgeRoot({
        extensions: [...Object.values(EXTENSIONS), extension("2a0304", "0500", "critical")],
      }),
  ],
  ["no name constraint", "wrong-name", () => forgeRoot({}, { names: new Uint8Array() })],
  ["a constraint on everything", "wrong-name", () => forgeRoot({}, { names: constraint("") })],
  [
    "another cluster's constraint",
    "wrong-name",
    () => forgeRoot({}, { names: constraint(`${OTHER}.agent.internal`) }),
  ],
  ["constraint that is not critical", "wrong-name", () => {
    const value = tlv(
      0x30,
      tlv(0xa0, tlv(0x30, tlv(0x82, encodeUtf8(`${CLUSTER}.agent.internal`)))),
    );
    return forgeRoot({}, { names: extension("551d1e", value) });
  }],
  [
    "another cluster's subject",
    "wrong-name",
    () => forgeRoot({ subject: rootName(OTHER, SERIAL) }),
  ],
  [
    "another root's subject",
    "wrong-name",
    () => forgeRoot({ subject: rootName(CLUSTER, SERIAL.replace("41", "42")) }),
  ],
  ["another cluster's issuer", "wrong-name", () => forgeRoot({ issuer: rootName(OTHER, SERIAL) })],
  [
    "another serial number in the name",
    "wrong-name",
    () => forgeRoot({ serial: SERIAL.replace("41", "42") }),
  ],
  ["an empty name", "wrong-name", () => forgeRoot({ subject: tlv(0x30), issuer: tlv(0x30) })],
];

for (const [what, code, make] of NO_ROOTS) {
  Deno.test(`is no root: ${what}`, () => {
    assert.throws(() => clusterIdOfRoot(make()), (error) => {
      assert(error instanceof RootRejectedError, String(error));
      assert.equal(error.code, code, error.message);
      return true;
    });
  });
}

Deno.test("a member's certificate is no root", async () => {
  const leaf = await issue({
    root: root.certificate,
    rootKey: root.privateKey,
    publicKey: attacker.spki,
    clusterId: CLUSTER,
    role: "manager",
    id: MEMBER,
    serial: someBytes(16, 5),
    nowMs: NOW_MS,
    lifetimeMs: HOUR_MS,
  });
  assert.throws(() => clusterIdOfRoot(leaf), { code: "not-a-root" });
});
