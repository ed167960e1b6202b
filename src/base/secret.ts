import { type Bytes, equalBytes } from "./bytes.ts";

const SHOWN = "[secret]";

/**
 * Bytes that must not be shown. Only {@linkcode SecretBytes.reveal} gives them: in a text, in JSON, in
 * a log line or on the console it is `[secret]`, and nothing of it can be listed or copied by
 * accident.
 */
export class SecretBytes {
  readonly #bytes: Bytes;

  /** Copies `bytes`: whoever has them may wipe them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes);
  }

  /** How many there are. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, a copy. Every call is a place to look at in a review. */
  reveal(): Bytes {
    return this.#bytes.slice();
  }

  /** Compares in a time that depends on the lengths only. */
  equals(other: SecretBytes): boolean {
    return equalBytes(this.#bytes, other.#bytes);
  }

  /** `[secret]`. */
  toString(): string {
    return SHOWN;
  }

  /** `[secret]`. */
  toJSON(): string {
    return SHOWN;
  }

  /** `[secret]`, for `console.log` and `Deno.inspect`. */
  [Symbol.for("Deno.customInspect")](): string {
    return SHOWN;
  }

  /** `[secret]`, for `node:util` and what stands on it. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return SHOWN;
  }
}
