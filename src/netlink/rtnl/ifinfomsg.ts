import { headView } from "../attribute_reader.ts";
import { AF_UNSPEC } from "../constants.ts";
import { checkIfindex } from "./check.ts";
import { IFF_UP } from "./constants.ts";

/**
 * `struct ifinfomsg`:
 *
 * | offset | bytes | field                                    |
 * |--------|-------|------------------------------------------|
 * | 0      | 1     | address family                           |
 * | 2      | 2     | device type (`ARPHRD_…`)                 |
 * | 4      | 4     | ifindex                                  |
 * | 8      | 4     | flags (`IFF_…`)                          |
 * | 12     | 4     | which flags to change                    |
 */
export const IFINFOMSG_BYTES = 16;

/** The fields that requests set; the others stay 0. */
export interface IfinfomsgFields {
  readonly family?: number;
  readonly index?: number | undefined;
  /** Undefined leaves the link as it is. */
  readonly up?: boolean | undefined;
}

/** @throws {RangeError} when the index is none */
export function encodeIfinfomsg(fields: IfinfomsgFields): Uint8Array {
  const bytes = new Uint8Array(IFINFOMSG_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, fields.family ?? AF_UNSPEC);
  if (fields.index !== undefined) {
    checkIfindex(fields.index);
    view.setInt32(4, fields.index, true);
  }
  if (fields.up !== undefined) {
    view.setUint32(8, fields.up ? IFF_UP : 0, true);
    view.setUint32(12, IFF_UP, true);
  }
  return bytes;
}

/** @throws {DecodeError} when the payload is shorter */
export function decodeIfinfomsg(
  payload: Uint8Array,
): { family: number; deviceType: number; index: number; flags: number } {
  const view = headView(payload, IFINFOMSG_BYTES, "ifinfomsg");
  return {
    family: view.getUint8(0),
    deviceType: view.getUint16(2, true),
    index: view.getInt32(4, true),
    flags: view.getUint32(8, true),
  };
}
