import type { IpAddress } from "../../base/mod.ts";
import { AttributeWriter, checkRange, putU16, putU32 } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "../constants.ts";
import { DecodeError } from "../errors.ts";
import type { ComparableDump, Query, Request } from "../request.ts";
import { addressFamily } from "../rtnl/family.ts";
import { checkOneFamily, encodeAddress, putAddress } from "./address.ts";
import { type Aead, writeAead } from "./aead.ts";
import * as c from "./constants.ts";
import { type Lifetimes, putLifetimes } from "./lifetime.ts";
import { type Mark, writeMark } from "./mark.ts";
import { encodeMode, type XfrmMode } from "./mode.ts";
import { writeReplayWindow } from "./replay.ts";
import { blankSaUse, decodeSa, type Sa, USERSA_INFO_BYTES } from "./sa_message.ts";
import { putSelector, type Selector } from "./selector.ts";
import { putU32be } from "./integer.ts";

/** Which SA. One that the kernel has described can stand here. */
export interface SaId {
  /** Who sends with it. The kernel does not look at it where there is an SPI. */
  readonly source: IpAddress;
  /** Who receives with it, of the same family. */
  readonly destination: IpAddress;
  /** Security parameters index; 0 for a larval SA that waits for one. */
  readonly spi: number;
  /** By default ESP. */
  readonly protocol?: number;
  /** Only one that asks for this mark. */
  readonly mark?: Mark | null;
}

/** An ESP SA to make. */
export interface NewSa {
  /** Who sends with it. */
  readonly source: IpAddress;
  /** Who receives with it, of the same family. */
  readonly destination: IpAddress;
  /** Security parameters index, 256 and above; those below are reserved (RFC 4303 section 2.1). */
  readonly spi: number;
  /** Ties it to templates of policies; 0 is no tie. */
  readonly reqid: number;
  /** What it wraps. */
  readonly mode: XfrmMode;
  /** How, and with which key. */
  readonly aead: Aead;
  /** Sequence numbers of 64 bits (RFC 4303 section 2.2.1), with a window of 1 … 32,768 packets. */
  readonly esn: boolean;
  /** How many packets may come late; without ESN at most 32, and 0 accepts replays. */
  readonly windowPackets: number;
  /** Which packets may be carried by it; by default all. */
  readonly selector?: Selector;
  /** Only packets with this mark find it. */
  readonly mark?: Mark;
  /** When it ends; by default never. */
  readonly lifetimes?: Partial<Lifetimes>;
}

/**
 * A request that has a key in it. The bytes are no member of the object, so that they are in no log or
 * JSON of it; {@linkcode Request.payload} still gives them.
 */
class KeyedRequest implements Request {
  readonly describe: () => string;
  readonly type: number;
  readonly flags = NLM_F_REQUEST | NLM_F_ACK;
  readonly #payload: Uint8Array;

  constructor(describe: () => string, type: number, payload: Uint8Array) {
    this.describe = describe;
    this.type = type;
    this.#payload = payload;
  }

  get payload(): Uint8Array {
    return this.#payload;
  }
}

/**
 * Makes an SA. `EEXIST` when there is one with the same destination, SPI and protocol, a larval one
 * too; `ENOSYS` or `EPROTONOSUPPORT` when the kernel lacks the algorithm or ESP.
 *
 * @throws {RangeError}
 */
export function addSa(sa: NewSa): Request {
  return new KeyedRequest(() => `add ${describeSa(sa)}`, c.XFRM_MSG_NEWSA, encodeNewSa(sa));
}

/**
 * Gives a larval SA what it lacks; `ESRCH` when there is none.
 *
 * Not for an SA that has a key: the kernel answers that it was done, takes over the limits, and keeps
 * the old key.
 *
 * @throws {RangeError}
 */
export function updateLarvalSa(sa: NewSa): Request {
  return new KeyedRequest(() => `update ${describeSa(sa)}`, c.XFRM_MSG_UPDSA, encodeNewSa(sa));
}

/** An algorithm with a key of 36 bytes, a mark and the extended replay state, each with its header. */
const ATTRIBUTES_BYTES = 112 + 12 + 28;

function encodeNewSa(sa: NewSa): Uint8Array {
  const { source, destination, spi, reqid, mode, esn, windowPackets, selector } = sa;
  checkOneFamily("SA", source, destination);
  checkRange("SPI", spi, 256, 0xffffffff);
  checkRange("reqid", reqid, 0, 0xffffffff);
  const head = new Uint8Array(USERSA_INFO_BYTES);
  if (selector !== undefined) putSelector(head, 0, selector);
  putAddress(head, 56, destination);
  putU32be(head, 72, spi);
  head[76] = c.IPPROTO_ESP;
  putAddress(head, 80, source);
  putLifetimes(head, 96, sa.lifetimes ?? {});
  putU32(head, 208, reqid);
  putU16(head, 212, addressFamily(source.family));
  head[214] = encodeMode(mode);
  if (!esn) {
    checkRange("replay window without ESN", windowPackets, 0, 32);
    head[215] = windowPackets;
  }
  head[216] = esn ? c.XFRM_STATE_ESN : 0;
  const writer = new AttributeWriter(head, ATTRIBUTES_BYTES);
  writeAead(writer, sa.aead);
  writeMark(writer, sa.mark);
  if (esn) writeReplayWindow(writer, windowPackets);
  return writer.finish();
}

/**
 * Deletes an SA; `ESRCH` when there is none.
 *
 * @throws {RangeError}
 */
export function deleteSa(id: SaId): Request {
  return {
    describe: () => `delete ${describeSa(id)}`,
    type: c.XFRM_MSG_DELSA,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: encodeSaId(id),
  };
}

/**
 * Asks for one SA; `ESRCH` when there is none.
 *
 * @throws {RangeError}
 */
export function getSa(id: SaId): Query<Sa> {
  return {
    answer: "one",
    describe: () => `get ${describeSa(id)}`,
    type: c.XFRM_MSG_GETSA,
    flags: NLM_F_REQUEST,
    payload: encodeSaId(id),
    decode(message) {
      const sa = decodeSa(message.payload);
      if (sa === null) throw new DecodeError(`The answer to get ${describeSa(id)} has no family`);
      return sa;
    },
  };
}

/** Asks for all SAs of the namespace. */
export function dumpSas(): ComparableDump<Sa> {
  return {
    answer: "many",
    describe: () => "dump SAs",
    type: c.XFRM_MSG_GETSA,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: new Uint8Array(),
    decode: (message) => decodeSa(message.payload),
    blank: blankSaUse,
  };
}

/**
 * Deletes all SAs of the namespace, whoever made them, or all of one protocol; done too when there was
 * none.
 *
 * @throws {RangeError}
 */
export function flushSas(protocol?: number): Request {
  if (protocol !== undefined) checkRange("protocol", protocol, 1, 255);
  return {
    describe: () => "flush SAs",
    type: c.XFRM_MSG_FLUSHSA,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    // `struct xfrm_usersa_flush` is the protocol, one byte; 0 is all.
    payload: Uint8Array.of(protocol ?? 0),
  };
}

/**
 * `struct xfrm_usersa_id`:
 *
 * | offset | bytes | field                 |
 * |--------|-------|-----------------------|
 * | 0      | 16    | destination           |
 * | 16     | 4     | SPI, in network order |
 * | 20     | 2     | address family        |
 * | 22     | 1     | protocol              |
 */
export const USERSA_ID_BYTES = 24;

/** Writes the struct at the head of a message. @throws {RangeError} */
export function putSaId(bytes: Uint8Array, id: Omit<SaId, "source" | "mark">): void {
  checkRange("SPI", id.spi, 0, 0xffffffff);
  const protocol = id.protocol ?? c.IPPROTO_ESP;
  checkRange("protocol", protocol, 1, 255);
  putAddress(bytes, 0, id.destination);
  putU32be(bytes, 16, id.spi);
  putU16(bytes, 20, addressFamily(id.destination.family));
  bytes[22] = protocol;
}

function encodeSaId(id: SaId): Uint8Array {
  checkOneFamily("SA", id.source, id.destination);
  const head = new Uint8Array(USERSA_ID_BYTES);
  putSaId(head, id);
  const writer = new AttributeWriter(head);
  writer.bytes(c.XFRMA_SRCADDR, encodeAddress(id.source));
  writeMark(writer, id.mark);
  return writer.finish();
}

function describeSa(id: Pick<SaId, "source" | "destination" | "spi">): string {
  return `SA from ${id.source} to ${id.destination} with SPI ${formatSpi(id.spi)}`;
}

/** `0x20010001`, as `ip` and `tcpdump` have it. */
export function formatSpi(spi: number): string {
  return `0x${spi.toString(16).padStart(8, "0")}`;
}
