import type { Bytes } from "../base/mod.ts";
import { align4 } from "./align.ts";
import { AttributeReader, headView } from "./attribute_reader.ts";
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSGERR_ATTR_MISS_NEST,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from "./constants.ts";
import { DecodeError, type ExtendedAck } from "./errors.ts";
import type { Request } from "./request.ts";

/**
 * `struct nlmsghdr`:
 *
 * | offset | bytes | field                                             |
 * |--------|-------|---------------------------------------------------|
 * | 0      | 4     | length, this header included, padding excluded    |
 * | 4      | 2     | type                                              |
 * | 6      | 2     | flags                                             |
 * | 8      | 4     | sequence number                                   |
 * | 12     | 4     | port ID of the socket that asked                  |
 */
const HEADER_BYTES = 16;

/** One message. */
export interface Message {
  /** `RTM_…`, `XFRM_MSG_…` or `NLMSG_…`. */
  readonly type: number;
  /** `NLM_F_…`. */
  readonly flags: number;
  /** That of the request it answers, or that caused the notification; 0 when no request did. */
  readonly sequence: number;
  /** The socket that asked; 0 when none did. */
  readonly portId: number;
  /** What follows the header; a view, not a copy. */
  readonly payload: Uint8Array;
}

/** How many bytes a request takes in a datagram. */
export function requestBytes(request: Request): number {
  return align4(HEADER_BYTES + request.payload.length);
}

/**
 * One datagram of requests.
 *
 * @param firstSequence number of the first one; the others count on from there, skipping 0
 * @param portId the sender's. The kernel knows it, but answers some requests of xfrm (`GETAE`) to the
 *   one in the header.
 */
export function encodeRequests(
  requests: readonly Request[],
  firstSequence: number,
  portId = 0,
): Bytes {
  let total = 0;
  for (const request of requests) total += requestBytes(request);
  const datagram = new Uint8Array(total);
  const view = new DataView(datagram.buffer);
  let offset = 0;
  let sequence = firstSequence;
  for (const request of requests) {
    view.setUint32(offset, HEADER_BYTES + request.payload.length, true);
    view.setUint16(offset + 4, request.type, true);
    view.setUint16(offset + 6, request.flags, true);
    view.setUint32(offset + 8, sequence, true);
    view.setUint32(offset + 12, portId, true);
    datagram.set(request.payload, offset + HEADER_BYTES);
    offset += requestBytes(request);
    sequence = nextSequence(sequence);
  }
  return datagram;
}

/** 1 … 2³² − 1, then 1 again: 0 is what nobody asked for. */
export function nextSequence(sequence: number): number {
  return sequence >= 0xffffffff ? 1 : sequence + 1;
}

/**
 * The messages of one datagram.
 *
 * @throws {DecodeError} when a length cannot be right: nothing after it can be read
 */
export function decodeMessages(datagram: Uint8Array): Message[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  const messages: Message[] = [];
  let offset = 0;
  while (offset < datagram.length) {
    const left = datagram.length - offset;
    if (left < HEADER_BYTES) {
      throw new DecodeError(`A datagram ends with ${left} bytes that are no message`);
    }
    const length = view.getUint32(offset, true);
    if (length < HEADER_BYTES || length > left) {
      throw new DecodeError(
        `A message at byte ${offset} says it has ${length} bytes, ${left} are left`,
      );
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      portId: view.getUint32(offset + 12, true),
      payload: datagram.subarray(offset + HEADER_BYTES, offset + length),
    });
    // The last message of a datagram may come without its padding.
    offset += align4(length);
  }
  return messages;
}

/** An ack (`errno` 0) or a refusal. */
export interface Ack {
  /** Positive; 0 when the request was done. */
  readonly errno: number;
  readonly extendedAck: ExtendedAck | null;
}

/**
 * Decodes `NLMSG_ERROR`: `struct nlmsgerr` is the negative error number and the header of the request;
 * the rest of the request follows unless `NLM_F_CAPPED`, attributes when `NLM_F_ACK_TLVS`.
 *
 * @param request the payload it answers, to name the offending attribute
 * @throws {DecodeError}
 */
export function decodeError(message: Message, request: Request | null): Ack {
  const view = headView(message.payload, 4 + HEADER_BYTES, "nlmsgerr");
  const capped = (message.flags & NLM_F_CAPPED) !== 0;
  // The length is the peer's word: kept within the message, so that no offset can wrap round.
  const requestLength = Math.min(view.getUint32(4, true), message.payload.length);
  const echoed = capped ? HEADER_BYTES : align4(requestLength);
  return {
    errno: Math.abs(view.getInt32(0, true)),
    extendedAck: decodeExtendedAck(message, 4 + echoed, request),
  };
}

/**
 * Decodes `NLMSG_DONE`: the end of a dump, with an error number when the dump failed on the way.
 *
 * @throws {DecodeError}
 */
export function decodeDone(message: Message, request: Request | null): Ack {
  // Some families end a dump without the number.
  if (message.payload.length === 0) return { errno: 0, extendedAck: null };
  const view = headView(message.payload, 4, "error number");
  return {
    errno: Math.abs(Math.min(view.getInt32(0, true), 0)),
    extendedAck: decodeExtendedAck(message, 4, request),
  };
}

function decodeExtendedAck(
  message: Message,
  offset: number,
  request: Request | null,
): ExtendedAck | null {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return null;
  let text: string | null = null;
  let position: number | null = null;
  let missingType: number | null = null;
  let missingNest: number | null = null;
  const reader = new AttributeReader(message.payload, offset);
  while (reader.next()) {
    switch (reader.type) {
      case NLMSGERR_ATTR_MSG:
        text = reader.string();
        break;
      case NLMSGERR_ATTR_OFFS:
        position = reader.u32();
        break;
      case NLMSGERR_ATTR_MISS_TYPE:
        missingType = reader.u32();
        break;
      case NLMSGERR_ATTR_MISS_NEST:
        missingNest = reader.u32();
        break;
    }
  }
  const attributeType = attributeTypeAt(request, position);
  return { message: text, offset: position, attributeType, missingType, missingNest };
}

function attributeTypeAt(request: Request | null, offset: number | null): number | null {
  if (request === null || offset === null || offset < HEADER_BYTES) return null;
  const reader = new AttributeReader(request.payload, offset - HEADER_BYTES);
  try {
    return reader.next() ? reader.type : null;
  } catch (cause) {
    if (cause instanceof DecodeError) return null;
    throw cause;
  }
}
