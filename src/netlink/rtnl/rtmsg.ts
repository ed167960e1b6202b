import { headView } from "../attribute_reader.ts";

/**
 * `struct rtmsg`:
 *
 * | offset | bytes | field                                         |
 * |--------|-------|-----------------------------------------------|
 * | 0      | 1     | address family                                |
 * | 1      | 1     | prefix length of the destination              |
 * | 2      | 1     | prefix length of the source                   |
 * | 3      | 1     | type of service                               |
 * | 4      | 1     | table; larger numbers stand in `RTA_TABLE`    |
 * | 5      | 1     | who made it (`RTPROT_…`)                      |
 * | 6      | 1     | scope (`RT_SCOPE_…`)                          |
 * | 7      | 1     | type (`RTN_…`)                                |
 * | 8      | 4     | flags (`RTM_F_…`)                             |
 */
export const RTMSG_BYTES = 12;

/** The struct's fields; those left out are 0. */
export interface RtmsgFields {
  readonly family: number;
  readonly destinationLength?: number;
  readonly sourceLength?: number;
  readonly table?: number;
  readonly protocol?: number;
  readonly scope?: number;
  readonly type?: number;
  readonly flags?: number;
}

/** Encodes the struct. */
export function encodeRtmsg(fields: RtmsgFields): Uint8Array {
  const head = Uint8Array.of(
    fields.family,
    fields.destinationLength ?? 0,
    fields.sourceLength ?? 0,
    0,
    fields.table ?? 0,
    fields.protocol ?? 0,
    fields.scope ?? 0,
    fields.type ?? 0,
    ...[0, 0, 0, 0],
  );
  new DataView(head.buffer).setUint32(8, fields.flags ?? 0, true);
  return head;
}

/** @throws {DecodeError} when the payload is shorter */
export function decodeRtmsg(payload: Uint8Array): Required<RtmsgFields> {
  const view = headView(payload, RTMSG_BYTES, "rtmsg");
  return {
    family: view.getUint8(0),
    destinationLength: view.getUint8(1),
    sourceLength: view.getUint8(2),
    table: view.getUint8(4),
    protocol: view.getUint8(5),
    scope: view.getUint8(6),
    type: view.getUint8(7),
    flags: view.getUint32(8, true),
  };
}
