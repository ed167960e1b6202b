import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { Buffer } from "node:buffer";

/** Signed bytes beside their signature: a certificate or a request. */
export interface Signed {
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Whether the P-256 key of `spki` made this ECDSA signature over SHA-256 (FIPS 186-5). Synchronous:
 * a TLS client must decide inside a callback. False, too, when the point is not on the curve.
 */
export function isSignedBy(signed: Signed, spki: Uint8Array): boolean {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    return false;
  }
  try {
    return verify("sha256", signed.tbs, key, signed.signature);
  } catch {
    // A signature whose bytes are no pair of numbers is an error to some versions of the library.
    return false;
  }
}
