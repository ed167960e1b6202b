import { type Bytes, encodeHex } from "../base/mod.ts";
import { checkDer, DerError, DerReader, TAG } from "./der.ts";
import { ECDSA_SHA256, isP256 } from "./profile.ts";
import { readTime } from "./time.ts";

/** No certificate here is half as large: ours have about 700 bytes. */
const MAX_CERTIFICATE_BYTES = 4096;

/** What makes bytes no certificate that could be ours, whoever signed it. */
export type CertificateFault =
  | "not-a-certificate"
  | "wrong-version"
  | "wrong-key"
  | "wrong-algorithm"
  | "bad-extension";

/** Bytes are not a certificate that could be ours. */
export class CertificateError extends Error {
  override name = "CertificateError";
  readonly code: CertificateFault;

  constructor(code: CertificateFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** One extension: its identifier is its key in the map. */
export interface Extension {
  readonly kind: "critical" | "optional";
  readonly value: Uint8Array;
}

/** A certificate as it stands there; nothing of it is proved. */
export interface Certificate {
  /** What is signed. */
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  /** Content of the INTEGER, hexadecimal. */
  readonly serial: string;
  /** DER of the names. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the SubjectPublicKeyInfo: P-256. */
  readonly spki: Bytes;
  readonly extensions: ReadonlyMap<string, Extension>;
}

/**
 * Reads X.509 version 3 (RFC 5280 section 4.1), P-256, ECDSA with SHA-256, strict DER:
 *
 *     Certificate  = { tbs, signatureAlgorithm, signature BIT STRING }
 *     tbs          = { [0] { version 2 }, serial, signatureAlgorithm, issuer,
 *                      { notBefore, notAfter }, subject, spki, [3] { { extension … } } }
 *
 * @throws {CertificateError} for everything else
 */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new CertificateError(
      "not-a-certificate",
      `A certificate of ${der.length} bytes is over the limit of ${MAX_CERTIFICATE_BYTES}`,
    );
  }
  try {
    checkDer(der);
    return readOuter(der);
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new CertificateError(
      "not-a-certificate",
      `The bytes are not one X.509 certificate in DER: ${cause.message}`,
      { cause },
    );
  }
}

function readOuter(der: Uint8Array): Certificate {
  const file = new DerReader(der);
  const outer = file.enter(TAG.sequence);
  file.end();
  const tbs = outer.element(TAG.sequence);
  const algorithm = encodeHex(outer.element(TAG.sequence));
  const signature = outer.bits();
  outer.end();

  const fields = new DerReader(tbs).enter(TAG.sequence);
  checkVersion(fields);
  const serial = readSerial(fields);
  // The outer copy is not signed: RFC 5280 section 4.1.1.2 wants both equal.
  const signedAlgorithm = encodeHex(fields.element(TAG.sequence));
  if (algorithm !== ECDSA_SHA256 || signedAlgorithm !== ECDSA_SHA256) {
    throw new CertificateError(
      "wrong-algorithm",
      "The certificate is not signed by ECDSA with SHA-256, said both inside and outside",
    );
  }
  const issuer = fields.element(TAG.sequence);
  const validity = fields.enter(TAG.sequence);
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.end();
  const subject = fields.element(TAG.sequence);
  const spki = Uint8Array.from(fields.element(TAG.sequence));
  if (!isP256(spki)) {
    throw new CertificateError("wrong-key", "The certificate's key is not P-256");
  }
  const extensions = readExtensions(fields);
  fields.end();
  return { tbs, signature, serial, issuer, subject, notBeforeMs, notAfterMs, spki, extensions };
}

function checkVersion(fields: DerReader): void {
  // Version 1 is the default and so left out; it has no extensions, and so no role.
  const version = fields.peek() === TAG.context0 ? fields.content(TAG.context0) : null;
  if (version === null || encodeHex(version) !== "020102") {
    throw new CertificateError("wrong-version", "The certificate is not X.509 version 3");
  }
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 bytes. */
function readSerial(fields: DerReader): string {
  const serial = fields.content(TAG.integer);
  const [first] = serial;
  const zero = serial.length === 1 && first === 0;
  if (first === undefined || first >= 0x80 || zero || serial.length > 20) {
    throw new DerError("The serial number is not positive, or over 20 bytes");
  }
  return encodeHex(serial);
}

function readExtensions(fields: DerReader): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  if (fields.peek() !== TAG.context3) return found;
  const wrapper = fields.enter(TAG.context3);
  const list = wrapper.enter(TAG.sequence);
  wrapper.end();
  while (list.more) {
    const extension = list.enter(TAG.sequence);
    const id = extension.oid();
    const critical = extension.peek() === TAG.boolean;
    if (critical) extension.content(TAG.boolean);
    const value = extension.content(TAG.octetString);
    extension.end();
    if (found.has(id)) {
      throw new CertificateError("bad-extension", `The certificate has extension ${id} twice`);
    }
    found.set(id, { kind: critical ? "critical" : "optional", value });
  }
  return found;
}
