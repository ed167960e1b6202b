import { headView } from "../attribute_reader.ts";
import { putU16, putU32 } from "../attribute_writer.ts";

/**
 * `struct tcmsg`:
 *
 * | offset | bytes | field                                                      |
 * |--------|-------|------------------------------------------------------------|
 * | 0      | 1     | address family, 0                                          |
 * | 4      | 4     | ifindex                                                    |
 * | 8      | 4     | handle                                                     |
 * | 12     | 4     | parent                                                     |
 * | 16     | 2     | of a filter: protocol (`ETH_P_…`), in network order        |
 * | 18     | 2     | of a filter: preference; the lowest is asked first         |
 *
 * Of a qdisc the last four bytes are one number.
 */
export const TCMSG_BYTES = 20;

/** The struct's fields; those left out are 0. */
export interface TcmsgFields {
  readonly index: number;
  readonly handle?: number;
  readonly parent?: number;
  readonly etherType?: number;
  readonly preference?: number;
}

/** Encodes the struct. */
export function encodeTcmsg(fields: TcmsgFields): Uint8Array {
  const bytes = new Uint8Array(TCMSG_BYTES);
  putU32(bytes, 4, fields.index);
  putU32(bytes, 8, fields.handle ?? 0);
  putU32(bytes, 12, fields.parent ?? 0);
  const etherType = fields.etherType ?? 0;
  bytes[16] = etherType >>> 8;
  bytes[17] = etherType;
  putU16(bytes, 18, fields.preference ?? 0);
  return bytes;
}

/** @throws {DecodeError} when the payload is shorter */
export function decodeTcmsg(payload: Uint8Array): Required<TcmsgFields> {
  const view = headView(payload, TCMSG_BYTES, "tcmsg");
  return {
    index: view.getInt32(4, true),
    handle: view.getUint32(8, true),
    parent: view.getUint32(12, true),
    etherType: view.getUint16(16),
    preference: view.getUint16(18, true),
  };
}
