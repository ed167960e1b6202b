import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";
import { type Bytes, concatBytes, decodeHex, SecretBytes } from "../base/mod.ts";

/** Length of an X25519 public key, and of a private one. */
export const PUBLIC_KEY_BYTES = 32;

// A key of 32 bytes in the forms that node:crypto takes (RFC 8410 sections 4 and 7): everything before
// the key is the same for every X25519 key.
const PKCS8_HEAD = decodeHex("302e020100300506032b656e04220420");
const SPKI_HEAD = decodeHex("302a300506032b656e032100");

/** A host's X25519 key pair (RFC 7748), drawn anew at each boot. */
export interface BootKeyPair {
  /** 32 bytes; stays in `/run`. */
  readonly privateKey: SecretBytes;
  /** 32 bytes; every host of a common network gets it. */
  readonly publicKey: Bytes;
}

/** A public key with which no secret can be agreed. */
export class KeyAgreementError extends Error {
  /** Tells it from other errors. */
  override name = "KeyAgreementError";
}

/**
 * The key pair of a private key.
 *
 * @param privateKey 32 unpredictable bytes
 * @throws {RangeError} when there are not 32
 */
export function bootKeyPair(privateKey: SecretBytes): BootKeyPair {
  const spki = createPublicKey(privateKeyObject(privateKey)).export({
    type: "spki",
    format: "der",
  });
  return { privateKey, publicKey: new Uint8Array(spki.subarray(SPKI_HEAD.length)) };
}

/**
 * What two hosts have in common that nobody else has: X25519 of the one's private and the other's
 * public key, 32 bytes. It takes 70 µs and is the same for all networks and epochs of the two.
 *
 * @throws {RangeError} when the public key has not 32 bytes
 * @throws {KeyAgreementError} when the result is all zero: the peer's key is one of the few points of
 *   low order, with which everybody could compute the result (RFC 7748 section 6.1)
 */
export function agreeKey(own: BootKeyPair, peerPublicKey: Uint8Array): SecretBytes {
  checkLength("public key", peerPublicKey.length);
  const publicKey = createPublicKey({
    key: Buffer.from(concatBytes(SPKI_HEAD, peerPublicKey)),
    format: "der",
    type: "spki",
  });
  let agreed: Uint8Array;
  try {
    agreed = diffieHellman({ privateKey: privateKeyObject(own.privateKey), publicKey });
  } catch (cause) {
    throw new KeyAgreementError(WEAK, { cause });
  }
  // The runtime refuses such points by itself, today; that much is not left to it.
  if (agreed.every((byte) => byte === 0)) throw new KeyAgreementError(WEAK);
  return new SecretBytes(agreed);
}

const WEAK = "Cannot agree on a key: the peer's public key is a point of low order; " +
  "the peer has to make a new boot key";

function privateKeyObject(privateKey: SecretBytes): KeyObject {
  checkLength("private key", privateKey.length);
  return createPrivateKey({
    key: Buffer.from(concatBytes(PKCS8_HEAD, privateKey.reveal())),
    format: "der",
    type: "pkcs8",
  });
}

function checkLength(what: string, length: number): void {
  if (length !== PUBLIC_KEY_BYTES) {
    throw new RangeError(`Cannot use ${what}: ${length} bytes are not ${PUBLIC_KEY_BYTES}`);
  }
}
