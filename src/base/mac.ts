import { encodeHex } from "./bytes.ts";

/** An Ethernet address as lower-case text, `02:00:0a:40:00:02`. */
export type MacText = string;

/**
 * Text of 6 bytes.
 *
 * @throws {RangeError} when there are not 6
 */
export function formatMac(bytes: Uint8Array): MacText {
  if (bytes.length !== 6) {
    throw new RangeError(`Cannot format MAC address: ${bytes.length} bytes are not 6`);
  }
  return encodeHex(bytes).replace(/(..)(?!$)/g, "$1:");
}

/**
 * 6 bytes of text in either case.
 *
 * @throws {TypeError} when `text` is not six pairs of digits with colons between
 */
export function parseMac(text: string): Uint8Array<ArrayBuffer> {
  if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) {
    throw new TypeError(
      `Cannot parse MAC address: ${JSON.stringify(text)} is not xx:xx:xx:xx:xx:xx`,
    );
  }
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16));
}

/** Whether the address can belong to one interface: not a group address, not all zero. */
export function isUnicastMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
