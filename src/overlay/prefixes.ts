import { addressBits, Cidr } from "../base/mod.ts";

/**
 * The fewest prefixes that cover the same addresses, in ascending order; when those are more than
 * `most`, the narrowest are widened until they are not, so they cover some more.
 *
 * @param prefixes all of one family
 */
export function mergePrefixes(prefixes: readonly Cidr[], most: number): readonly Cidr[] {
  let merged = join(prefixes);
  const [first] = merged;
  if (first === undefined) return merged;
  for (let length = addressBits(first.family) - 1; merged.length > most; length--) {
    merged = join(
      merged.map((prefix) =>
        prefix.prefixLength <= length ? prefix : Cidr.containing(prefix.address, length)
      ),
    );
  }
  return merged;
}

/** Drops what is within another, and makes one of two halves. */
function join(prefixes: readonly Cidr[]): readonly Cidr[] {
  const sorted = [...prefixes].sort((left, right) =>
    left.address.compare(right.address) || left.prefixLength - right.prefixLength
  );
  const joined: Cidr[] = [];
  for (const prefix of sorted) {
    const last = joined.at(-1);
    if (last?.contains(prefix.address) === true) continue;
    joined.push(prefix);
    while (joinLastTwo(joined));
  }
  return joined;
}

/** Two halves of one prefix become that; false when the last two are not. */
function joinLastTwo(joined: Cidr[]): boolean {
  const [left, right] = joined.slice(-2);
  if (left === undefined || right === undefined) return false;
  const { prefixLength } = left;
  if (prefixLength !== right.prefixLength || prefixLength === 0) return false;
  const parent = Cidr.containing(left.address, prefixLength - 1);
  if (!parent.contains(right.address)) return false;
  joined.splice(-2, 2, parent);
  return true;
}
