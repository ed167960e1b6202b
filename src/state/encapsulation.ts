import { IpAddress } from "../base/mod.ts";

const IP_BYTES = { 4: 20, 6: 40 } as const;
/** UDP 8, VXLAN 8 (RFC 7348) and the inner Ethernet header 14. */
const VXLAN_BYTES = 8 + 8 + 14;
/** SPI and sequence number 8, IV 8 (RFC 4106), ICV 16. */
const ESP_BYTES = 8 + 8 + 16;
/** Behind the payload: padding length and next header; all of that is padded (RFC 4303 section 2.4). */
const ESP_TRAILER_BYTES = 2;
const ESP_ALIGNMENT_BYTES = 4;

/** Between which addresses, and how. */
export interface Encapsulation {
  /** Of either family. */
  readonly vtepAddress: string;
  /** Whether there is ESP around it. */
  readonly encrypted: boolean;
}

/** The largest inner packet that an underlay with this MTU carries. */
export function overlayMtuBytes(
  underlayMtuBytes: number,
  { vtepAddress, encrypted }: Encapsulation,
): number {
  const carriedBytes = underlayMtuBytes - IP_BYTES[IpAddress.parse(vtepAddress).family];
  if (!encrypted) return carriedBytes - VXLAN_BYTES;
  const paddedBytes = carriedBytes - ESP_BYTES;
  return paddedBytes - paddedBytes % ESP_ALIGNMENT_BYTES - ESP_TRAILER_BYTES - VXLAN_BYTES;
}

/** The smallest MTU of an underlay that carries inner packets of this size. */
export function underlayMtuBytesFor(
  innerBytes: number,
  { vtepAddress, encrypted }: Encapsulation,
): number {
  const ipBytes = IP_BYTES[IpAddress.parse(vtepAddress).family];
  const udpBytes = innerBytes + VXLAN_BYTES;
  if (!encrypted) return ipBytes + udpBytes;
  const padded = Math.ceil((udpBytes + ESP_TRAILER_BYTES) / ESP_ALIGNMENT_BYTES);
  return ipBytes + ESP_BYTES + padded * ESP_ALIGNMENT_BYTES;
}
