import { addressBits, Cidr, type IpAddress, type IpFamily } from "../../base/mod.ts";
import { AF_INET, AF_INET6 } from "../constants.ts";
import { DecodeError } from "../errors.ts";

/** `AF_INET` or `AF_INET6`. */
export function addressFamily(family: IpFamily): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** 4 or 6; null for the many other families that share a table with them. */
export function ipFamily(addressFamily: number): IpFamily | null {
  return addressFamily === AF_INET ? 4 : addressFamily === AF_INET6 ? 6 : null;
}

/** @throws {DecodeError} when the address is of the other family */
export function checkFamily(address: IpAddress, family: IpFamily): IpAddress {
  if (address.family === family) return address;
  throw new DecodeError(`${address} stands in a message of IPv${family}`);
}

/** @throws {DecodeError} when the length does not fit the family */
export function decodePrefix(address: IpAddress, prefixLength: number): Cidr {
  const bits = addressBits(address.family);
  if (prefixLength > bits) {
    throw new DecodeError(`A prefix of ${prefixLength} bits is longer than ${bits}`);
  }
  return Cidr.containing(address, prefixLength);
}
