import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

/** Bytes that are not shared between threads, as WebCrypto, FFI and sockets want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const NO_DIGIT = 255;
/** Values of digits by character code: ids are decoded by the hundred thousand. */
const BASE32_DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (let digit = 0; digit < BASE32.length; digit++) {
  BASE32_DIGITS[BASE32.charCodeAt(digit)] = digit;
}
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Joins the parts into one new array. */
export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Compares in a time that depends on the lengths only, so it may be used on secrets. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

/** UTF-8 bytes of `text`. */
export function encodeUtf8(text: string): Bytes {
  return encoder.encode(text);
}

/**
 * Text of UTF-8 bytes.
 *
 * @throws {TypeError} when the bytes are not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Lower-case hexadecimal, two digits a byte. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/**
 * Bytes of hexadecimal digits in either case.
 *
 * @throws {TypeError} when `text` has an odd length or another character
 */
export function decodeHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new TypeError("Cannot decode hexadecimal: the text is not pairs of digits");
  }
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** RFC 4648 section 5, without padding: how bytes are written in JSON. */
export function encodeBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/**
 * Bytes of RFC 4648 section 5 text without padding.
 *
 * @throws {TypeError} when `text` is not what {@linkcode encodeBase64url} writes
 */
export function decodeBase64url(text: string): Bytes {
  const bytes = new Uint8Array(Buffer.from(text, "base64url"));
  if (encodeBase64url(bytes) !== text) {
    throw new TypeError("Cannot decode base64url: the text is not canonical");
  }
  return bytes;
}

/** RFC 4648 section 6 in lower case, without padding. 16 bytes are 26 characters. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32[(value << (5 - bits)) & 31] : text;
}

/**
 * Bytes of what {@linkcode encodeBase32} writes. Other spellings of the same bytes (upper case,
 * padding, stray low bits) are refused, so that one value has one text.
 *
 * @throws {TypeError} when `text` is not canonical
 */
export function decodeBase32(text: string): Bytes {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let value = 0;
  let bits = 0;
  let length = 0;
  for (let place = 0; place < text.length; place++) {
    const digit = BASE32_DIGITS[text.charCodeAt(place)] ?? NO_DIGIT;
    if (digit === NO_DIGIT) {
      throw new TypeError("Cannot decode base32: a character is not a-z or 2-7");
    }
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = value >>> bits;
      value &= (1 << bits) - 1;
    }
  }
  // What is left over is less than a digit, and zero.
  if (bits >= 5 || value !== 0) {
    throw new TypeError("Cannot decode base32: the text is not canonical");
  }
  return bytes;
}
