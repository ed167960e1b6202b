import { type Bytes, decodeHex, encodeHex, encodeUtf8, type Id, type Role } from "../base/mod.ts";
import { encodeElement, TAG } from "./der.ts";
import { clusterDomain } from "./identity.ts";

/** Object identifiers of the extensions used here (RFC 5280 section 4.2.1), content in hexadecimal. */
export const EXTENSION = {
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  nameConstraints: "551d1e",
  authorityKeyIdentifier: "551d23",
  extendedKeyUsage: "551d25",
} as const;

/** Extension values that have one spelling only, in hexadecimal. */
export const VALUE = {
  /** SEQUENCE {}: cA is FALSE by default. */
  notCa: "3000",
  /** cA TRUE, pathLenConstraint 1: a root, with room for one intermediate or cross-signed root. */
  rootCa: "30060101ff020101",
  /** cA TRUE, pathLenConstraint 0: signs leaves only. */
  intermediateCa: "30060101ff020100",
  /** digitalSignature. */
  leafKeyUsage: "03020780",
  /** keyCertSign, cRLSign. */
  caKeyUsage: "03020106",
} as const;

/** Extended key usages (RFC 5280 section 4.2.1.12), content of the identifiers in hexadecimal. */
export const SERVER_AUTH = "2b06010505070301";
export const CLIENT_AUTH = "2b06010505070302";

/**
 * What each role's key may be used for, exactly. Only a manager may be a TLS server, so a worker's
 * certificate does not pose as a manager's even to a client that looks at nothing else.
 */
export function extendedKeyUsageOf(role: Role): readonly string[] {
  return role === "manager" ? [SERVER_AUTH, CLIENT_AUTH] : [CLIENT_AUTH];
}

/** AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2): no parameters, not even NULL. */
export const ECDSA_SHA256 = "300a06082a8648ce3d040302";

/** SubjectPublicKeyInfo of a P-256 key (RFC 5480 section 2) up to the X coordinate. */
const P256_PREFIX = decodeHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const P256_SPKI_BYTES = 91;

/** Whether `spki` is P-256 with an uncompressed point; whether the point is on the curve it does not say. */
export function isP256(spki: Uint8Array): boolean {
  return spki.length === P256_SPKI_BYTES &&
    P256_PREFIX.every((byte, index) => spki[index] === byte);
}

/**
 * Common name of a root. It carries the serial number, so that two roots of one cluster have
 * different names, and an issuer's name finds one key (RFC 5280 section 4.2.1.1 asks for as much).
 */
export function rootCommonName(serial: string): string {
  return `agent root ${serial}`;
}

/**
 * DER of a root's name, as the library writes it: `O=<cluster>, CN=agent root <serial>`, one
 * attribute per set.
 */
export function rootName(clusterId: Id, serial: string): Bytes {
  return encodeElement(
    TAG.sequence,
    attribute("55040a", clusterId),
    attribute("550403", rootCommonName(serial)),
  );
}

function attribute(oid: string, text: string): Bytes {
  const type = encodeElement(TAG.oid, decodeHex(oid));
  // A PrintableString would say the same; one spelling is needed, and the library's is UTF-8.
  const value = encodeElement(TAG.utf8String, encodeUtf8(text));
  return encodeElement(TAG.set, encodeElement(TAG.sequence, type, value));
}

/**
 * NameConstraints (RFC 5280 section 4.2.1.10): permitted is the cluster's DNS domain, so a stolen root cannot
 * pose as other people's servers to a program that was told to trust it. It constrains no URI:
 * the runtime's TLS then refuses every leaf.
 */
export function nameConstraints(clusterId: Id): Bytes {
  const domain = encodeElement(TAG.dnsName, encodeUtf8(clusterDomain(clusterId)));
  const permitted = encodeElement(TAG.context0, encodeElement(TAG.sequence, domain));
  return encodeElement(TAG.sequence, permitted);
}

/**
 * A positive INTEGER of always 16 bytes from as many random ones: 126 random bits (RFC 5280 section
 * 4.1.2.2 asks for at least 64 in practice and at most 20 bytes), 32 hexadecimal digits.
 *
 * @throws {RangeError} when there are not 16
 */
export function formatSerial(random: Uint8Array): string {
  const [first] = random;
  if (random.length !== 16 || first === undefined) {
    throw new RangeError(`Cannot make serial number: ${random.length} bytes are not 16`);
  }
  const serial = Uint8Array.from(random);
  serial[0] = (first & 0x3f) | 0x40;
  return encodeHex(serial);
}
