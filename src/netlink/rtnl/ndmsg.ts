import { AttributeReader, headView } from "../attribute_reader.ts";
import { putU16, putU32 } from "../attribute_writer.ts";
import { NDA_CACHEINFO, NDA_PROBES } from "./constants.ts";

/**
 * `struct ndmsg`:
 *
 * | offset | bytes | field                         |
 * |--------|-------|-------------------------------|
 * | 0      | 1     | address family                |
 * | 4      | 4     | ifindex                       |
 * | 8      | 2     | state (`NUD_…`)               |
 * | 10     | 1     | flags (`NTF_…`)               |
 * | 11     | 1     | type (`RTN_…`)                |
 */
export const NDMSG_BYTES = 12;

/** The struct's fields; those left out are 0. */
export interface NdmsgFields {
  readonly family: number;
  readonly index?: number;
  readonly state?: number;
  readonly flags?: number;
}

/** Encodes the struct. */
export function encodeNdmsg(fields: NdmsgFields): Uint8Array {
  const bytes = new Uint8Array(NDMSG_BYTES);
  bytes[0] = fields.family;
  putU32(bytes, 4, fields.index ?? 0);
  putU16(bytes, 8, fields.state ?? 0);
  bytes[10] = fields.flags ?? 0;
  return bytes;
}

/** @throws {DecodeError} when the payload is shorter */
export function decodeNdmsg(payload: Uint8Array): Required<NdmsgFields> {
  const view = headView(payload, NDMSG_BYTES, "ndmsg");
  return {
    family: view.getUint8(0),
    index: view.getInt32(4, true),
    state: view.getUint16(8, true),
    flags: view.getUint8(10),
  };
}

/**
 * Sets to zero when a neighbour or a forwarding entry was used, and how often it was asked for.
 *
 * @throws {DecodeError}
 */
export function blankUse(payload: Uint8Array): void {
  const reader = new AttributeReader(payload, NDMSG_BYTES);
  while (reader.next()) {
    if (reader.type === NDA_CACHEINFO || reader.type === NDA_PROBES) reader.bytes().fill(0);
  }
}
