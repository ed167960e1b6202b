import {
  type Bytes,
  decodeBase32,
  encodeBase32,
  encodeBase64url,
  equalBytes,
  sha256,
} from "../base/mod.ts";
import { CertificateError, readCertificate } from "./certificate.ts";
import { RootRejectedError, TokenRejectedError } from "./errors.ts";

const PREFIX = "AGTKN";
const VERSION = "1";
const PIN_BYTES = 32;
const SECRET_BYTES = 16;

/** What a join token holds. */
export interface JoinToken {
  /** SHA-256 of the root's SubjectPublicKeyInfo: by it the joiner knows its cluster. */
  readonly rootSpkiPin: Uint8Array;
  /** 16 random bytes: by it the cluster lets the joiner in. */
  readonly secret: Uint8Array;
}

/**
 * `AGTKN-1-<pin>-<secret>`, both in base32.
 *
 * @throws {RangeError} when the pin is not 32 bytes or the secret not 16
 */
export function makeToken(token: JoinToken): string {
  const { rootSpkiPin, secret } = token;
  if (rootSpkiPin.length !== PIN_BYTES || secret.length !== SECRET_BYTES) {
    throw new RangeError(
      `Cannot make join token: pin and secret are ${rootSpkiPin.length} and ${secret.length} ` +
        `bytes, not ${PIN_BYTES} and ${SECRET_BYTES}`,
    );
  }
  return [PREFIX, VERSION, encodeBase32(rootSpkiPin), encodeBase32(secret)].join("-");
}

/**
 * Reads what {@linkcode makeToken} writes, and no other spelling of it.
 *
 * @throws {TokenRejectedError} that says which part is malformed, and quotes none
 */
export function parseToken(text: string): JoinToken {
  const [prefix, version, pin, secret, ...more] = text.split("-");
  if (prefix !== PREFIX) {
    throw new TokenRejectedError(
      "not-a-token",
      `A join token begins with "${PREFIX}-", this text does not: copy the token as ` +
        '"agent init" or "agent token create" printed it',
    );
  }
  if (version !== VERSION) {
    throw new TokenRejectedError(
      "unknown-version",
      `The join token's version is not ${VERSION}: this agent may be older than the one that made it`,
    );
  }
  if (pin === undefined || secret === undefined || more.length > 0) {
    throw new TokenRejectedError(
      "wrong-parts",
      `The join token is not of the form ${PREFIX}-${VERSION}-<pin>-<secret>: was it cut off?`,
    );
  }
  return {
    rootSpkiPin: decodePart(pin, PIN_BYTES, "bad-pin", "third part, the pin of the root,"),
    secret: decodePart(secret, SECRET_BYTES, "bad-secret", "fourth part, the secret,"),
  };
}

/**
 * SHA-256 of a root's SubjectPublicKeyInfo, 32 bytes: what a token pins.
 *
 * @throws {RootRejectedError} when the bytes are not a certificate
 */
export function rootPinOf(rootDer: Uint8Array): Bytes {
  try {
    return sha256(readCertificate(rootDer).spki);
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    throw new RootRejectedError("not-a-certificate", cause.message, { cause });
  }
}

/**
 * Whether a root that nobody has verified yet has the key that a token pins; in constant time.
 *
 * @throws {RootRejectedError} when the bytes are not a certificate
 */
export function rootMatchesPin(rootDer: Uint8Array, pin: Uint8Array): boolean {
  return equalBytes(rootPinOf(rootDer), pin);
}

/**
 * SHA-256 of a token's secret, base64url: what the cluster keeps of it. A plain hash will do, for 128
 * random bits cannot be guessed.
 */
export function hashSecret(secret: Uint8Array): string {
  return encodeBase64url(sha256(secret));
}

function decodePart(
  text: string,
  length: number,
  code: "bad-pin" | "bad-secret",
  what: string,
): Bytes {
  const characters = Math.ceil((length * 8) / 5);
  if (text.length !== characters) {
    throw new TokenRejectedError(
      code,
      `The join token's ${what} has ${text.length} characters, not ${characters}: was it cut off?`,
    );
  }
  try {
    return decodeBase32(text);
  } catch {
    // Without its cause, so that no text of a secret can ever come along.
    throw new TokenRejectedError(
      code,
      `The join token's ${what} is not lower-case base32: was a character changed?`,
    );
  }
}
