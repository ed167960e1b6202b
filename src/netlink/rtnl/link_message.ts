import type { MacText } from "../../base/mod.ts";
import { AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { AF_BRIDGE } from "../constants.ts";
import type { Message } from "../message.ts";
import { type BridgePort, readBridgePort } from "./bridge_port.ts";
import * as c from "./constants.ts";
import { decodeIfinfomsg, IFINFOMSG_BYTES } from "./ifinfomsg.ts";
import { type LinkInfo, readLinkInfo } from "./link_kind.ts";

/** A network interface, as the kernel describes it. */
export interface Link {
  /** Names it in its namespace, for its whole life there. */
  readonly index: number;
  /** Can change at any time. */
  readonly name: string;
  /** `ARPHRD_…`: 1 is Ethernet, 772 loopback. */
  readonly deviceType: number;
  /** `IFF_…`, of which the next three are part. */
  readonly flags: number;
  /** Someone has set it up. */
  readonly up: boolean;
  /** It has a carrier as well. */
  readonly lowerUp: boolean;
  /** It is `lo`. */
  readonly loopback: boolean;
  /** Null when it is none of 6 bytes. */
  readonly address: MacText | null;
  /** The longest packet that it carries, without the Ethernet header. */
  readonly mtuBytes: number;
  /** Ifindex of the bridge it is a port of. */
  readonly master: number | null;
  /** 0 unless somebody put it in another. */
  readonly group: number;
  /** A text for people, put there by somebody. */
  readonly alias: string | null;
  /** Ifindex of the link below it, or of a veth's peer; see {@linkcode linkNamespaceId}. */
  readonly linkIndex: number | null;
  /** The namespace {@linkcode linkIndex} is in; null for this one, −1 when it has no id here. */
  readonly linkNamespaceId: number | null;
  /** Null for physical devices and others that have no kind. */
  readonly info: LinkInfo | null;
  /** How its bridge treats it; null when it is no port of a bridge. */
  readonly bridgePort: BridgePort | null;
  /** Null in what bridges say of their ports. */
  readonly statistics: LinkStatistics | null;
}

/** The first counters of `struct rtnl_link_stats64`. */
export interface LinkStatistics {
  /** `rx_packets` */
  readonly receivedPackets: bigint;
  /** `tx_packets` */
  readonly sentPackets: bigint;
  /** `rx_bytes` */
  readonly receivedBytes: bigint;
  /** `tx_bytes` */
  readonly sentBytes: bigint;
  /** `rx_errors` */
  readonly receiveErrors: bigint;
  /** `tx_errors` */
  readonly sendErrors: bigint;
  /** `rx_dropped` */
  readonly receiveDropped: bigint;
  /** `tx_dropped` */
  readonly sendDropped: bigint;
}

/**
 * Decodes `RTM_NEWLINK` and `RTM_DELLINK`.
 *
 * @throws {DecodeError}
 */
export function decodeLink(message: Message): Link {
  const { family, deviceType, index, flags } = decodeIfinfomsg(message.payload);
  const link: Filling<Link> = {
    index,
    name: "",
    deviceType,
    flags,
    up: (flags & c.IFF_UP) !== 0,
    lowerUp: (flags & c.IFF_LOWER_UP) !== 0,
    loopback: (flags & c.IFF_LOOPBACK) !== 0,
    address: null,
    mtuBytes: 0,
    master: null,
    group: 0,
    alias: null,
    linkIndex: null,
    linkNamespaceId: null,
    info: null,
    bridgePort: null,
    statistics: null,
  };
  const reader = new AttributeReader(message.payload, IFINFOMSG_BYTES);
  while (reader.next()) {
    // In messages of other families the same number is something else.
    if (reader.type !== c.IFLA_PROTINFO || family === AF_BRIDGE) readLinkAttribute(link, reader);
  }
  return link;
}

function readLinkAttribute(link: Filling<Link>, reader: AttributeReader): void {
  switch (reader.type) {
    case c.IFLA_IFNAME:
      link.name = reader.string();
      break;
    case c.IFLA_ADDRESS:
      // Tunnels have IP addresses here, InfiniBand 20 bytes.
      link.address = reader.length === 6 ? reader.mac() : null;
      break;
    case c.IFLA_MTU:
      link.mtuBytes = reader.u32();
      break;
    case c.IFLA_MASTER:
      link.master = reader.u32() || null;
      break;
    case c.IFLA_GROUP:
      link.group = reader.u32();
      break;
    case c.IFLA_IFALIAS:
      link.alias = reader.string();
      break;
    case c.IFLA_LINK:
      link.linkIndex = reader.u32() || null;
      break;
    case c.IFLA_LINK_NETNSID:
      link.linkNamespaceId = reader.i32();
      break;
    case c.IFLA_LINKINFO:
      readInfo(link, reader.nest());
      break;
    case c.IFLA_PROTINFO:
      link.bridgePort = readBridgePort(reader.nest());
      break;
    case c.IFLA_STATS64:
      link.statistics = readStatistics(reader.bytes());
      break;
  }
}

function readInfo(link: Filling<Link>, reader: AttributeReader): void {
  let kind: string | null = null;
  let data: AttributeReader | null = null;
  let slaveKind: string | null = null;
  let slaveData: AttributeReader | null = null;
  while (reader.next()) {
    switch (reader.type) {
      case c.IFLA_INFO_KIND:
        kind = reader.string();
        break;
      case c.IFLA_INFO_DATA:
        data = reader.nest();
        break;
      case c.IFLA_INFO_SLAVE_KIND:
        slaveKind = reader.string();
        break;
      case c.IFLA_INFO_SLAVE_DATA:
        slaveData = reader.nest();
        break;
    }
  }
  if (kind !== null) link.info = readLinkInfo(kind, data);
  if (slaveKind === "bridge" && slaveData !== null) link.bridgePort = readBridgePort(slaveData);
}

/** `struct rtnl_link_stats64`, each counter 8 bytes; newer kernels append to it. */
function readStatistics(bytes: Uint8Array): LinkStatistics {
  const view = headView(bytes, 64, "rtnl_link_stats64");
  return {
    receivedPackets: view.getBigUint64(0, true),
    sentPackets: view.getBigUint64(8, true),
    receivedBytes: view.getBigUint64(16, true),
    sentBytes: view.getBigUint64(24, true),
    receiveErrors: view.getBigUint64(32, true),
    sendErrors: view.getBigUint64(40, true),
    receiveDropped: view.getBigUint64(48, true),
    sendDropped: view.getBigUint64(56, true),
  };
}
