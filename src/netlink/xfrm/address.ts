import { IpAddress, type IpFamily } from "../../base/mod.ts";
import { putU32be } from "./integer.ts";

/**
 * `xfrm_address_t` is 16 bytes; an IPv4 address takes the first four. Which family it is of stands
 * elsewhere in the struct.
 */
export const XFRM_ADDRESS_BYTES = 16;

/** Writes an address; what it does not fill stays zero. */
export function putAddress(bytes: Uint8Array, offset: number, address: IpAddress): void {
  // An SA and its policy have ten addresses: the way over an array of four bytes shows.
  if (address.family === 4) putU32be(bytes, offset, Number(address.value));
  else bytes.set(address.toBytes(), offset);
}

/** 16 bytes, as attributes have it. */
export function encodeAddress(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(XFRM_ADDRESS_BYTES);
  putAddress(bytes, 0, address);
  return bytes;
}

/** Reads an address within a struct whose length is known to suffice. */
export function readAddress(view: DataView, offset: number, family: IpFamily): IpAddress {
  return family === 4
    ? new IpAddress(4, BigInt(view.getUint32(offset)))
    : new IpAddress(6, (view.getBigUint64(offset) << 64n) | view.getBigUint64(offset + 8));
}

/** @throws {RangeError} when the addresses are not all of one family, as a struct has but one */
export function checkOneFamily(what: string, first: IpAddress, ...others: IpAddress[]): void {
  for (const other of others) {
    if (other.family !== first.family) {
      throw new RangeError(`Cannot encode ${what}: ${first} and ${other} are of two families`);
    }
  }
}
