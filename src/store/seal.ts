import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { type Bytes, concatBytes, equalBytes, type Random } from "../base/mod.ts";

const SALT_BYTES = 16;
const COUNTER_BYTES = 12;
const TAG_BYTES = 16;
const LABEL = new TextEncoder().encode("agent/seal/1");

/** Sealed bytes that cannot be opened: another key, another place, or damage. */
export class UnsealError extends Error {
  /** `UnsealError`. */
  override name = "UnsealError";
}

/**
 * Seals what a manager writes to disk with AES-256-GCM (NIST SP 800-38D):
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 16 | salt, drawn when the process starts |
 * | 16 | 12 | counter, big endian, one more for each seal |
 * | 28 | n | ciphertext |
 * | 28 + n | 16 | tag |
 *
 * The key is HKDF-SHA256(data key, salt): a fresh one each process, so a counter that begins again
 * never meets the same key. `place` is authenticated and not stored: bytes that were moved to
 * another row do not open.
 */
export class Sealer {
  readonly #dataKey: Bytes;
  readonly #salt: Bytes;
  readonly #key: Bytes;
  #counter = 0n;
  #openKeySalt: Bytes;
  #openKey: Bytes;

  /** Seals under what it derives from a data key of 32 bytes and a salt that it draws. */
  constructor(dataKey: Bytes, random: Random) {
    if (dataKey.length !== 32) {
      throw new RangeError(`Cannot seal: a data key of ${dataKey.length} bytes is not of 32`);
    }
    this.#dataKey = dataKey;
    this.#salt = random.bytes(SALT_BYTES);
    this.#key = this.#derive(this.#salt);
    this.#openKeySalt = this.#salt;
    this.#openKey = this.#key;
  }

  /** Seals bytes for a place. */
  seal(plain: Uint8Array, place: Uint8Array): Bytes {
    const counter = new Uint8Array(COUNTER_BYTES);
    new DataView(counter.buffer).setBigUint64(4, ++this.#counter);
    const cipher = createCipheriv("aes-256-gcm", this.#key, counter);
    cipher.setAAD(place);
    const sealed = cipher.update(plain);
    return concatBytes(this.#salt, counter, sealed, cipher.final(), cipher.getAuthTag());
  }

  /**
   * What was sealed.
   *
   * @throws {UnsealError} when the bytes are not what was sealed for `place` under this data key
   */
  open(sealed: Uint8Array, place: Uint8Array): Bytes {
    const bodyAt = SALT_BYTES + COUNTER_BYTES;
    if (sealed.length < bodyAt + TAG_BYTES) throw new UnsealError("Sealed bytes are cut short");
    const tagAt = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv(
      "aes-256-gcm",
      this.#keyFor(sealed.slice(0, SALT_BYTES)),
      sealed.subarray(SALT_BYTES, bodyAt),
      { authTagLength: TAG_BYTES },
    );
    decipher.setAAD(place);
    decipher.setAuthTag(sealed.subarray(tagAt));
    try {
      return concatBytes(decipher.update(sealed.subarray(bodyAt, tagAt)), decipher.final());
    } catch (cause) {
      throw new UnsealError("Sealed bytes do not open: damaged, moved, or of another key", {
        cause,
      });
    }
  }

  /** Neighbouring rows were mostly written by one process, so the last key is kept at hand. */
  #keyFor(salt: Bytes): Bytes {
    if (!equalBytes(salt, this.#openKeySalt)) {
      this.#openKey = this.#derive(salt);
      this.#openKeySalt = salt;
    }
    return this.#openKey;
  }

  #derive(salt: Bytes): Bytes {
    return new Uint8Array(hkdfSync("sha256", this.#dataKey, salt, LABEL, 32));
  }
}
