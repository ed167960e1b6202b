import ipaddr from "ipaddr.js";
import { isIP } from "node:net";
import { assert } from "./assert.ts";
import type { Bytes } from "./bytes.ts";

/** 4 or 6. */
export type IpFamily = 4 | 6;

/** Number of bits of an address: 32 or 128. */
export function addressBits(family: IpFamily): number {
  return family === 4 ? 32 : 128;
}

/** Compared with, for a shift would make another bigint of each of the hundred thousand addresses of a dump. */
const LARGEST: Readonly<Record<IpFamily, bigint>> = { 4: (1n << 32n) - 1n, 6: (1n << 128n) - 1n };

/** An IPv4 or IPv6 address; one code path serves both. Immutable. */
export class IpAddress {
  /** 4 or 6. */
  readonly family: IpFamily;
  /** The address as a whole number, most significant byte first. */
  readonly value: bigint;

  /**
   * Makes an address of its number.
   *
   * @throws {RangeError} when `value` does not fit the family
   */
  constructor(family: IpFamily, value: bigint) {
    if (value < 0n || value > LARGEST[family]) {
      throw new RangeError(`Cannot make IPv${family} address: ${value} does not fit`);
    }
    this.family = family;
    this.value = value;
  }

  /**
   * Reads `192.0.2.1` or `2001:db8::1`. Short, octal and hexadecimal IPv4 forms and zones are
   * refused: they mean different addresses to different programs.
   *
   * @throws {TypeError} when `text` is not an address
   */
  static parse(text: string): IpAddress {
    if (isIP(text) === 0 || text.includes("%")) {
      throw new TypeError(`Cannot parse IP address: ${JSON.stringify(text)} is not one`);
    }
    if (!text.includes(":")) return new IpAddress(4, BigInt(parseDottedQuad(text)));
    return IpAddress.fromBytes(new Uint8Array(ipaddr.parse(text).toByteArray()));
  }

  /**
   * Reads 4 or 16 bytes in network order.
   *
   * @throws {RangeError} when there are not 4 or 16
   */
  static fromBytes(bytes: Uint8Array): IpAddress {
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw new RangeError(`Cannot make IP address: ${bytes.length} bytes are not 4 or 16`);
    }
    let value = 0n;
    for (const byte of bytes) value = (value << 8n) | BigInt(byte);
    return new IpAddress(bytes.length === 4 ? 4 : 6, value);
  }

  /** 4 or 16 bytes in network order. */
  toBytes(): Bytes {
    if (this.family === 4) {
      const value = Number(this.value);
      return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
    }
    const bytes = new Uint8Array(addressBits(this.family) / 8);
    let rest = this.value;
    for (let index = bytes.length - 1; index >= 0; index--) {
      bytes[index] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }

  /** The canonical text (RFC 5952 for IPv6). */
  toString(): string {
    if (this.family === 4) {
      const value = Number(this.value);
      return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
    }
    return ipaddr.fromByteArray([...this.toBytes()]).toString();
  }

  /** Whether both are the same address of the same family. */
  equals(other: IpAddress): boolean {
    return this.family === other.family && this.value === other.value;
  }

  /** Orders IPv4 before IPv6, then by value. */
  compare(other: IpAddress): number {
    if (this.family !== other.family) return this.family - other.family;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }
}

/** Of text that is known to be an IPv4 address. */
function parseDottedQuad(text: string): number {
  let value = 0;
  for (const part of text.split(".")) value = value * 256 + Number(part);
  return value;
}

/** An address prefix, `10.64.0.0/24`: the host bits are zero. Immutable. */
export class Cidr {
  /** The lowest address. */
  readonly address: IpAddress;
  /** 0 … 32 or 0 … 128. */
  readonly prefixLength: number;

  /**
   * Makes a prefix of its lowest address.
   *
   * @throws {RangeError} when the length does not fit the family, or host bits are set
   */
  constructor(address: IpAddress, prefixLength: number) {
    const bits = addressBits(address.family);
    if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bits) {
      throw new RangeError(`Cannot make prefix: length ${prefixLength} is not in 0..${bits}`);
    }
    const hostBits = BigInt(bits - prefixLength);
    if (prefixLength < bits && (address.value >> hostBits) << hostBits !== address.value) {
      const network = new IpAddress(address.family, (address.value >> hostBits) << hostBits);
      throw new RangeError(
        `Cannot make prefix: ${address}/${prefixLength} has host bits set; ` +
          `the network is ${network}/${prefixLength}`,
      );
    }
    this.address = address;
    this.prefixLength = prefixLength;
  }

  /**
   * Reads `10.64.0.0/24`.
   *
   * @throws {TypeError} when `text` is not address, slash, length
   * @throws {RangeError} as the constructor
   */
  static parse(text: string): Cidr {
    const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
    if (match === null) {
      throw new TypeError(`Cannot parse prefix: ${JSON.stringify(text)} is not address/length`);
    }
    const [, address, length] = match;
    assert(address !== undefined && length !== undefined, "the pattern has two groups");
    return new Cidr(IpAddress.parse(address), Number(length));
  }

  /** The prefix of this length that `address` is in. */
  static containing(address: IpAddress, prefixLength: number): Cidr {
    const hostBits = BigInt(addressBits(address.family) - prefixLength);
    return new Cidr(
      new IpAddress(address.family, (address.value >> hostBits) << hostBits),
      prefixLength,
    );
  }

  /** 4 or 6. */
  get family(): IpFamily {
    return this.address.family;
  }

  /** How many addresses it has. */
  get size(): bigint {
    return 1n << BigInt(addressBits(this.family) - this.prefixLength);
  }

  /** The highest address (for IPv4, the broadcast address of the subnet). */
  get last(): IpAddress {
    return new IpAddress(this.family, this.address.value + this.size - 1n);
  }

  /** Whether `address` is in it; never for the other family. */
  contains(address: IpAddress): boolean {
    return address.family === this.family && address.value >= this.address.value &&
      address.value - this.address.value < this.size;
  }

  /** Whether the two have an address in common. */
  overlaps(other: Cidr): boolean {
    return this.contains(other.address) || other.contains(this.address);
  }

  /**
   * The address `offset` places above the lowest.
   *
   * @throws {RangeError} when that is outside
   */
  at(offset: bigint): IpAddress {
    if (offset < 0n || offset >= this.size) {
      throw new RangeError(`Cannot take address ${offset} of ${this}: it has ${this.size}`);
    }
    return new IpAddress(this.family, this.address.value + offset);
  }

  /** `10.64.0.0/24`. */
  toString(): string {
    return `${this.address}/${this.prefixLength}`;
  }

  /** Whether both are the same prefix. */
  equals(other: Cidr): boolean {
    return this.prefixLength === other.prefixLength && this.address.equals(other.address);
  }
}
