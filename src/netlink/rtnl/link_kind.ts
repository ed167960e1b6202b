import type { MacText } from "../../base/mod.ts";
import type { AttributeReader } from "../attribute_reader.ts";
import type { AttributeWriter } from "../attribute_writer.ts";
import { type Bridge, type BridgeInfo, readBridge, writeBridge } from "./bridge.ts";
import { checkLinkName } from "./check.ts";
import * as c from "./constants.ts";
import { encodeIfinfomsg } from "./ifinfomsg.ts";
import {
  readVxlan,
  type Vxlan,
  type VxlanChanges,
  type VxlanInfo,
  writeVxlan,
  writeVxlanChanges,
} from "./vxlan.ts";

/** What kind of link to make, with the options of that kind. */
export type LinkKind = Veth | Bridge | Vxlan;

/** A pair of links; what enters one end leaves the other. */
export interface Veth {
  /** The kernel's name of the kind. */
  readonly kind: "veth";
  /** The other end. */
  readonly peer: VethPeer;
}

/**
 * The other end of a {@linkcode Veth}, in a namespace of its own if `namespaceFd` says so. It cannot
 * be set up in the same message: the kernel opens it before it knows its partner (`ENOTCONN`).
 */
export interface VethPeer {
  /** 1 … 15 bytes. */
  readonly name: string;
  /** A chosen ifindex, so that one batch can make a link and refer to it. */
  readonly index?: number;
  /** A descriptor of this process. By default the peer is in the socket's namespace. */
  readonly namespaceFd?: number;
  /** By default the kernel draws one. */
  readonly address?: MacText;
  /** By default that of the first end. */
  readonly mtuBytes?: number;
}

/** What the kernel says about a link's kind. */
export type LinkInfo = VethInfo | BridgeInfo | VxlanInfo | OtherInfo;

/** A link of a pair; the peer is the link's `linkIndex`, in the namespace `linkNamespaceId`. */
export interface VethInfo {
  /** The kernel's name of the kind. */
  readonly kind: "veth";
}

/** A kind that is not decoded. */
export interface OtherInfo {
  /** Tells it from the kinds that are decoded. */
  readonly kind: "other";
  /** The kernel's name of the kind: `dummy`, `wireguard`, … */
  readonly name: string;
}

/** Writes `IFLA_LINKINFO`. */
export function writeLinkKind(writer: AttributeWriter, kind: LinkKind): void {
  writer.nest(c.IFLA_LINKINFO, () => {
    writer.bareString(c.IFLA_INFO_KIND, kind.kind);
    if (!hasData(kind)) return;
    writer.nest(c.IFLA_INFO_DATA, () => {
      switch (kind.kind) {
        case "veth":
          return writeVeth(writer, kind);
        case "bridge":
          return writeBridge(writer, kind);
        case "vxlan":
          return writeVxlan(writer, kind);
      }
    });
  });
}

/** Writes `IFLA_LINKINFO` for a VXLAN device that exists. */
export function writeLinkKindChanges(writer: AttributeWriter, changes: VxlanChanges): void {
  writer.nest(c.IFLA_LINKINFO, () => {
    writer.bareString(c.IFLA_INFO_KIND, "vxlan");
    writer.nest(c.IFLA_INFO_DATA, () => writeVxlanChanges(writer, changes));
  });
}

/** A nest without content is left out, as iproute2 does. */
function hasData(kind: LinkKind): boolean {
  return kind.kind !== "bridge" || Object.keys(kind).length > 1;
}

function writeVeth(writer: AttributeWriter, { peer }: Veth): void {
  checkLinkName(peer.name);
  writer.nest(c.VETH_INFO_PEER, () => {
    writer.raw(encodeIfinfomsg({ index: peer.index }));
    if (peer.mtuBytes !== undefined) writer.u32(c.IFLA_MTU, peer.mtuBytes);
    if (peer.namespaceFd !== undefined) writer.u32(c.IFLA_NET_NS_FD, peer.namespaceFd);
    if (peer.address !== undefined) writer.mac(c.IFLA_ADDRESS, peer.address);
    writer.string(c.IFLA_IFNAME, peer.name);
  });
}

/**
 * Decodes `IFLA_INFO_DATA`; attributes of newer kernels are skipped.
 *
 * @param data null when the kernel sent none
 * @throws {DecodeError}
 */
export function readLinkInfo(name: string, data: AttributeReader | null): LinkInfo {
  switch (name) {
    case "veth":
      return { kind: "veth" };
    case "bridge":
      return readBridge(data);
    case "vxlan":
      return readVxlan(data);
    default:
      return { kind: "other", name };
  }
}
