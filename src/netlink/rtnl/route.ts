import { addressBits, type Cidr, type IpAddress, type IpFamily } from "../../base/mod.ts";
import { AttributeWriter } from "../attribute_writer.ts";
import {
  AF_UNSPEC,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
} from "../constants.ts";
import { DecodeError } from "../errors.ts";
import type { Dump, Query, Request } from "../request.ts";
import { checkIfindex } from "./check.ts";
import * as c from "./constants.ts";
import { addressFamily } from "./family.ts";
import { decodeRoute, type Route } from "./route_message.ts";
import { encodeRtmsg } from "./rtmsg.ts";

/** A unicast route. At least one of `gateway` and `index` is there. */
export interface NewRoute {
  /** A prefix of length 0 is the default route. */
  readonly destination: Cidr;
  /** The next router. */
  readonly gateway?: IpAddress;
  /** The link that packets leave by. */
  readonly index?: number;
  /** Source address of packets that have none yet. */
  readonly preferredSource?: IpAddress;
  /** The lowest wins among routes to the same destination. */
  readonly metric?: number;
  /** Packets to there are at most so long; by default as long as the link's MTU. */
  readonly mtuBytes?: number;
  /** By default 254, the main table. */
  readonly table?: number;
}

/** Which route to delete: the first that has all that is said here. */
export type OldRoute = Omit<NewRoute, "mtuBytes">;

/** A packet whose route is asked for. */
export interface RouteLookup {
  /** Where the packet goes. */
  readonly destination: IpAddress;
  /** An address of this host. */
  readonly source?: IpAddress;
  /** Only routes by this link. */
  readonly index?: number;
  /** The packet's mark, that rules may look at. */
  readonly mark?: number;
  /**
   * `entry`: the route as it stands in its table, with all next hops of one that spreads traffic. By
   * default what this very packet would get: one next hop, and the path MTU that was learned.
   */
  readonly answer?: "packet" | "entry";
}

/** What a dump of routes leaves out. */
export interface RouteFilter {
  /** Only IPv4 or only IPv6. */
  readonly family?: IpFamily;
  /** Only this table; 254 is the main one. */
  readonly table?: number;
  /** Only routes by this link. */
  readonly index?: number;
}

/**
 * Adds a route; `EEXIST` when there is one with the same destination, table and metric.
 *
 * @throws {RangeError}
 */
export function addRoute(route: NewRoute): Request {
  return makeRoute("add", NLM_F_CREATE | NLM_F_EXCL, route);
}

/**
 * Adds a route in the place of one with the same destination, table and metric.
 *
 * @throws {RangeError}
 */
export function replaceRoute(route: NewRoute): Request {
  return makeRoute("replace", NLM_F_CREATE | NLM_F_REPLACE, route);
}

function makeRoute(verb: string, flags: number, route: NewRoute): Request {
  if (route.gateway === undefined && route.index === undefined) {
    throw new RangeError(`Cannot encode route to ${route.destination}: no gateway and no ifindex`);
  }
  // Without a gateway the destination is on the link itself.
  const scope = route.gateway === undefined ? c.RT_SCOPE_LINK : c.RT_SCOPE_UNIVERSE;
  const writer = new AttributeWriter(encodeRtmsg({
    ...routeKey(route),
    protocol: c.RTPROT_BOOT,
    // IPv6 has no scopes of routes.
    scope: route.destination.family === 4 ? scope : c.RT_SCOPE_UNIVERSE,
    type: c.RTN_UNICAST,
  }));
  writeRoute(writer, route);
  const { mtuBytes } = route;
  if (mtuBytes !== undefined) {
    writer.nest(c.RTA_METRICS, () => writer.u32(c.RTAX_MTU, mtuBytes));
  }
  return {
    describe: () => `${verb} ${describeRoute(route)}`,
    type: c.RTM_NEWROUTE,
    flags: NLM_F_REQUEST | NLM_F_ACK | flags,
    payload: writer.finish(),
  };
}

/**
 * Deletes a route; `ESRCH` when there is none such.
 *
 * @throws {RangeError}
 */
export function deleteRoute(route: OldRoute): Request {
  // Scope "nowhere" and type 0 stand for any.
  const head = encodeRtmsg({ ...routeKey(route), scope: c.RT_SCOPE_NOWHERE });
  const writer = new AttributeWriter(head);
  writeRoute(writer, route);
  return {
    describe: () => `delete ${describeRoute(route)}`,
    type: c.RTM_DELROUTE,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

function routeKey(route: OldRoute): { family: number; destinationLength: number; table: number } {
  const table = route.table ?? c.RT_TABLE_MAIN;
  return {
    family: addressFamily(route.destination.family),
    destinationLength: route.destination.prefixLength,
    table: table > 0xff ? c.RT_TABLE_UNSPEC : table,
  };
}

function writeRoute(writer: AttributeWriter, route: OldRoute): void {
  const { destination, gateway, preferredSource, index, table, metric } = route;
  for (const address of [gateway, preferredSource]) {
    if (address !== undefined && address.family !== destination.family) {
      throw new RangeError(
        `Cannot encode route to ${destination}: ${address} is of another family`,
      );
    }
  }
  if (destination.prefixLength > 0) writer.ip(c.RTA_DST, destination.address);
  if (gateway !== undefined) writer.ip(c.RTA_GATEWAY, gateway);
  if (preferredSource !== undefined) writer.ip(c.RTA_PREFSRC, preferredSource);
  if (metric !== undefined) writer.u32(c.RTA_PRIORITY, metric);
  if (table !== undefined && table > 0xff) writer.u32(c.RTA_TABLE, table);
  if (index !== undefined) {
    checkIfindex(index);
    writer.u32(c.RTA_OIF, index);
  }
}

function describeRoute(route: OldRoute): string {
  const via = route.gateway === undefined ? "" : ` via ${route.gateway}`;
  const by = route.index === undefined ? "" : ` by ifindex ${route.index}`;
  return `route to ${route.destination}${via}${by}`;
}

/**
 * Asks which way a packet would go. The answer's `mtuBytes` is null when the link's own MTU holds.
 *
 * @throws {RangeError}
 */
export function getRoute(lookup: RouteLookup): Query<Route> {
  const { destination, source, index, mark, answer = "packet" } = lookup;
  if (source !== undefined && source.family !== destination.family) {
    throw new RangeError(`Cannot encode route lookup: ${source} is not of ${destination}'s family`);
  }
  const bits = addressBits(destination.family);
  const writer = new AttributeWriter(encodeRtmsg({
    family: addressFamily(destination.family),
    destinationLength: bits,
    sourceLength: source === undefined ? 0 : bits,
    // Says the true table of an IPv4 route; IPv6 always does, and refuses flags.
    flags: (destination.family === 4 ? c.RTM_F_LOOKUP_TABLE : 0) |
      (answer === "entry" ? c.RTM_F_FIB_MATCH : 0),
  }));
  writer.ip(c.RTA_DST, destination);
  if (source !== undefined) writer.ip(c.RTA_SRC, source);
  if (index !== undefined) {
    checkIfindex(index);
    writer.u32(c.RTA_OIF, index);
  }
  if (mark !== undefined) writer.u32(c.RTA_MARK, mark);
  return {
    answer: "one",
    describe: () => `get route to ${destination}`,
    type: c.RTM_GETROUTE,
    flags: NLM_F_REQUEST,
    payload: writer.finish(),
    decode(message) {
      const route = decodeRoute(message);
      if (route === null) throw new DecodeError(`The route to ${destination} is no IP route`);
      return route;
    },
  };
}

/**
 * Asks for the routes of the namespace, of all tables unless one is named, filtered in the kernel.
 *
 * @throws {RangeError}
 */
export function dumpRoutes(filter: RouteFilter = {}): Dump<Route> {
  const { family, table, index } = filter;
  const writer = new AttributeWriter(
    encodeRtmsg({ family: family === undefined ? AF_UNSPEC : addressFamily(family) }),
  );
  if (table !== undefined) writer.u32(c.RTA_TABLE, table);
  if (index !== undefined) {
    checkIfindex(index);
    writer.u32(c.RTA_OIF, index);
  }
  return {
    answer: "many",
    describe: () => "dump routes",
    type: c.RTM_GETROUTE,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: writer.finish(),
    decode: decodeRoute,
  };
}
