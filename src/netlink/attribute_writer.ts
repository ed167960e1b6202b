import { type Bytes, encodeUtf8, type IpAddress, type MacText, parseMac } from "../base/mod.ts";
import { align4 } from "./align.ts";
import { NLA_F_NESTED, NLA_HDRLEN, NLA_TYPE_MASK } from "./constants.ts";

/**
 * Holds that a number fits its field.
 *
 * @throws {RangeError} when it is not a whole number in `low`..`high`
 */
export function checkRange(what: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`Cannot encode ${what}: ${value} is not in ${low}..${high}`);
  }
}

/**
 * Writes a message's payload: the family's struct first, then attributes.
 *
 * Batches have tens of thousands of requests of about 50 bytes, so it counts that V8 keeps arrays
 * of up to 64 bytes in its own heap, as long as nobody asks for their `buffer`.
 */
export class AttributeWriter {
  #bytes: Bytes;
  #length: number;

  /**
   * @param head the family's struct (`struct ifinfomsg`, …)
   * @param room bytes that the attributes will take, where that is known: it saves growing
   */
  constructor(head: Uint8Array, room = 0) {
    this.#length = align4(head.length);
    this.#bytes = new Uint8Array(Math.max(64, this.#length + room));
    this.#bytes.set(head);
  }

  u8(type: number, value: number): this {
    if (value !== (value & 0xff)) refuse(type, value, 0, 0xff);
    const offset = this.#open(type, 1);
    this.#bytes[offset] = value;
    return this;
  }

  u16(type: number, value: number): this {
    if (value !== (value & 0xffff)) refuse(type, value, 0, 0xffff);
    const offset = this.#open(type, 2);
    putU16(this.#bytes, offset, value);
    return this;
  }

  /** In network order (`__be16`), as ports are. */
  u16be(type: number, value: number): this {
    if (value !== (value & 0xffff)) refuse(type, value, 0, 0xffff);
    const offset = this.#open(type, 2);
    putU16(this.#bytes, offset, (value >>> 8) | ((value & 0xff) << 8));
    return this;
  }

  u32(type: number, value: number): this {
    if (value !== value >>> 0) refuse(type, value, 0, 0xffffffff);
    const offset = this.#open(type, 4);
    putU32(this.#bytes, offset, value);
    return this;
  }

  i32(type: number, value: number): this {
    if (value !== (value | 0)) refuse(type, value, -0x80000000, 0x7fffffff);
    const offset = this.#open(type, 4);
    putU32(this.#bytes, offset, value);
    return this;
  }

  bytes(type: number, value: Uint8Array): this {
    const offset = this.#open(type, value.length);
    this.#bytes.set(value, offset);
    return this;
  }

  ip(type: number, address: IpAddress): this {
    return this.bytes(type, address.toBytes());
  }

  mac(type: number, address: MacText): this {
    return this.bytes(type, parseMac(address));
  }

  /** Text with the closing zero (`NLA_NUL_STRING`). */
  string(type: number, text: string): this {
    const bytes = encodeUtf8(text);
    const offset = this.#open(type, bytes.length + 1);
    this.#bytes.set(bytes, offset);
    return this;
  }

  /** Text without a closing zero (`NLA_STRING`): so iproute2 sends the names of link kinds. */
  bareString(type: number, text: string): this {
    return this.bytes(type, encodeUtf8(text));
  }

  /**
   * A nest without the flag `NLA_F_NESTED`: the kernel's older families do not ask for it, and
   * iproute2 does not set it.
   */
  nest(type: number, write: (inner: this) => void): this {
    const start = this.#open(type, 0) - NLA_HDRLEN;
    write(this);
    const length = this.#length - start;
    checkLength(type, length);
    putU16(this.#bytes, start, length);
    return this;
  }

  /** A nest with the flag, which newer families demand (`IFLA_PROTINFO` of bridges: else EINVAL). */
  flaggedNest(type: number, write: (inner: this) => void): this {
    return this.nest(type | NLA_F_NESTED, write);
  }

  /** Appends bytes without a header of their own: a struct inside a nest (`VETH_INFO_PEER`). */
  raw(bytes: Uint8Array): this {
    const offset = this.#reserve(align4(bytes.length));
    this.#bytes.set(bytes, offset);
    return this;
  }

  /** The payload so far; the writer may change it when it goes on. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Writes the header, gives the offset of the value. It may replace the buffer: call it first. */
  #open(type: number, valueBytes: number): number {
    const length = NLA_HDRLEN + valueBytes;
    checkLength(type, length);
    const offset = this.#reserve(align4(length));
    putU16(this.#bytes, offset, length);
    putU16(this.#bytes, offset + 2, type);
    return offset + NLA_HDRLEN;
  }

  #reserve(bytes: number): number {
    const offset = this.#length;
    const needed = offset + bytes;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#length = needed;
    return offset;
  }
}

/** Writes 2 bytes, the lowest first. */
export function putU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

/** Writes 4 bytes, the lowest first; of a negative number its two's complement. */
export function putU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

function checkLength(type: number, length: number): void {
  if (length > 0xffff) {
    checkRange(`length of attribute ${type & NLA_TYPE_MASK}`, length, NLA_HDRLEN, 0xffff);
  }
}

function refuse(type: number, value: number, low: number, high: number): void {
  checkRange(`attribute ${type}`, value, low, high);
}
