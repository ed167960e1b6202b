import type { Bytes, Random } from "../../../src/base/mod.ts";

/** Numbers that look random and are the same for the same seed (mulberry32, by Tommy Ettinger). */
export class Prng implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  bytes(length: number): Bytes {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.#next();
    return bytes;
  }

  /** True in that share of the cases. */
  chance(share: number): boolean {
    return this.#next() < share * 2 ** 32;
  }

  /** One of them; there must be one. */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new RangeError("Cannot pick: there is nothing to pick from");
    return picked;
  }
}
