import { encodeUtf8, type MacText } from "../../base/mod.ts";
import { AttributeWriter, checkRange } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from "../constants.ts";
import type { Dump, Query, Request } from "../request.ts";
import { checkLinkName } from "./check.ts";
import * as c from "./constants.ts";
import { encodeIfinfomsg } from "./ifinfomsg.ts";
import { type LinkKind, writeLinkKind, writeLinkKindChanges } from "./link_kind.ts";
import { decodeLink, type Link } from "./link_message.ts";
import type { VxlanChanges } from "./vxlan.ts";

/** A link by its ifindex, or by its name. */
export type LinkRef = number | string;

/** A link to make. What is left out has the kernel's default. */
export interface NewLink {
  /** 1 … 15 bytes. */
  readonly name: string;
  /** What to make. */
  readonly kind: LinkKind;
  /** A chosen ifindex, so that one batch can make a link and refer to it. */
  readonly index?: number;
  /** To be set here: changing it later removes the device's permanent neighbours. */
  readonly address?: MacText;
  /** The longest packet that it carries, without the Ethernet header. */
  readonly mtuBytes?: number;
  /** Ifindex of the bridge it becomes a port of. */
  readonly master?: number;
  /** A number to delete many links at once by. */
  readonly group?: number;
  /** Make it in the namespace of this descriptor of this process. */
  readonly namespaceFd?: number;
  /** Set it up at once. */
  readonly up?: boolean;
}

/** Changes of a link; what is left out stays as it is. */
export interface LinkChanges {
  /** Set it up or down. */
  readonly up?: boolean;
  /** Removes the device's permanent neighbours. */
  readonly address?: MacText;
  /** The longest packet that it carries, without the Ethernet header. */
  readonly mtuBytes?: number;
  /** Ifindex of a bridge; null takes the link out of its bridge. */
  readonly master?: number | null;
  /** A number to delete many links at once by. */
  readonly group?: number;
  /** At most 255 bytes; the kernel ignores it when a link is made. Empty takes it away. */
  readonly alias?: string;
  /**
   * Moves the link; it loses its addresses, its routes and its bridge, and gets another ifindex where
   * the old one is taken.
   */
  readonly namespaceFd?: number;
  /** Options of a VXLAN device; VNI and port cannot change. */
  readonly vxlan?: VxlanChanges;
}

/** What a dump of links leaves out. */
export interface LinkFilter {
  /** Only ports of this bridge. */
  readonly master?: number;
  /** Only this kind: `vxlan`, `bridge`, `veth`, … */
  readonly kind?: string;
}

/**
 * Makes a link, and refuses with `EEXIST` when the name or ifindex is taken. (Without `NLM_F_EXCL`
 * the kernel would answer 0 for a name that exists, even for a link of another kind.)
 *
 * @throws {RangeError}
 */
export function createLink(link: NewLink): Request {
  checkLinkName(link.name);
  const writer = new AttributeWriter(encodeIfinfomsg({ index: link.index, up: link.up }));
  if (link.mtuBytes !== undefined) writer.u32(c.IFLA_MTU, link.mtuBytes);
  if (link.namespaceFd !== undefined) writer.u32(c.IFLA_NET_NS_FD, link.namespaceFd);
  if (link.address !== undefined) writer.mac(c.IFLA_ADDRESS, link.address);
  if (link.master !== undefined) writer.u32(c.IFLA_MASTER, link.master);
  if (link.group !== undefined) writer.u32(c.IFLA_GROUP, link.group);
  writer.string(c.IFLA_IFNAME, link.name);
  writeLinkKind(writer, link.kind);
  return {
    describe: () => `create ${link.kind.kind} link ${link.name}`,
    type: c.RTM_NEWLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE,
    payload: writer.finish(),
  };
}

/**
 * Changes a link that exists.
 *
 * @throws {RangeError}
 */
export function setLink(link: LinkRef, changes: LinkChanges): Request {
  const writer = new AttributeWriter(encodeIfinfomsg({ index: indexOf(link), up: changes.up }));
  writeName(writer, link);
  if (changes.mtuBytes !== undefined) writer.u32(c.IFLA_MTU, changes.mtuBytes);
  if (changes.namespaceFd !== undefined) writer.u32(c.IFLA_NET_NS_FD, changes.namespaceFd);
  if (changes.address !== undefined) writer.mac(c.IFLA_ADDRESS, changes.address);
  if (changes.master !== undefined) writer.u32(c.IFLA_MASTER, changes.master ?? 0);
  if (changes.group !== undefined) writer.u32(c.IFLA_GROUP, changes.group);
  if (changes.alias !== undefined) {
    const alias = encodeUtf8(changes.alias);
    checkRange("length of alias", alias.length, 0, 255);
    writer.bytes(c.IFLA_IFALIAS, alias);
  }
  if (changes.vxlan !== undefined) writeLinkKindChanges(writer, changes.vxlan);
  return {
    describe: () => `change ${describeLink(link)}`,
    type: c.RTM_NEWLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

/**
 * Gives a link another name. By its index only: in one message there is room for one name.
 *
 * @throws {RangeError}
 */
export function renameLink(index: number, name: string): Request {
  checkLinkName(name);
  const writer = new AttributeWriter(encodeIfinfomsg({ index }));
  writer.string(c.IFLA_IFNAME, name);
  return {
    describe: () => `rename ${describeLink(index)} to ${name}`,
    type: c.RTM_NEWLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

/**
 * Deletes a link, and of a veth its peer too. It holds the kernel 16 ms and more.
 *
 * @throws {RangeError}
 */
export function deleteLink(link: LinkRef): Request {
  const writer = new AttributeWriter(encodeIfinfomsg({ index: indexOf(link) }));
  writeName(writer, link);
  return {
    describe: () => `delete ${describeLink(link)}`,
    type: c.RTM_DELLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

/**
 * Deletes every link of a group in hardly more time than one: 50 links in 22 ms.
 *
 * @throws {RangeError} for group 0, in which every link is that was put in no other
 */
export function deleteLinkGroup(group: number): Request {
  checkRange("link group", group, 1, 0xffffffff);
  return {
    describe: () => `delete links of group ${group}`,
    type: c.RTM_DELLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: new AttributeWriter(encodeIfinfomsg({})).u32(c.IFLA_GROUP, group).finish(),
  };
}

/**
 * Asks for one link.
 *
 * @throws {RangeError}
 */
export function getLink(link: LinkRef): Query<Link> {
  const writer = new AttributeWriter(encodeIfinfomsg({ index: indexOf(link) }));
  writer.u32(c.IFLA_EXT_MASK, c.RTEXT_FILTER_SKIP_STATS);
  writeName(writer, link);
  return {
    answer: "one",
    describe: () => `get ${describeLink(link)}`,
    type: c.RTM_GETLINK,
    flags: NLM_F_REQUEST,
    payload: writer.finish(),
    decode: decodeLink,
  };
}

/**
 * Asks for all links of the namespace, filtered in the kernel.
 *
 * Neither IPv6's counters (`RTEXT_FILTER_SKIP_STATS`, 300 bytes a link) are asked for, nor virtual
 * functions of network cards (`RTEXT_FILTER_VF`): a card with hundreds of
 * them makes messages that do not fit a part of a dump.
 */
export function dumpLinks(filter: LinkFilter = {}): Dump<Link> {
  const writer = new AttributeWriter(encodeIfinfomsg({}));
  writer.u32(c.IFLA_EXT_MASK, c.RTEXT_FILTER_SKIP_STATS);
  if (filter.master !== undefined) writer.u32(c.IFLA_MASTER, filter.master);
  const { kind } = filter;
  if (kind !== undefined) {
    writer.nest(c.IFLA_LINKINFO, () => writer.bareString(c.IFLA_INFO_KIND, kind));
  }
  return {
    answer: "many",
    describe: () => "dump links",
    type: c.RTM_GETLINK,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: writer.finish(),
    decode: decodeLink,
  };
}

function indexOf(link: LinkRef): number | undefined {
  return typeof link === "number" ? link : undefined;
}

function writeName(writer: AttributeWriter, link: LinkRef): void {
  if (typeof link === "number") return;
  checkLinkName(link);
  writer.string(c.IFLA_IFNAME, link);
}

function describeLink(link: LinkRef): string {
  return typeof link === "number" ? `link with ifindex ${link}` : `link ${link}`;
}
