import { type Cidr, type Id, IpAddress } from "../base/mod.ts";

/** An IPv4 prefix as numbers: its lowest address and its length. */
export interface Ipv4Prefix {
  readonly start: number;
  readonly length: number;
}

/** How many addresses a prefix of this length has. */
export function prefixSize(length: number): number {
  return 2 ** (32 - length);
}

/** Numbers of an IPv4 prefix. */
export function toIpv4Prefix(cidr: Cidr): Ipv4Prefix {
  return { start: Number(cidr.address.value), length: cidr.prefixLength };
}

/** Text of an IPv4 prefix. */
export function formatIpv4Prefix(prefix: Ipv4Prefix): string {
  return `${new IpAddress(4, BigInt(prefix.start))}/${prefix.length}`;
}

/**
 * IPv4 prefixes and who holds them, asked for overlaps. Two prefixes are either nested or apart,
 * so what overlaps P either begins within P, or is one of the at most 32 prefixes around it: a
 * binary search and 32 look-ups, however many there are.
 */
export class PrefixIndex {
  /** `start × 64 + length` of every prefix held, ascending. */
  readonly #keys: number[] = [];
  readonly #holders = new Map<number, Set<Id>>();

  /** Adds a holder; one that is there already stays once. */
  add(prefix: Ipv4Prefix, holder: Id): void {
    const key = keyOf(prefix);
    const holders = this.#holders.get(key);
    if (holders !== undefined) {
      holders.add(holder);
      return;
    }
    this.#holders.set(key, new Set([holder]));
    this.#keys.splice(this.#lowerBound(key), 0, key);
  }

  /** Takes a holder away. */
  remove(prefix: Ipv4Prefix, holder: Id): void {
    const key = keyOf(prefix);
    const holders = this.#holders.get(key);
    if (holders === undefined || !holders.delete(holder) || holders.size > 0) return;
    this.#holders.delete(key);
    this.#keys.splice(this.#lowerBound(key), 1);
  }

  /** The widest prefix around `prefix`, or else the lowest within it, or null. */
  overlap(prefix: Ipv4Prefix): Ipv4Prefix | null {
    for (let length = 0; length <= prefix.length; length++) {
      const size = prefixSize(length);
      const around = { start: Math.floor(prefix.start / size) * size, length };
      if (this.#holders.has(keyOf(around))) return around;
    }
    const key = this.#keys[this.#lowerBound(keyOf({ start: prefix.start, length: 0 }))];
    if (key === undefined) return null;
    const start = Math.floor(key / 64);
    return start < prefix.start + prefixSize(prefix.length) ? { start, length: key % 64 } : null;
  }

  /** The holder with the lowest id: the same one on every replica. */
  holderOf(prefix: Ipv4Prefix): Id | undefined {
    let lowest: Id | undefined;
    for (const id of this.#holders.get(keyOf(prefix)) ?? []) {
      if (lowest === undefined || id < lowest) lowest = id;
    }
    return lowest;
  }

  /** Index of the first key that is not below `key`. */
  #lowerBound(key: number): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? Infinity) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function keyOf(prefix: Ipv4Prefix): number {
  return prefix.start * 64 + prefix.length;
}
