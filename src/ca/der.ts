import { concatBytes, encodeHex } from "../base/mod.ts";

/** Bytes that are not DER, or not of the shape that was asked for. */
export class DerError extends Error {
  override name = "DerError";
}

/** Tags of ITU-T X.680 table 1 and, with the bits of X.690 section 8.1.2, of context classes. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Context 0, 2 and 3, constructed: explicit or implicit SEQUENCE. */
  context0: 0xa0,
  context3: 0xa3,
  /** GeneralName (RFC 5280 section 4.2.1.6), primitive. */
  dnsName: 0x82,
  uri: 0x86,
  ipAddress: 0x87,
} as const;

const CONSTRUCTED = 0x20;
const MAX_DEPTH = 12;

/**
 * Reads DER (ITU-T X.690 section 10) one element after another, and nothing else: BER's other
 * spellings of the same value, and bytes after the end, are refused. The library that writes our
 * certificates reads BER with trailing bytes, and takes 1 ms for a certificate: too lenient and too
 * slow to stand at the door.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The tag of the next element, or null at the end. */
  peek(): number | null {
    return this.#bytes[this.#offset] ?? null;
  }

  /** The next element, which must have `tag`: its content, without tag and length. */
  content(tag: number): Uint8Array {
    return this.#next(tag).content;
  }

  /** The next element, which must have `tag`, with tag and length. */
  element(tag: number): Uint8Array {
    return this.#next(tag).element;
  }

  /** A reader over the content of the next element, which must have `tag`. */
  enter(tag: number): DerReader {
    return new DerReader(this.content(tag));
  }

  /** The hexadecimal content of an OBJECT IDENTIFIER. */
  oid(): string {
    return encodeHex(this.content(TAG.oid));
  }

  /** The content of a BIT STRING of whole bytes. */
  bits(): Uint8Array {
    const content = this.content(TAG.bitString);
    if (content[0] !== 0) throw new DerError("A bit string is not of whole bytes");
    return content.subarray(1);
  }

  /** @throws {DerError} when something is left */
  end(): void {
    if (this.#offset !== this.#bytes.length) {
      throw new DerError(`${this.#bytes.length - this.#offset} bytes are left over`);
    }
  }

  /** Whether something is left. */
  get more(): boolean {
    return this.#offset < this.#bytes.length;
  }

  #next(tag: number): { content: Uint8Array; element: Uint8Array } {
    const bytes = this.#bytes;
    const start = this.#offset;
    if (bytes[start] !== tag) {
      const found = bytes[start]?.toString(16) ?? "the end";
      throw new DerError(`Expected tag ${tag.toString(16)}, found ${found}`);
    }
    let offset = start + 1;
    const first = bytes[offset++] ?? 0x80;
    let length = first;
    if (first >= 0x80) {
      // Two bytes of length are enough for all that is read here.
      const count = first & 0x7f;
      if (count !== 1 && count !== 2) throw new DerError("A length is indefinite or too large");
      length = 0;
      for (let index = 0; index < count; index++) length = (length << 8) | (bytes[offset++] ?? 0);
      if (length < (count === 1 ? 0x80 : 0x100)) throw new DerError("A length is not minimal");
    }
    const end = offset + length;
    if (end > bytes.length) throw new DerError("An element is cut short");
    this.#offset = end;
    return { content: bytes.subarray(offset, end), element: bytes.subarray(start, end) };
  }
}

/**
 * Holds that `bytes` are one or more well-formed DER elements all the way down.
 *
 * @throws {DerError} when they are not
 */
export function checkDer(bytes: Uint8Array, depth = 0): void {
  if (depth > MAX_DEPTH) throw new DerError("Elements are nested too deep");
  const reader = new DerReader(bytes);
  while (reader.more) {
    const tag = reader.peek() ?? 0;
    if ((tag & 0x1f) === 0x1f) throw new DerError("A tag has more than one byte");
    const content = reader.content(tag);
    if ((tag & CONSTRUCTED) !== 0) checkDer(content, depth + 1);
    else if (tag === TAG.integer) checkInteger(content);
    else if (tag === TAG.boolean && !(content.length === 1 && content[0] === 0xff)) {
      // FALSE is the default wherever a certificate has a BOOLEAN, and DER leaves defaults out.
      throw new DerError("A boolean is not TRUE");
    }
  }
}

function checkInteger(content: Uint8Array): void {
  const [first, second] = content;
  if (first === undefined) throw new DerError("An integer is empty");
  if (second === undefined) return;
  if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)) {
    throw new DerError("An integer is not minimal");
  }
}

/** One DER element, its content put together of parts; at most 65,535 bytes of it. */
export function encodeElement(
  tag: number,
  ...content: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  if (length > 0xffff) throw new RangeError(`Cannot encode DER: ${length} bytes are over 65535`);
  // X.690 section 10.1: as few bytes of length as will do.
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.from(header), ...content);
}
