import { decodeBase32, encodeBase32 } from "./bytes.ts";
import type { Random } from "./ports.ts";

/** 128 random bits as 26 lower-case base32 characters: names every object for its whole life. */
export type Id = string;

/** Draws a new {@linkcode Id}. */
export function newId(random: Random): Id {
  return encodeBase32(random.bytes(16));
}

/** Whether `text` is an {@linkcode Id}; no {@linkcode isName name} is. */
export function isId(text: string): boolean {
  if (!/^[a-z2-7]{26}$/.test(text)) return false;
  try {
    return decodeBase32(text).length === 16;
  } catch {
    return false;
  }
}

/**
 * Whether `text` can name an object: a DNS label (RFC 1123 section 2.1: 1 to 63 of a-z, 0-9 and
 * hyphens, no hyphen at the ends) that does not look like an {@linkcode Id}, for paths of the API
 * take either.
 */
export function isName(text: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text) && !/^[a-z2-7]{26}$/.test(text);
}
