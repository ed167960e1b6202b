import type { AttributeReader, Filling } from "../attribute_reader.ts";
import { type AttributeWriter, checkRange } from "../attribute_writer.ts";
import * as c from "./constants.ts";

/** An Ethernet switch. What is left out has the kernel's default. */
export interface Bridge {
  /** The kernel's name of the kind. */
  readonly kind: "bridge";
  /** How long a port listens before it forwards, in hundredths of a second (`USER_HZ`). */
  readonly forwardDelayCentiseconds?: number;
  /** How long a learned entry lives, in hundredths of a second (`USER_HZ`). */
  readonly ageingCentiseconds?: number;
  /** Keep VLANs apart. */
  readonly vlanFiltering?: boolean;
  /** Forward multicast only to ports that asked for it. */
  readonly multicastSnooping?: boolean;
  /** The VLAN that ports get by themselves; 0 for none, so that an entry is not there twice. */
  readonly vlanDefaultPvid?: number;
}

/** A bridge. */
export interface BridgeInfo {
  /** The kernel's name of the kind. */
  readonly kind: "bridge";
  /** How long a learned entry lives, in hundredths of a second (`USER_HZ`). */
  readonly ageingCentiseconds: number;
  /** The spanning tree protocol runs, in the kernel or beside it. */
  readonly stp: boolean;
  /** VLANs are kept apart. */
  readonly vlanFiltering: boolean;
  /** Multicast goes only to ports that asked for it. */
  readonly multicastSnooping: boolean;
  /** Null when the kernel has no VLANs in bridges. */
  readonly vlanDefaultPvid: number | null;
}

/** Writes `IFLA_INFO_DATA`. */
export function writeBridge(writer: AttributeWriter, bridge: Bridge): void {
  if (bridge.forwardDelayCentiseconds !== undefined) {
    writer.u32(c.IFLA_BR_FORWARD_DELAY, bridge.forwardDelayCentiseconds);
  }
  if (bridge.ageingCentiseconds !== undefined) {
    writer.u32(c.IFLA_BR_AGEING_TIME, bridge.ageingCentiseconds);
  }
  if (bridge.vlanFiltering !== undefined) {
    writer.u8(c.IFLA_BR_VLAN_FILTERING, Number(bridge.vlanFiltering));
  }
  if (bridge.vlanDefaultPvid !== undefined) {
    checkRange("VLAN id", bridge.vlanDefaultPvid, 0, 4094);
    writer.u16(c.IFLA_BR_VLAN_DEFAULT_PVID, bridge.vlanDefaultPvid);
  }
  if (bridge.multicastSnooping !== undefined) {
    writer.u8(c.IFLA_BR_MCAST_SNOOPING, Number(bridge.multicastSnooping));
  }
}

/**
 * Decodes `IFLA_INFO_DATA`.
 *
 * @throws {DecodeError}
 */
export function readBridge(reader: AttributeReader | null): BridgeInfo {
  const bridge: Filling<BridgeInfo> = {
    kind: "bridge",
    ageingCentiseconds: 0,
    stp: false,
    vlanFiltering: false,
    multicastSnooping: false,
    vlanDefaultPvid: null,
  };
  while (reader?.next()) {
    switch (reader.type) {
      case c.IFLA_BR_AGEING_TIME:
        bridge.ageingCentiseconds = reader.u32();
        break;
      case c.IFLA_BR_STP_STATE:
        bridge.stp = reader.u32() !== 0;
        break;
      case c.IFLA_BR_VLAN_FILTERING:
        bridge.vlanFiltering = reader.u8() !== 0;
        break;
      case c.IFLA_BR_MCAST_SNOOPING:
        bridge.multicastSnooping = reader.u8() !== 0;
        break;
      case c.IFLA_BR_VLAN_DEFAULT_PVID:
        bridge.vlanDefaultPvid = reader.u16();
        break;
    }
  }
  return bridge;
}
