import type { Bytes, Random } from "../base/mod.ts";

/** `crypto.getRandomValues` gives no more at a time (Web Cryptography API, section 10.1.1). */
const MOST_AT_ONCE_BYTES = 65_536;

/** The kernel's randomness. */
export const systemRandom: Random = {
  bytes: (length: number): Bytes => {
    const bytes = new Uint8Array(length);
    for (let start = 0; start < length; start += MOST_AT_ONCE_BYTES) {
      crypto.getRandomValues(bytes.subarray(start, start + MOST_AT_ONCE_BYTES));
    }
    return bytes;
  },
  below: (limit: number): number => {
    if (!Number.isInteger(limit) || limit < 1 || limit > 2 ** 32) {
      throw new RangeError(`Cannot draw a number below ${limit}: it is not in 1..2^32`);
    }
    // Draws above the largest multiple of `limit` are drawn again: they would make the small
    // results likelier.
    const fair = 2 ** 32 - (2 ** 32 % limit);
    for (;;) {
      const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
      if (drawn < fair) return drawn % limit;
    }
  },
};
