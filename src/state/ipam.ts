import { formatMac, IpAddress, type MacText } from "../base/mod.ts";
import { type Ipv4Prefix, type PrefixIndex, prefixSize } from "./prefix_index.ts";

/**
 * The lowest subnet of this length in the pool, from `from` on, that overlaps nothing taken, or
 * null. Steps from one obstacle to the next, however large they are.
 */
export function lowestFreeSubnet(
  pool: Ipv4Prefix,
  length: number,
  taken: readonly PrefixIndex[],
  from: number,
): Ipv4Prefix | null {
  const size = prefixSize(length);
  const end = pool.start + prefixSize(pool.length);
  let candidate = from;
  search: while (candidate + size <= end) {
    const prefix = { start: candidate, length };
    for (const index of taken) {
      const obstacle = index.overlap(prefix);
      if (obstacle === null) continue;
      const behind = obstacle.start + prefixSize(obstacle.length);
      candidate = Math.max(candidate + size, Math.ceil(behind / size) * size);
      continue search;
    }
    return prefix;
  }
  return null;
}

/** What is taken in one network: by endpoints that are there, and by those about to be. */
export type IsTaken = (ip: number) => boolean;

/**
 * The lowest address from `from` on that can be given out, or null. The lowest of a subnet, the
 * one above it and the highest never are: network, reserved, broadcast.
 */
export function lowestFreeAddress(
  prefix: Ipv4Prefix,
  from: number,
  isTaken: IsTaken,
): number | null {
  const broadcast = prefix.start + prefixSize(prefix.length) - 1;
  for (let ip = Math.max(from, prefix.start + 2); ip < broadcast; ip++) {
    if (!isTaken(ip)) return ip;
  }
  return null;
}

/** Whether the address is in the subnet. */
export function isInside(prefix: Ipv4Prefix, ip: number): boolean {
  return ip >= prefix.start && ip < prefix.start + prefixSize(prefix.length);
}

/** Whether the address is one of the three that are never given out. */
export function isReserved(prefix: Ipv4Prefix, ip: number): boolean {
  return ip < prefix.start + 2 || ip === prefix.start + prefixSize(prefix.length) - 1;
}

/**
 * The MAC address that an address of a network has when nobody chooses one: `02`, the VNI's low
 * byte, the IPv4 address. So an address that is used again keeps its MAC, and no stale neighbour
 * entry can point elsewhere.
 */
export function defaultMac(vni: number, ip: number): MacText {
  return formatMac(
    Uint8Array.of(2, vni & 0xff, ip >>> 24, (ip >>> 16) & 0xff, (ip >>> 8) & 0xff, ip & 0xff),
  );
}

/** The address in this network that a MAC is the default of, or null. */
export function defaultMacOwner(
  network: { readonly vni: number; readonly prefix: Ipv4Prefix },
  mac: Uint8Array,
): number | null {
  const [first, second, a = 0, b = 0, c = 0, d = 0] = mac;
  if (first !== 2 || second !== (network.vni & 0xff)) return null;
  const ip = ((a * 256 + b) * 256 + c) * 256 + d;
  return isInside(network.prefix, ip) ? ip : null;
}

/** Text of an IPv4 address. */
export function formatIpv4(ip: number): string {
  return new IpAddress(4, BigInt(ip)).toString();
}
