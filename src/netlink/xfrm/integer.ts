import { putU32 } from "../attribute_writer.ts";

/** Writes 8 bytes, the lowest first. */
export function putU64(bytes: Uint8Array, offset: number, value: bigint): void {
  putU32(bytes, offset, Number(value & 0xffffffffn));
  putU32(bytes, offset + 4, Number(value >> 32n));
}

/**
 * Holds that a number fits its field.
 *
 * @throws {RangeError} when it is not in `low`..`high`
 */
export function checkBigRange(what: string, value: bigint, low: bigint, high: bigint): void {
  if (value < low || value > high) {
    throw new RangeError(`Cannot encode ${what}: ${value} is not in ${low}..${high}`);
  }
}

/** Writes 4 bytes in network order. */
export function putU32be(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
