import { type Cidr, IpAddress, type IpFamily } from "../../base/mod.ts";
import { align4 } from "../align.ts";
import { AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { DecodeError } from "../errors.ts";
import type { Message } from "../message.ts";
import * as c from "./constants.ts";
import { checkFamily, decodePrefix, ipFamily } from "./family.ts";
import { decodeRtmsg, RTMSG_BYTES } from "./rtmsg.ts";

/** What becomes of a packet: `RTN_…` in lower case. */
export type RouteType =
  | "unspec"
  | "unicast"
  | "local"
  | "broadcast"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw"
  | "unknown";

/** A route. */
export interface Route {
  /** Of the destination. */
  readonly family: IpFamily;
  /** Length 0 is the default route; of a lookup, the address alone. */
  readonly destination: Cidr;
  /** Only for packets from here. */
  readonly source: Cidr | null;
  /** What becomes of a packet. */
  readonly type: RouteType;
  /** 254 the main one, 255 the host's own addresses. */
  readonly table: number;
  /** Who made it, `RTPROT_…`: 2 the kernel, 3 somebody at boot, 4 an administrator. */
  readonly protocol: number;
  /** `RT_SCOPE_…`: 0 beyond a gateway, 253 on the link, 254 on this host. */
  readonly scope: number;
  /** None for a blackhole and the like, several where traffic is spread. */
  readonly nextHops: readonly NextHop[];
  /** Source address of packets that have none yet. */
  readonly preferredSource: IpAddress | null;
  /** The lowest wins among routes to the same destination. */
  readonly metric: number;
  /** Null when the link's MTU holds. */
  readonly mtuBytes: number | null;
  /** Whether the MTU was learned from an ICMP message, of a lookup; it expires after some minutes. */
  readonly mtuLearned: boolean;
}

/** Where a packet goes next. */
export interface NextHop {
  /** Ifindex of the link that packets leave by. */
  readonly index: number;
  /** Null when the destination is on the link; of either family (`RTA_VIA`). */
  readonly gateway: IpAddress | null;
  /** Its share of the traffic, 1 … 256. */
  readonly weight: number;
}

/** In the order of `RTN_…`. */
const TYPES: readonly RouteType[] = [
  "unspec",
  "unicast",
  "local",
  "broadcast",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
];

/**
 * Decodes `RTM_NEWROUTE` and `RTM_DELROUTE`; null when it is of neither IPv4 nor IPv6.
 *
 * @throws {DecodeError}
 */
export function decodeRoute(message: Message): Route | null {
  const head = decodeRtmsg(message.payload);
  const family = ipFamily(head.family);
  if (family === null) return null;
  const anywhere = new IpAddress(family, 0n);
  const route: Filling<Route> = {
    family,
    destination: decodePrefix(anywhere, head.destinationLength),
    source: null,
    type: TYPES[head.type] ?? "unknown",
    table: head.table,
    protocol: head.protocol,
    scope: head.scope,
    nextHops: [],
    preferredSource: null,
    metric: 0,
    mtuBytes: null,
    mtuLearned: false,
  };
  const single: Filling<NextHop> = { index: 0, gateway: null, weight: 1 };
  const reader = new AttributeReader(message.payload, RTMSG_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.RTA_DST:
        route.destination = decodePrefix(checkFamily(reader.ip(), family), head.destinationLength);
        break;
      case c.RTA_SRC:
        route.source = decodePrefix(checkFamily(reader.ip(), family), head.sourceLength);
        break;
      case c.RTA_PREFSRC:
        route.preferredSource = reader.ip();
        break;
      case c.RTA_PRIORITY:
        route.metric = reader.u32();
        break;
      case c.RTA_TABLE:
        route.table = reader.u32();
        break;
      case c.RTA_METRICS:
        route.mtuBytes = readMtu(reader.nest());
        break;
      case c.RTA_CACHEINFO:
        // struct rta_cacheinfo: u32 references, u32 last use, i32 expires; the rest is of no use here.
        route.mtuLearned = headView(reader.bytes(), 12, "rta_cacheinfo").getInt32(8, true) > 0;
        break;
      case c.RTA_MULTIPATH:
        route.nextHops = readMultipath(reader.bytes());
        break;
      default:
        readNextHopAttribute(single, reader);
    }
  }
  if (single.index !== 0 || single.gateway !== null) route.nextHops = [single];
  return route;
}

function readNextHopAttribute(hop: Filling<NextHop>, reader: AttributeReader): void {
  switch (reader.type) {
    case c.RTA_OIF:
      hop.index = reader.u32();
      break;
    case c.RTA_GATEWAY:
      hop.gateway = reader.ip();
      break;
    case c.RTA_VIA:
      hop.gateway = readVia(reader.bytes());
      break;
  }
}

function readMtu(reader: AttributeReader): number | null {
  let mtuBytes: number | null = null;
  while (reader.next()) {
    if (reader.type === c.RTAX_MTU) mtuBytes = reader.u32() || null;
  }
  return mtuBytes;
}

/** `struct rtvia`: address family of 2 bytes, then the address. */
function readVia(bytes: Uint8Array): IpAddress | null {
  const view = headView(bytes, 2, "rtvia");
  if (ipFamily(view.getUint16(0, true)) === null) return null;
  if (bytes.length !== 6 && bytes.length !== 18) {
    throw new DecodeError(`A gateway of ${bytes.length - 2} bytes is no IP address`);
  }
  return IpAddress.fromBytes(bytes.subarray(2));
}

/**
 * A list of `struct rtnexthop`, each with its attributes:
 *
 * | offset | bytes | field                                    |
 * |--------|-------|------------------------------------------|
 * | 0      | 2     | length, attributes included              |
 * | 2      | 1     | flags                                    |
 * | 3      | 1     | weight − 1                               |
 * | 4      | 4     | ifindex                                  |
 */
function readMultipath(bytes: Uint8Array): NextHop[] {
  const hops: NextHop[] = [];
  for (let offset = 0; offset + 8 <= bytes.length;) {
    const view = headView(bytes.subarray(offset), 8, "rtnexthop");
    const length = view.getUint16(0, true);
    if (length < 8 || offset + length > bytes.length) {
      throw new DecodeError(`A next hop at byte ${offset} says it has ${length} bytes`);
    }
    const hop: Filling<NextHop> = {
      index: view.getUint32(4, true),
      gateway: null,
      weight: view.getUint8(3) + 1,
    };
    const reader = new AttributeReader(bytes.subarray(offset, offset + length), 8);
    while (reader.next()) readNextHopAttribute(hop, reader);
    hops.push(hop);
    offset += align4(length);
  }
  return hops;
}
