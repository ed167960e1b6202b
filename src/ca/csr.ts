import { generateKeyPairSync, sign } from "node:crypto";
import { type Bytes, decodeHex, encodeBase64url, encodeHex, sha256 } from "../base/mod.ts";
import { checkDer, DerError, DerReader, encodeElement, TAG } from "./der.ts";
import { CsrRejectedError } from "./errors.ts";
import { privateKeyToPem } from "./pem.ts";
import { ECDSA_SHA256, isP256 } from "./profile.ts";
import { isSignedBy, type Signed } from "./signature.ts";

/** Ours have about 220 bytes. */
const MAX_CSR_BYTES = 4096;

/** A new key and the request to certify it. */
export interface KeyAndCsr {
  /** PKCS #8 in PEM. It stays on the host that made it. */
  readonly privateKey: string;
  /** PKCS #10 DER. */
  readonly csr: Bytes;
}

/** What the authority takes from a request. */
export interface CheckedCsr {
  /** SubjectPublicKeyInfo DER, P-256. */
  readonly publicKey: Bytes;
  /** Its SHA-256, base64url. */
  readonly spkiHash: string;
}

/**
 * Draws a P-256 key and asks for a certificate for it, without names: the authority gives those.
 *
 * Written here and not by the library that writes certificates: every host makes one when it joins
 * and at each renewal, and would load that library for it, 85 ms and 10 MB, for nothing else.
 */
export function createKeyAndCsr(): KeyAndCsr {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ format: "der", type: "spki" });
  // CertificationRequestInfo (RFC 2986 section 4.1): version 0, no subject, the key, no attributes.
  const info = encodeElement(
    TAG.sequence,
    encodeElement(TAG.integer, new Uint8Array(1)),
    encodeElement(TAG.sequence),
    spki,
    encodeElement(TAG.context0),
  );
  // A BIT STRING begins with the number of bits that its last byte does not use.
  const signature = encodeElement(
    TAG.bitString,
    new Uint8Array(1),
    sign("sha256", info, privateKey),
  );
  return {
    privateKey: privateKeyToPem(privateKey.export({ format: "der", type: "pkcs8" })),
    csr: encodeElement(TAG.sequence, info, decodeHex(ECDSA_SHA256), signature),
  };
}

/**
 * Checks a PKCS #10 request (RFC 2986): P-256, ECDSA with SHA-256, signed by the key it asks for,
 * which proves that the sender holds it. Names and attributes are passed over: nothing in a request
 * but the key ever gets into a certificate.
 *
 * @throws {CsrRejectedError} when it is not such a request
 */
export function checkCsr(der: Uint8Array): CheckedCsr {
  if (der.length > MAX_CSR_BYTES) {
    throw new CsrRejectedError(
      "too-large",
      `The request of ${der.length} bytes is over the limit of ${MAX_CSR_BYTES}`,
    );
  }
  const request = readCsr(der);
  if (!isP256(request.spki)) {
    throw new CsrRejectedError("wrong-key", "The request's key is not P-256: make a P-256 key");
  }
  if (request.algorithm !== ECDSA_SHA256) {
    throw new CsrRejectedError(
      "wrong-algorithm",
      "The request is not signed by ECDSA with SHA-256: sign it so",
    );
  }
  if (!isSignedBy(request, request.spki)) {
    throw new CsrRejectedError("bad-signature", "The request is not signed by the key it is for");
  }
  return { publicKey: request.spki, spkiHash: encodeBase64url(sha256(request.spki)) };
}

interface ReadCsr extends Signed {
  readonly spki: Bytes;
  readonly algorithm: string;
}

/** `{ { version 0, subject, spki, [0] attributes }, signatureAlgorithm, signature }`. */
function readCsr(der: Uint8Array): ReadCsr {
  try {
    checkDer(der);
    const file = new DerReader(der);
    const outer = file.enter(TAG.sequence);
    file.end();
    const tbs = outer.element(TAG.sequence);
    const algorithm = encodeHex(outer.element(TAG.sequence));
    const signature = outer.bits();
    outer.end();
    const fields = new DerReader(tbs).enter(TAG.sequence);
    if (encodeHex(fields.content(TAG.integer)) !== "00") throw new DerError("Its version is not 0");
    fields.element(TAG.sequence);
    const spki = Uint8Array.from(fields.element(TAG.sequence));
    fields.element(TAG.context0);
    fields.end();
    return { tbs, algorithm, signature, spki };
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new CsrRejectedError(
      "not-a-csr",
      `The bytes are not one PKCS #10 request in DER: ${cause.message}`,
      { cause },
    );
  }
}
