/**
 * Certificates that the authority would never make, for tests: every field can be replaced, and what
 * results is signed with whatever key the forger has. Written apart from the code under test, on bytes.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { concatBytes, decodeHex, encodeBase32, encodeUtf8, type Id } from "../../base/mod.ts";
import { createRoot, type Root } from "../mod.ts";

/** The moment at which these tests take place. */
export const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);
export const HOUR_MS = 3_600_000;

/** Bytes that differ for each `seed`, and are the same in every run. */
export function someBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (seed * 31 + index * 7 + 1) & 0xff);
}

/** A valid id for each `seed`. */
export function someId(seed: number): Id {
  return encodeBase32(someBytes(16, seed));
}

export const CLUSTER = someId(1);
export const MEMBER = someId(2);

/** A new root of `clusterId`; its serial number is of `seed`. */
export function makeRoot(seed = 3, clusterId = CLUSTER): Promise<Root> {
  return createRoot({ clusterId, serial: someBytes(16, seed), nowMs: NOW_MS });
}

/** One DER element of any length. */
export function tlv(tag: number, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = concatBytes(...content);
  const length = body.length < 0x80
    ? [body.length]
    : body.length < 0x100
    ? [0x81, body.length]
    : [0x82, body.length >> 8, body.length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...length), body);
}

export const hex = decodeHex;
const text = encodeUtf8;

/** An Extension: `value` is DER in hexadecimal. */
export function extension(
  oid: string,
  value: string | Uint8Array,
  kind: "critical" | "optional" = "optional",
): Uint8Array {
  const bytes = typeof value === "string" ? hex(value) : value;
  const critical = kind === "critical" ? hex("0101ff") : new Uint8Array();
  return tlv(0x30, tlv(0x06, hex(oid)), critical, tlv(0x04, bytes));
}

export const CLIENT = "300a06082b06010505070302";
export const SERVER_AND_CLIENT = "301406082b0601050507030106082b06010505070302";

/** Alternative names: `uri:…`, `dns:…`, `ip:c0000201`, `email:…`. */
export function names(...list: readonly string[]): Uint8Array {
  const encoded = list.map((name) => {
    const [, kind, value = ""] = /^([a-z]+):(.*)$/.exec(name) ?? [];
    if (kind === "ip") return tlv(0x87, hex(value));
    return tlv(kind === "uri" ? 0x86 : kind === "dns" ? 0x82 : 0x81, text(value));
  });
  return extension("551d11", tlv(0x30, ...encoded));
}

export const WORKER_URI = `uri:agent://${CLUSTER}/worker/${MEMBER}`;
export const MANAGER_URI = `uri:agent://${CLUSTER}/manager/${MEMBER}`;
export const MANAGER_DNS = `dns:manager.${CLUSTER}.agent.internal`;

/** The five extensions of a worker by name, for one to be replaced or left out. */
export function workerExtensions(): Record<
  "constraints" | "usage" | "extendedUsage" | "names",
  Uint8Array
> {
  return {
    constraints: extension("551d13", "3000", "critical"),
    usage: extension("551d0f", "03020780", "critical"),
    extendedUsage: extension("551d25", CLIENT),
    names: names(WORKER_URI),
  };
}

/** A key for tests, PKCS #8 and SubjectPublicKeyInfo, DER. */
export interface TestKey {
  readonly privateKey: Uint8Array;
  readonly spki: Uint8Array;
}

/** A new key on a curve. */
export async function makeKey(namedCurve = "P-256"): Promise<TestKey> {
  const algorithm = { name: "ECDSA", namedCurve };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return {
    privateKey: new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)),
    spki: new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)),
  };
}

/** The public half of a root's key and the private one. */
export function keyOf(root: Root): TestKey {
  const key = createPrivateKey({ key: Buffer.from(root.privateKey), format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return { privateKey: root.privateKey, spki: new Uint8Array(spki) };
}

/** ECDSA signature by a PKCS #8 key. */
export function signWith(pkcs8: Uint8Array, data: Uint8Array, hash = "sha256"): Uint8Array {
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return new Uint8Array(sign(hash, data, key));
}

const ECDSA_SHA256 = "300a06082a8648ce3d040302";

/** What a forger fills in; by default a good worker's certificate, but for `issuer` and `signer`. */
export interface Forgery {
  /** DER of the issuer's name. */
  readonly issuer: Uint8Array;
  /** PKCS #8 of the key that signs. */
  readonly signer: Uint8Array;
  readonly spki: Uint8Array;
  /** Content of `[0]`, hexadecimal; "" leaves it out, which is version 1. */
  readonly version?: string;
  readonly serial?: string;
  readonly subject?: Uint8Array;
  readonly notBefore?: Uint8Array;
  readonly notAfter?: Uint8Array;
  readonly algorithmInside?: string;
  readonly algorithmOutside?: string;
  readonly hash?: string;
  /** "none" leaves out the whole field. */
  readonly extensions?: readonly Uint8Array[] | "none";
  /** Put after the extensions, inside what is signed. */
  readonly afterExtensions?: Uint8Array;
}

/** UTCTime. */
export function utcTime(timeMs: number): Uint8Array {
  const digits = new Date(timeMs).toISOString().replace(/[-T:]|\.[0-9]*/g, "");
  return tlv(0x17, text(digits.slice(2)));
}

/** A name with one common name. */
export function commonName(value: string): Uint8Array {
  return tlv(0x30, tlv(0x31, tlv(0x30, hex("0603550403"), tlv(0x0c, text(value)))));
}

/** Writes and signs a certificate as asked. */
export function forge(forgery: Forgery): Uint8Array<ArrayBuffer> {
  const version = forgery.version ?? "020102";
  const extensions = forgery.extensions ?? Object.values(workerExtensions());
  const tbs = tlv(
    0x30,
    version === "" ? new Uint8Array() : tlv(0xa0, hex(version)),
    tlv(0x02, hex(forgery.serial ?? "4142434445464748494a4b4c4d4e4f50")),
    hex(forgery.algorithmInside ?? ECDSA_SHA256),
    forgery.issuer,
    tlv(
      0x30,
      forgery.notBefore ?? utcTime(NOW_MS - HOUR_MS),
      forgery.notAfter ?? utcTime(NOW_MS + HOUR_MS),
    ),
    forgery.subject ?? commonName("forged"),
    forgery.spki,
    extensions === "none" ? new Uint8Array() : tlv(0xa3, tlv(0x30, ...extensions)),
    forgery.afterExtensions ?? new Uint8Array(),
  );
  const signature = signWith(forgery.signer, tbs, forgery.hash);
  return tlv(
    0x30,
    tbs,
    hex(forgery.algorithmOutside ?? ECDSA_SHA256),
    tlv(0x03, Uint8Array.of(0), signature),
  );
}
