/**
 * Netlink, the kernel's own interface to its network: a pure codec for messages and attributes, for
 * rtnetlink's links, addresses, routes, neighbours, forwarding entries, namespace ids and traffic
 * control, for xfrm's SAs and policies (IPsec), and a {@linkcode Connection} that sends requests,
 * matches acks and reads dumps over a {@linkcode Transport} that somebody else implements.
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
 * - Keys of SAs go in, as `SecretBytes`, and never come out: what is decoded has none, a request shows
 *   none. The bytes that a transport carries do have them: nobody may log those.
 * - rtnetlink and xfrm are two kinds of sockets, with the same numbers for different messages:
 *   {@linkcode decodeNotifications} is for the one, {@linkcode decodeXfrmNotifications} for the other.
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
export type { ComparableDump, Dump, Query, Request } from "./request.ts";
export { TableDigest } from "./table_digest.ts";
export { OverrunError, type Transport } from "./transport.ts";
export {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_NSID,
  RTNLGRP_TC,
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
export { addClsact, deleteClsact, dumpQdiscs, type Qdisc } from "./rtnl/tc_qdisc.ts";
export type { FilterAction } from "./rtnl/tc_action.ts";
export type { FlowerMatch, UdpPorts } from "./rtnl/tc_flower.ts";
export {
  addDropFilter,
  deleteFilter,
  dumpFilters,
  type Filter,
  type FilterHook,
  type FilterId,
  type NewDropFilter,
  replaceDropFilter,
} from "./rtnl/tc_filter.ts";
export type { TrafficCounters } from "./rtnl/tc_stats.ts";
export type { Aead, AeadInfo } from "./xfrm/aead.ts";
export {
  IPPROTO_ESP,
  XFRMNLGRP_ACQUIRE,
  XFRMNLGRP_AEVENTS,
  XFRMNLGRP_EXPIRE,
  XFRMNLGRP_POLICY,
  XFRMNLGRP_SA,
} from "./xfrm/constants.ts";
export { countPolicies, countSas, type PolicyCount } from "./xfrm/counts.ts";
export type { Lifetimes, LifetimeUse } from "./xfrm/lifetime.ts";
export type { Mark } from "./xfrm/mark.ts";
export type { XfrmMode, XfrmModeInfo } from "./xfrm/mode.ts";
export {
  type Acquire,
  decodeXfrmNotifications,
  type ExpiredSa,
  type Limit,
  type XfrmNotification,
} from "./xfrm/notification.ts";
export {
  addPolicy,
  deletePolicy,
  dumpPolicies,
  flushPolicies,
  getPolicy,
  type NewPolicy,
  type PolicyId,
  replacePolicy,
} from "./xfrm/policy.ts";
export type { Policy, PolicyAction, PolicyDirection } from "./xfrm/policy_message.ts";
export type { Replay } from "./xfrm/replay.ts";
export {
  getReplayState,
  type ReplayState,
  type ReplayTarget,
  setReplayState,
} from "./xfrm/replay_state.ts";
export {
  addSa,
  deleteSa,
  dumpSas,
  flushSas,
  formatSpi,
  getSa,
  type NewSa,
  type SaId,
  updateLarvalSa,
} from "./xfrm/sa.ts";
export type { Sa, SaRefusals } from "./xfrm/sa_message.ts";
export type { PortMatch, Selector } from "./xfrm/selector.ts";
export { parseXfrmStat } from "./xfrm/stat.ts";
export type { NewTemplate, Template } from "./xfrm/template.ts";
