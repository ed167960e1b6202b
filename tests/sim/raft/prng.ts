import type { Bytes, Random } from "../../../src/base/mod.ts";

/** Numbers that look random and are the same for the same seed (sfc32, by Chris Doty-Humphrey). */
export class Prng implements Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    for (let round = 0; round < 12; round++) this.#next();
  }

  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  bytes(length: number): Bytes {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A whole number in `low` … `high`. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in that share of the cases. */
  chance(share: number): boolean {
    return this.#next() < share * 2 ** 32;
  }

  /** One of them; there must be one. */
  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new RangeError("Cannot pick: there is nothing to pick from");
    return picked;
  }

  /** The same in another order. */
  shuffle<T>(from: readonly T[]): T[] {
    return from.map((value) => ({ value, order: this.#next() }))
      .sort((left, right) => left.order - right.order).map(({ value }) => value);
  }

  #next(): number {
    const next = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + next) | 0;
    return next >>> 0;
  }
}
