import assert from "node:assert/strict";
import { concatBytes, encodeUtf8 } from "../base/mod.ts";
import { type PeerRejectedCode, verifyPeer } from "./mod.ts";
import {
  attacker,
  key,
  rejects,
  rootName,
  signedByRoot,
  trust,
  withExtensions,
} from "./testing/fixture.ts";
import {
  CLIENT,
  CLUSTER,
  commonName,
  extension,
  forge,
  hex,
  HOUR_MS,
  makeKey,
  MANAGER_DNS,
  MANAGER_URI,
  MEMBER,
  names,
  NOW_MS,
  SERVER_AND_CLIENT,
  someId,
  tlv,
  utcTime,
  WORKER_URI,
  workerExtensions,
} from "./testing/forge.ts";

/** Each is one change to a certificate that is accepted without it. */
const FORGERIES: readonly (readonly [string, PeerRejectedCode, () => Uint8Array])[] = [
  ["another name", "unknown-issuer", () => {
    const name = commonName("self");
    return forge({ issuer: name, subject: name, signer: attacker.privateKey, spki: attacker.spki });
  }],
  [
    "self-signed under the root's name",
    "bad-signature",
    () => signedByRoot({ subject: rootName, signer: attacker.privateKey, spki: attacker.spki }),
  ],
  [
    "another key under the root's name",
    "bad-signature",
    () => signedByRoot({ signer: attacker.privateKey }),
  ],
  [
    "X.509v1 under the root's name",
    "wrong-version",
    () => signedByRoot({ version: "", extensions: "none", signer: attacker.privateKey }),
  ],
  [
    "X.509v1, signed by the root",
    "wrong-version",
    () => signedByRoot({ version: "", extensions: "none" }),
  ],
  ["version 1 with extensions", "wrong-version", () => signedByRoot({ version: "" })],
  ["version 2", "wrong-version", () => signedByRoot({ version: "020101" })],
  ["version 4", "wrong-version", () => signedByRoot({ version: "020103" })],
  ["no extensions", "bad-extension", () => signedByRoot({ extensions: "none" })],
  [
    "malformed EKU",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", "0403ffffff") }),
  ],
  [
    "EKU with an element cut short",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", "300a06092b06010505070302") }),
  ],
  [
    "EKU with bytes behind it",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", `${CLIENT}0500`) }),
  ],
  ["malformed EKU under the root's name", "bad-signature", () =>
    signedByRoot({
      signer: attacker.privateKey,
      extensions: Object.values({
        ...workerExtensions(),
        extendedUsage: extension("551d25", "0403ffffff"),
      }),
    })],
  ["no EKU", "wrong-usage", () => withExtensions({ extendedUsage: new Uint8Array() })],
  [
    "empty EKU",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", "3000") }),
  ],
  [
    "any EKU",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", "300606042a030405") }),
  ],
  [
    "worker that may be a server",
    "wrong-usage",
    () => withExtensions({ extendedUsage: extension("551d25", SERVER_AND_CLIENT) }),
  ],
  [
    "worker with a manager's server name",
    "bad-identity",
    () => withExtensions({ names: names(WORKER_URI, MANAGER_DNS) }),
  ],
  [
    "manager that may not be a server",
    "wrong-usage",
    () => withExtensions({ names: names(MANAGER_URI, MANAGER_DNS) }),
  ],
  [
    "manager without its server name",
    "bad-identity",
    () =>
      withExtensions({
        names: names(MANAGER_URI),
        extendedUsage: extension("551d25", SERVER_AND_CLIENT),
      }),
  ],
  ["manager with a second server name", "bad-identity", () =>
    withExtensions({
      names: names(MANAGER_URI, MANAGER_DNS, `dns:x.${CLUSTER}.agent.internal`),
      extendedUsage: extension("551d25", SERVER_AND_CLIENT),
    })],
  ["manager with another cluster's server name", "bad-identity", () =>
    withExtensions({
      names: names(MANAGER_URI, `dns:manager.${someId(9)}.agent.internal`),
      extendedUsage: extension("551d25", SERVER_AND_CLIENT),
    })],
  ["two URIs", "bad-identity", () => withExtensions({ names: names(WORKER_URI, MANAGER_URI) })],
  [
    "the same URI twice",
    "bad-identity",
    () => withExtensions({ names: names(WORKER_URI, WORKER_URI) }),
  ],
  ["IP address only", "bad-identity", () => withExtensions({ names: names("ip:c0000201") })],
  ["no alternative name", "bad-identity", () => withExtensions({ names: new Uint8Array() })],
  ["empty alternative name", "bad-identity", () => withExtensions({ names: names() })],
  [
    "IP address of five bytes",
    "bad-identity",
    () => withExtensions({ names: names(WORKER_URI, "ip:c000020101") }),
  ],
  [
    "email beside the URI",
    "bad-identity",
    () => withExtensions({ names: names(WORKER_URI, "email:a@b") }),
  ],
  [
    "URI in capitals",
    "bad-identity",
    () => withExtensions({ names: names(`uri:AGENT://${CLUSTER}/worker/${MEMBER}`) }),
  ],
  [
    "URI with an unknown role",
    "bad-identity",
    () => withExtensions({ names: names(`uri:agent://${CLUSTER}/root/${MEMBER}`) }),
  ],
  [
    "URI with more behind it",
    "bad-identity",
    () => withExtensions({ names: names(`${WORKER_URI}/x`) }),
  ],
  [
    "URI with a line end behind it",
    "bad-identity",
    () =>
      withExtensions({
        names: extension("551d11", tlv(0x30, tlv(0x86, encodeUtf8(`${WORKER_URI.slice(4)}\n`)))),
      }),
  ],
  ["URI with NUL behind it", "bad-identity", () =>
    withExtensions({
      names: extension("551d11", tlv(0x30, tlv(0x86, encodeUtf8(`${WORKER_URI.slice(4)}\0`)))),
    })],
  [
    "id that is not canonical base32",
    "bad-identity",
    () => withExtensions({ names: names(`uri:agent://${CLUSTER}/worker/${"a".repeat(25)}b`) }),
  ],
  [
    "another cluster's member",
    "wrong-cluster",
    () => withExtensions({ names: names(`uri:agent://${someId(9)}/worker/${MEMBER}`) }),
  ],
  [
    "CA:TRUE",
    "is-ca",
    () => withExtensions({ constraints: extension("551d13", "30030101ff", "critical") }),
  ],
  [
    "CA:TRUE with a path length",
    "is-ca",
    () => withExtensions({ constraints: extension("551d13", "30060101ff020100", "critical") }),
  ],
  [
    "no basic constraints",
    "bad-extension",
    () => withExtensions({ constraints: new Uint8Array() }),
  ],
  [
    "CA:FALSE spelt out, which is not DER",
    "bad-extension",
    () => withExtensions({ constraints: extension("551d13", "3003010100", "critical") }),
  ],
  [
    "malformed basic constraints",
    "bad-extension",
    () => withExtensions({ constraints: extension("551d13", "0500", "critical") }),
  ],
  [
    "key usage of an authority",
    "wrong-usage",
    () => withExtensions({ usage: extension("551d0f", "03020106", "critical") }),
  ],
  ["no key usage", "wrong-usage", () => withExtensions({ usage: new Uint8Array() })],
  ["unknown critical extension", "bad-extension", () =>
    signedByRoot({
      extensions: [...Object.values(workerExtensions()), extension("2a0304", "0500", "critical")],
    })],
  ["critical name constraint", "bad-extension", () =>
    signedByRoot({
      extensions: [...Object.values(workerExtensions()), extension("551d1e", "3000", "critical")],
    })],
  [
    "an extension twice",
    "bad-extension",
    () => signedByRoot({ extensions: [...Object.values(workerExtensions()), names(WORKER_URI)] }),
  ],
  ["an unknown extension twice", "bad-extension", () =>
    signedByRoot({
      extensions: [
        ...Object.values(workerExtensions()),
        extension("2a0304", "0500"),
        extension("2a0304", "0500"),
      ],
    })],
  [
    "bytes behind the certificate",
    "not-a-certificate",
    () => concatBytes(signedByRoot({}), Uint8Array.of(0)),
  ],
  [
    "an element behind the certificate",
    "not-a-certificate",
    () => concatBytes(signedByRoot({}), hex("0500")),
  ],
  ["two certificates", "not-a-certificate", () => concatBytes(signedByRoot({}), signedByRoot({}))],
  [
    "a fourth element in the certificate",
    "not-a-certificate",
    () => tlv(0x30, signedByRoot({}).subarray(4), hex("0500")),
  ],
  [
    "a length in two bytes that needs one",
    "not-a-certificate",
    () => signedByRoot({ subject: hex("308100") }),
  ],
  [
    "a length in three bytes that needs two",
    "not-a-certificate",
    () => signedByRoot({ subject: concatBytes(hex("308200830c8180"), new Uint8Array(128)) }),
  ],
  ["a tag of two bytes", "not-a-certificate", () => signedByRoot({ subject: hex("30031f0100") })],
  ["elements nested deep", "not-a-certificate", () => {
    let subject = tlv(0x30);
    for (let depth = 0; depth < 20; depth++) subject = tlv(0x30, subject);
    return signedByRoot({ subject });
  }],
  [
    "a length of three bytes",
    "not-a-certificate",
    () => concatBytes(hex("308300"), signedByRoot({}).subarray(2)),
  ],
  [
    "indefinite length",
    "not-a-certificate",
    () => concatBytes(hex("3080"), signedByRoot({}).subarray(4), hex("0000")),
  ],
  [
    "an element after the extensions",
    "not-a-certificate",
    () => signedByRoot({ afterExtensions: hex("0500") }),
  ],
  [
    "a third time",
    "not-a-certificate",
    () => signedByRoot({ notAfter: concatBytes(utcTime(NOW_MS + HOUR_MS), utcTime(NOW_MS)) }),
  ],
  [
    "an element behind an extension's value",
    "not-a-certificate",
    () =>
      signedByRoot({
        extensions: [
          ...Object.values(workerExtensions()),
          tlv(0x30, hex("06032a0304"), hex("04020500"), hex("0500")),
        ],
      }),
  ],
  [
    "an element behind the list of extensions",
    "not-a-certificate",
    () =>
      signedByRoot({
        extensions: "none",
        afterExtensions: tlv(0xa3, tlv(0x30, ...Object.values(workerExtensions())), hex("0500")),
      }),
  ],
  [
    "TRUE in another spelling than DER's",
    "not-a-certificate",
    () =>
      signedByRoot({
        extensions: [
          ...Object.values(workerExtensions()),
          tlv(0x30, hex("06032a0304010101"), hex("04020500")),
        ],
      }),
  ],
  [
    "FALSE, which DER leaves out",
    "not-a-certificate",
    () =>
      signedByRoot({
        extensions: [
          ...Object.values(workerExtensions()),
          tlv(0x30, hex("06032a0304010100"), hex("04020500")),
        ],
      }),
  ],
  ["negative serial number", "not-a-certificate", () => signedByRoot({ serial: "ff01" })],
  ["serial number zero", "not-a-certificate", () => signedByRoot({ serial: "00" })],
  [
    "serial number that is not minimal",
    "not-a-certificate",
    () => signedByRoot({ serial: "0041" }),
  ],
  [
    "serial number of 21 bytes",
    "not-a-certificate",
    () => signedByRoot({ serial: "41".repeat(21) }),
  ],
  ["over 4096 bytes", "not-a-certificate", () =>
    signedByRoot({
      extensions: [
        ...Object.values(workerExtensions()),
        extension("2a0304", tlv(0x04, new Uint8Array(4096))),
      ],
    })],
  ["no bytes", "not-a-certificate", () => new Uint8Array()],
  ["SHA-384 inside and outside", "wrong-algorithm", () =>
    signedByRoot({
      hash: "sha384",
      algorithmInside: "300a06082a8648ce3d040303",
      algorithmOutside: "300a06082a8648ce3d040303",
    })],
  ["SHA-1", "wrong-algorithm", () =>
    signedByRoot({
      hash: "sha1",
      algorithmInside: "300906072a8648ce3d0401",
      algorithmOutside: "300906072a8648ce3d0401",
    })],
  [
    "another algorithm outside than inside",
    "wrong-algorithm",
    () => signedByRoot({ algorithmOutside: "300a06082a8648ce3d040303" }),
  ],
  [
    "another algorithm inside than outside",
    "wrong-algorithm",
    () => signedByRoot({ algorithmInside: "300a06082a8648ce3d040303" }),
  ],
  ["an algorithm with parameters", "wrong-algorithm", () =>
    signedByRoot({
      algorithmInside: "300c06082a8648ce3d0403020500",
      algorithmOutside: "300c06082a8648ce3d0403020500",
    })],
  ["signed over SHA-384, named SHA-256", "bad-signature", () => signedByRoot({ hash: "sha384" })],
  [
    "day that does not exist",
    "not-a-certificate",
    () => signedByRoot({ notAfter: tlv(0x17, encodeUtf8("270230120000Z")) }),
  ],
  [
    "time with a zone",
    "not-a-certificate",
    () => signedByRoot({ notAfter: tlv(0x17, encodeUtf8("270201120000+0100")) }),
  ],
  [
    "GeneralizedTime before 2050",
    "not-a-certificate",
    () => signedByRoot({ notAfter: tlv(0x18, encodeUtf8("20270201120000Z")) }),
  ],
  ["expired", "expired", () => signedByRoot({ notAfter: utcTime(NOW_MS - 1000) })],
  ["not yet valid", "not-yet-valid", () => signedByRoot({ notBefore: utcTime(NOW_MS + 1000) })],
];

Deno.test("what the forgeries are made from is accepted", () => {
  assert.equal(verifyPeer(signedByRoot({}), trust, NOW_MS).role, "worker");
  const manager = withExtensions({
    names: names(MANAGER_URI, MANAGER_DNS, "ip:c0000201"),
    extendedUsage: extension("551d25", SERVER_AND_CLIENT),
  });
  assert.equal(verifyPeer(manager, trust, NOW_MS).role, "manager");
  const later = signedByRoot({
    extensions: [...Object.values(workerExtensions()), extension("2a0304", "0500")],
    notAfter: tlv(0x18, encodeUtf8("20500201120000Z")),
  });
  assert.equal(verifyPeer(later, trust, NOW_MS).notAfterMs, Date.UTC(2050, 1, 1, 12));
});

for (const [what, code, make] of FORGERIES) {
  Deno.test(`refuses a certificate: ${what}`, () => rejects(make(), code));
}

Deno.test("refuses a key that is not P-256", async () => {
  for (const curve of ["P-384", "P-521"]) {
    const { spki } = await makeKey(curve);
    rejects(signedByRoot({ spki }), "wrong-key");
  }
  const rsa = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 1024,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", rsa.publicKey));
  rejects(signedByRoot({ spki }), "wrong-key");
  // The same curve with a compressed point: a second spelling of the same key.
  const compressed = tlv(
    0x30,
    hex("301306072a8648ce3d020106082a8648ce3d030107"),
    tlv(0x03, hex("0002"), key.spki.subarray(27, 59)),
  );
  rejects(signedByRoot({ spki: compressed }), "wrong-key");
});
