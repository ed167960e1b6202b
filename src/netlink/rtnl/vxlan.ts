import type { IpAddress } from "../../base/mod.ts";
import { type AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { type AttributeWriter, checkRange } from "../attribute_writer.ts";
import { checkIfindex } from "./check.ts";
import * as c from "./constants.ts";

/**
 * A VXLAN tunnel (RFC 7348). What is left out has the kernel's default; its port is then 8472, not
 * IANA's 4789.
 */
export interface Vxlan {
  /** The kernel's name of the kind. */
  readonly kind: "vxlan";
  /** 1 … 2²⁴ − 1. It cannot be changed later. */
  readonly vni: number;
  /** Source address of the tunnel's packets. */
  readonly local?: IpAddress;
  /** Where frames go whose MAC address is unknown. */
  readonly remote?: IpAddress;
  /** The link that packets leave by, for a multicast `remote`. */
  readonly underlayIndex?: number;
  /** UDP destination port. It cannot be changed later. */
  readonly port?: number;
  /**
   * UDP source ports, `high` excluded: `{low: P, high: P + 1}` is P alone. The kernel takes equal
   * ends for "the default range".
   */
  readonly sourcePorts?: PortRange;
  /** Time to live of the outer packet; 0 inherits the inner one's. */
  readonly ttl?: number;
  /** Learn MAC addresses from received packets: a door for forgers, so usually false. */
  readonly learning?: boolean;
  /** How long a learned entry lives. */
  readonly ageingSeconds?: number;
  /** Answer ARP from the neighbour table. */
  readonly proxy?: boolean;
  /** Checksums of the outer UDP over IPv4. */
  readonly udpChecksum?: boolean;
  /** Send outer UDP over IPv6 without checksum. */
  readonly udpZeroChecksum6Transmit?: boolean;
  /** Take outer UDP over IPv6 without checksum. */
  readonly udpZeroChecksum6Receive?: boolean;
}

/** Ports from `low` up to, and without, `high`. */
export interface PortRange {
  /** The first one. */
  readonly low: number;
  /** The one after the last. */
  readonly high: number;
}

/** Options of a VXLAN device that can change later. */
export type VxlanChanges = Pick<Vxlan, "local" | "remote" | "learning" | "ageingSeconds">;

/** A VXLAN device. */
export interface VxlanInfo {
  /** The kernel's name of the kind. */
  readonly kind: "vxlan";
  /** 1 … 2²⁴ − 1; 0 when the device takes it from each packet. */
  readonly vni: number;
  /** Source address of the tunnel's packets. */
  readonly local: IpAddress | null;
  /** Where frames go whose MAC address is unknown. */
  readonly remote: IpAddress | null;
  /** The link that packets leave by. */
  readonly underlayIndex: number | null;
  /** UDP destination port. */
  readonly port: number;
  /** UDP source ports, `high` excluded; both 0 for the default range. */
  readonly sourcePorts: PortRange;
  /** Time to live of the outer packet; 0 inherits the inner one's. */
  readonly ttl: number;
  /** It learns MAC addresses from received packets. */
  readonly learning: boolean;
  /** How long a learned entry lives. */
  readonly ageingSeconds: number;
  /** It answers ARP from the neighbour table. */
  readonly proxy: boolean;
  /** The outer UDP over IPv4 has checksums. */
  readonly udpChecksum: boolean;
  /** The outer UDP over IPv6 is sent without checksum. */
  readonly udpZeroChecksum6Transmit: boolean;
  /** Outer UDP over IPv6 without checksum is taken. */
  readonly udpZeroChecksum6Receive: boolean;
}

/** Writes `IFLA_INFO_DATA`, in the order in which iproute2 does. */
export function writeVxlan(writer: AttributeWriter, vxlan: Vxlan): void {
  checkRange("VNI", vxlan.vni, 1, 0xffffff);
  if (vxlan.sourcePorts !== undefined) writePortRange(writer, vxlan.sourcePorts);
  if (vxlan.ageingSeconds !== undefined) writer.u32(c.IFLA_VXLAN_AGEING, vxlan.ageingSeconds);
  writeFlag(writer, c.IFLA_VXLAN_PROXY, vxlan.proxy);
  writeFlag(writer, c.IFLA_VXLAN_UDP_CSUM, vxlan.udpChecksum);
  writeFlag(writer, c.IFLA_VXLAN_UDP_ZERO_CSUM6_TX, vxlan.udpZeroChecksum6Transmit);
  writeFlag(writer, c.IFLA_VXLAN_UDP_ZERO_CSUM6_RX, vxlan.udpZeroChecksum6Receive);
  if (vxlan.underlayIndex !== undefined) {
    checkIfindex(vxlan.underlayIndex);
    writer.u32(c.IFLA_VXLAN_LINK, vxlan.underlayIndex);
  }
  if (vxlan.ttl !== undefined) writer.u8(c.IFLA_VXLAN_TTL, vxlan.ttl);
  writer.u32(c.IFLA_VXLAN_ID, vxlan.vni);
  writeEnds(writer, vxlan);
  writeFlag(writer, c.IFLA_VXLAN_LEARNING, vxlan.learning);
  if (vxlan.port !== undefined) {
    checkRange("UDP port", vxlan.port, 1, 0xffff);
    writer.u16be(c.IFLA_VXLAN_PORT, vxlan.port);
  }
}

/** Writes those attributes of `IFLA_INFO_DATA` that can change later. */
export function writeVxlanChanges(writer: AttributeWriter, changes: VxlanChanges): void {
  if (changes.ageingSeconds !== undefined) writer.u32(c.IFLA_VXLAN_AGEING, changes.ageingSeconds);
  writeEnds(writer, changes);
  writeFlag(writer, c.IFLA_VXLAN_LEARNING, changes.learning);
}

function writeEnds(writer: AttributeWriter, { local, remote }: VxlanChanges): void {
  if (local !== undefined && remote !== undefined && local.family !== remote.family) {
    throw new RangeError(`Cannot encode VXLAN: ${local} and ${remote} are of different families`);
  }
  if (local !== undefined) {
    writer.ip(local.family === 4 ? c.IFLA_VXLAN_LOCAL : c.IFLA_VXLAN_LOCAL6, local);
  }
  if (remote !== undefined) {
    writer.ip(remote.family === 4 ? c.IFLA_VXLAN_GROUP : c.IFLA_VXLAN_GROUP6, remote);
  }
}

function writeFlag(writer: AttributeWriter, type: number, value: boolean | undefined): void {
  if (value !== undefined) writer.u8(type, Number(value));
}

/** `struct ifla_vxlan_port_range`: low and high, each `__be16`. */
function writePortRange(writer: AttributeWriter, { low, high }: PortRange): void {
  checkRange("lowest source port", low, 1, 0xffff);
  checkRange("end of source ports", high, low + 1, 0xffff);
  writer.bytes(
    c.IFLA_VXLAN_PORT_RANGE,
    Uint8Array.of(low >> 8, low & 0xff, high >> 8, high & 0xff),
  );
}

/**
 * Decodes `IFLA_INFO_DATA`.
 *
 * @throws {DecodeError}
 */
export function readVxlan(reader: AttributeReader | null): VxlanInfo {
  const vxlan: Filling<VxlanInfo> = {
    kind: "vxlan",
    vni: 0,
    local: null,
    remote: null,
    underlayIndex: null,
    port: 0,
    sourcePorts: { low: 0, high: 0 },
    ttl: 0,
    learning: false,
    ageingSeconds: 0,
    proxy: false,
    udpChecksum: false,
    udpZeroChecksum6Transmit: false,
    udpZeroChecksum6Receive: false,
  };
  while (reader?.next()) readVxlanAttribute(vxlan, reader);
  return vxlan;
}

function readVxlanAttribute(vxlan: Filling<VxlanInfo>, reader: AttributeReader): void {
  switch (reader.type) {
    case c.IFLA_VXLAN_ID:
      vxlan.vni = reader.u32();
      break;
    case c.IFLA_VXLAN_LOCAL:
    case c.IFLA_VXLAN_LOCAL6:
      vxlan.local = reader.ip();
      break;
    case c.IFLA_VXLAN_GROUP:
    case c.IFLA_VXLAN_GROUP6:
      vxlan.remote = reader.ip();
      break;
    case c.IFLA_VXLAN_LINK:
      vxlan.underlayIndex = reader.u32() || null;
      break;
    case c.IFLA_VXLAN_PORT:
      vxlan.port = reader.u16be();
      break;
    case c.IFLA_VXLAN_PORT_RANGE:
      vxlan.sourcePorts = readPortRange(reader);
      break;
    case c.IFLA_VXLAN_TTL:
      vxlan.ttl = reader.u8();
      break;
    case c.IFLA_VXLAN_LEARNING:
      vxlan.learning = reader.u8() !== 0;
      break;
    case c.IFLA_VXLAN_AGEING:
      vxlan.ageingSeconds = reader.u32();
      break;
    case c.IFLA_VXLAN_PROXY:
      vxlan.proxy = reader.u8() !== 0;
      break;
    case c.IFLA_VXLAN_UDP_CSUM:
      vxlan.udpChecksum = reader.u8() !== 0;
      break;
    case c.IFLA_VXLAN_UDP_ZERO_CSUM6_TX:
      vxlan.udpZeroChecksum6Transmit = reader.u8() !== 0;
      break;
    case c.IFLA_VXLAN_UDP_ZERO_CSUM6_RX:
      vxlan.udpZeroChecksum6Receive = reader.u8() !== 0;
      break;
  }
}

function readPortRange(reader: AttributeReader): PortRange {
  const view = headView(reader.bytes(), 4, "ifla_vxlan_port_range");
  return { low: view.getUint16(0), high: view.getUint16(2) };
}
