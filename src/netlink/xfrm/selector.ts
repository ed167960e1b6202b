import type { Cidr, IpFamily } from "../../base/mod.ts";
import { checkRange, putU16, putU32 } from "../attribute_writer.ts";
import { checkIfindex } from "../rtnl/check.ts";
import { addressFamily, decodePrefix, ipFamily } from "../rtnl/family.ts";
import { checkOneFamily, putAddress, readAddress } from "./address.ts";

/** A port, or, in what others have made, the ports whose bits under the mask are those of the value. */
export type PortMatch = number | { readonly value: number; readonly mask: number };

/** Which packets a policy or an SA is for. */
export interface Selector {
  /** Where packets come from; length 0 is anywhere. */
  readonly source: Cidr;
  /** Where packets go to, of the same family. */
  readonly destination: Cidr;
  /** Number of an IP protocol (17 is UDP); null is any. */
  readonly protocol: number | null;
  /** Null is any. */
  readonly sourcePort: PortMatch | null;
  /** Null is any. */
  readonly destinationPort: PortMatch | null;
  /** Ifindex of the link that packets leave by; null is any. */
  readonly index: number | null;
}

/**
 * `struct xfrm_selector`; addresses and ports are in network order:
 *
 * | offset | bytes | field                        |
 * |--------|-------|------------------------------|
 * | 0      | 16    | destination                  |
 * | 16     | 16    | source                       |
 * | 32     | 2 + 2 | destination port, its mask   |
 * | 36     | 2 + 2 | source port, its mask        |
 * | 40     | 2     | address family               |
 * | 42     | 1     | prefix length of destination |
 * | 43     | 1     | prefix length of source      |
 * | 44     | 1     | protocol                     |
 * | 48     | 4     | ifindex                      |
 * | 52     | 4     | user (the kernel ignores it) |
 */
export const SELECTOR_BYTES = 56;

/**
 * Writes the struct.
 *
 * @throws {RangeError}
 */
export function putSelector(bytes: Uint8Array, offset: number, selector: Selector): void {
  const { source, destination, protocol, index } = selector;
  checkOneFamily("selector", source.address, destination.address);
  putAddress(bytes, offset, destination.address);
  putAddress(bytes, offset + 16, source.address);
  putPort(bytes, offset + 32, selector.destinationPort);
  putPort(bytes, offset + 36, selector.sourcePort);
  putU16(bytes, offset + 40, addressFamily(source.family));
  bytes[offset + 42] = destination.prefixLength;
  bytes[offset + 43] = source.prefixLength;
  // 0 stands for any, so that the protocol of that number (hop-by-hop options) cannot be selected.
  if (protocol !== null) {
    checkRange("protocol", protocol, 1, 255);
    bytes[offset + 44] = protocol;
  }
  if (index !== null) {
    checkIfindex(index);
    putU32(bytes, offset + 48, index);
  }
}

function putPort(bytes: Uint8Array, offset: number, port: PortMatch | null): void {
  if (port === null) return;
  const { value, mask } = typeof port === "number" ? { value: port, mask: 0xffff } : port;
  checkRange("port", value, 0, 0xffff);
  checkRange("mask of a port", mask, 1, 0xffff);
  putU16(bytes, offset, swap(value));
  putU16(bytes, offset + 2, swap(mask));
}

function swap(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/**
 * Reads the struct within a payload whose length is known to suffice; null when it says no family,
 * which is how an SA for packets of either family looks.
 *
 * @throws {DecodeError}
 */
export function readSelector(view: DataView, offset: number): Selector | null {
  const family = ipFamily(view.getUint16(offset + 40, true));
  if (family === null) return null;
  return {
    source: readPrefix(view, offset + 16, family, view.getUint8(offset + 43)),
    destination: readPrefix(view, offset, family, view.getUint8(offset + 42)),
    protocol: view.getUint8(offset + 44) || null,
    sourcePort: readPort(view, offset + 36),
    destinationPort: readPort(view, offset + 32),
    index: view.getInt32(offset + 48, true) || null,
  };
}

function readPrefix(view: DataView, offset: number, family: IpFamily, length: number): Cidr {
  return decodePrefix(readAddress(view, offset, family), length);
}

function readPort(view: DataView, offset: number): PortMatch | null {
  const value = view.getUint16(offset);
  const mask = view.getUint16(offset + 2);
  return mask === 0 ? null : mask === 0xffff ? value : { value, mask };
}

/** `protocol 17 from 192.0.2.1/32 port 20001 to 192.0.2.2/32 port 20001`. */
export function describeSelector(selector: Selector): string {
  const { source, destination, sourcePort, destinationPort, protocol, index } = selector;
  const by = index === null ? "" : ` by ifindex ${index}`;
  return `protocol ${protocol ?? "any"} from ${source}${describePort(sourcePort)}` +
    ` to ${destination}${describePort(destinationPort)}${by}`;
}

function describePort(port: PortMatch | null): string {
  if (port === null) return "";
  return typeof port === "number" ? ` port ${port}` : ` port ${port.value} under ${port.mask}`;
}
