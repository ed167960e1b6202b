import { type Bytes, IpAddress, type MacText, parseMac } from "../base/mod.ts";

/** An address of a network, and whose it is. */
export interface Announced {
  readonly ip: string;
  readonly mac: MacText;
}

const BROADCAST = new Uint8Array(6).fill(0xff);

/**
 * The frame with which a host tells the workloads on a bridge of its own where an address is: an ARP
 * reply that nobody asked for, to all (RFC 5227 section 3, RFC 826).
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 6 + 6 | Ethernet destination, source |
 * | 12 | 2 | type 0x0806, ARP |
 * | 14 | 2 + 2 + 1 + 1 | hardware 1, protocol 0x0800, their lengths 6 and 4 |
 * | 20 | 2 | operation 2, reply: the VXLAN device answers requests and swallows all else |
 * | 22 | 6 + 4 | sender's MAC and IP address |
 * | 32 | 6 + 4 | target's: the same, which makes it an announcement |
 */
export function encodeAnnouncement({ ip, mac }: Announced): Bytes {
  const macBytes = parseMac(mac);
  const ipBytes = IpAddress.parse(ip).toBytes();
  const frame = new Uint8Array(42);
  frame.set(BROADCAST, 0);
  frame.set(macBytes, 6);
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2], 12);
  for (const at of [22, 32]) {
    frame.set(macBytes, at);
    frame.set(ipBytes, at + 6);
  }
  return frame;
}
