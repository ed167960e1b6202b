import { IpAddress, type IpFamily } from "../../base/mod.ts";

/**
 * `xfrm_address_t` is 16 bytes; an IPv4 address takes the first four. Which family it is of stands
 * elsewhere in the struct.
 */
export const XFRM_ADDRESS_BYTES = 16;

/** Writes an address; what it does not fill stays zero. */
export function putAddress(bytes: Uint8Array, offset: number, address: IpAddress): void {
  bytes.set(address.toBytes(), offset);
}

/** 16 bytes, as attributes have it. */
export function encodeAddress(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(XFRM_ADDRESS_BYTES);
  putAddress(bytes, 0, address);
  return bytes;
}

/** Reads an address within a struct whose length is known to suffice. */
export function readAddress(view: DataView, offset: number, family: IpFamily): IpAddress {
  const length = family === 4 ? 4 : XFRM_ADDRESS_BYTES;
  return IpAddress.fromBytes(new Uint8Array(view.buffer, view.byteOffset + offset, length));
}

/** @throws {RangeError} when the addresses are not all of one family, as a struct has but one */
export function checkOneFamily(what: string, first: IpAddress, ...others: IpAddress[]): void {
  for (const other of others) {
    if (other.family !== first.family) {
      throw new RangeError(`Cannot encode ${what}: ${first} and ${other} are of two families`);
    }
  }
}
