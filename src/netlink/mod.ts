/**
 * Netlink, the kernel's own interface to its network: a pure codec for messages and attributes, for
 * rtnetlink's links, addresses, routes, neighbours, forwarding entries and namespace ids, and a
 * {@linkcode Connection} that sends requests, matches acks and reads dumps over a
 * {@linkcode Transport} that somebody else implements.
 *
 * Contract:
 * - A function named by a verb (`createLink`, `replaceNeighbour`, `dumpRoutes`, …) makes one
 *   {@linkcode Request}; it throws `RangeError` or `TypeError` when a value cannot be encoded, and
 *   does nothing else. Interfaces are named by their index, or by name where the kernel takes one.
 * - A {@linkcode Connection} sends them, synchronously: the kernel has done the work, or refused it
 *   with its own words in a {@linkcode NetlinkError}, when the call returns. Calls that hold the
 *   kernel long have a twin that works off the thread.
 * - What comes from the kernel is decoded once, here. Attributes and kinds that are not known are
 *   skipped; bytes that cannot be right are a {@linkcode DecodeError}, and nothing else is thrown.
 * - No clock, no randomness, no timers, no system calls.
 *
 * ```ts
 * import { IpAddress } from "../base/mod.ts";
 * import { addAddress, Connection, createLink, dumpLinks, type Transport } from "./mod.ts";
 *
 * function example(transport: Transport) {
 *   const connection = new Connection(transport);
 *   const address = IpAddress.parse("10.64.0.2");
 *   connection.batch([
 *     createLink({ name: "eth0", index: 7, up: true, kind: { kind: "bridge" } }),
 *     addAddress({ index: 7, address, prefixLength: 24 }),
 *   ]); // one result per request: null, or the NetlinkError
 *   return connection.dump(dumpLinks()).map((link) => link.name);
 * }
 * ```
 *
 * @module
 */
export { type BatchResult, Connection, type ConnectionOptions } from "./connection.ts";
export { DecodeError, type ErrnoName, type ExtendedAck, NetlinkError } from "./errors.ts";
export { decodeMessages, type Message } from "./message.ts";
export type { Dump, Query, Request } from "./request.ts";
export { OverrunError, type Transport } from "./transport.ts";
export {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_NSID,
} from "./rtnl/constants.ts";
export {
  addAddress,
  type AddressFilter,
  deleteAddress,
  dumpAddresses,
  type InterfaceAddress,
  type NewAddress,
  replaceAddress,
} from "./rtnl/address.ts";
export type { Bridge, BridgeInfo } from "./rtnl/bridge.ts";
export { type BridgePort, setBridgePort } from "./rtnl/bridge_port.ts";
export {
  deleteFdbEntry,
  dumpFdb,
  type FdbEntry,
  type FdbFilter,
  type FdbKey,
  type FdbTable,
  type NewFdbEntry,
  replaceFdbEntry,
} from "./rtnl/fdb.ts";
export {
  createLink,
  deleteLink,
  deleteLinkGroup,
  dumpLinks,
  getLink,
  type LinkChanges,
  type LinkFilter,
  type LinkRef,
  type NewLink,
  renameLink,
  setLink,
} from "./rtnl/link.ts";
export type { LinkInfo, LinkKind, OtherInfo, Veth, VethInfo, VethPeer } from "./rtnl/link_kind.ts";
export type { Link, LinkStatistics } from "./rtnl/link_message.ts";
export {
  deleteNeighbour,
  dumpNeighbours,
  type Neighbour,
  type NeighbourFilter,
  type NeighbourState,
  type NewNeighbour,
  replaceNeighbour,
} from "./rtnl/neighbour.ts";
export { type Change, decodeNotifications, type Notification } from "./rtnl/notification.ts";
export {
  dumpNamespaceIds,
  getNamespaceId,
  type NamespaceRef,
  setNamespaceId,
} from "./rtnl/nsid.ts";
export {
  addRoute,
  deleteRoute,
  dumpRoutes,
  getRoute,
  type NewRoute,
  type OldRoute,
  replaceRoute,
  type RouteFilter,
  type RouteLookup,
} from "./rtnl/route.ts";
export type { NextHop, Route, RouteType } from "./rtnl/route_message.ts";
export type { PortRange, Vxlan, VxlanChanges, VxlanInfo } from "./rtnl/vxlan.ts";
