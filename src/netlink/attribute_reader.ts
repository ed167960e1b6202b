import { formatMac, IpAddress, type MacText } from "../base/mod.ts";
import { align4 } from "./align.ts";
import { NLA_HDRLEN, NLA_TYPE_MASK } from "./constants.ts";
import { DecodeError } from "./errors.ts";

/** Names may hold any bytes but `/` and white space; one that is not UTF-8 must not spoil a dump. */
const lenientUtf8 = new TextDecoder("utf-8");

/** The same without `readonly`, for decoders that fill a value attribute by attribute. */
export type Filling<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Walks over attributes without copying: tables have tens of thousands of them.
 *
 * ```ts
 * const reader = new AttributeReader(payload, 16);
 * while (reader.next()) {
 *   if (reader.type === IFLA_MTU) mtuBytes = reader.u32();
 * }
 * ```
 */
export class AttributeReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #next: number;
  #start = 0;
  #end = 0;
  #type = 0;

  /** @param offset where the first attribute begins, after the family's struct */
  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#next = offset;
  }

  /** Type of the current attribute, without its flags. */
  get type(): number {
    return this.#type;
  }

  /** Length of the current attribute's value in bytes. */
  get length(): number {
    return this.#end - this.#start;
  }

  /**
   * Goes to the next attribute; false at the end. Up to 3 bytes after the last one are padding.
   *
   * @throws {DecodeError} when the attribute is longer than what is left, or shorter than its header
   */
  next(): boolean {
    const left = this.#bytes.length - this.#next;
    if (left < NLA_HDRLEN) return false;
    const length = this.#view.getUint16(this.#next, true);
    if (length < NLA_HDRLEN || length > left) {
      throw new DecodeError(
        `An attribute at byte ${this.#next} says it has ${length} bytes, ${left} are left`,
      );
    }
    this.#type = this.#view.getUint16(this.#next + 2, true) & NLA_TYPE_MASK;
    this.#start = this.#next + NLA_HDRLEN;
    this.#end = this.#next + length;
    this.#next += align4(length);
    return true;
  }

  u8(): number {
    return this.#view.getUint8(this.#value(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#value(2), true);
  }

  u16be(): number {
    return this.#view.getUint16(this.#value(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#value(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#value(4), true);
  }

  /** The value's own bytes; not a copy. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** @throws {DecodeError} when there are not 4 or 16 bytes */
  ip(): IpAddress {
    if (this.length !== 4 && this.length !== 16) {
      throw new DecodeError(`Attribute ${this.#type}: ${this.length} bytes are no IP address`);
    }
    return IpAddress.fromBytes(this.bytes());
  }

  /** @throws {DecodeError} when there are not 6 bytes */
  mac(): MacText {
    if (this.length !== 6) {
      throw new DecodeError(`Attribute ${this.#type}: ${this.length} bytes are no MAC address`);
    }
    return formatMac(this.bytes());
  }

  /** Text up to the first zero; bytes that are not UTF-8 become U+FFFD. */
  string(): string {
    const bytes = this.bytes();
    const zero = bytes.indexOf(0);
    return lenientUtf8.decode(zero < 0 ? bytes : bytes.subarray(0, zero));
  }

  /** The attributes inside this one. */
  nest(): AttributeReader {
    return new AttributeReader(this.bytes(), 0);
  }

  #value(bytes: number): number {
    if (this.length < bytes) {
      throw new DecodeError(`Attribute ${this.#type} has ${this.length} bytes, not ${bytes}`);
    }
    return this.#start;
  }
}

/**
 * The fixed struct at the head of a payload.
 *
 * @throws {DecodeError} when the payload is shorter
 */
export function headView(payload: Uint8Array, bytes: number, struct: string): DataView {
  if (payload.length < bytes) {
    throw new DecodeError(`A message of ${payload.length} bytes has no ${struct} of ${bytes}`);
  }
  return new DataView(payload.buffer, payload.byteOffset, bytes);
}
