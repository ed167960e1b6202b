import type { AttributeReader, Filling } from "../attribute_reader.ts";
import { AttributeWriter } from "../attribute_writer.ts";
import { AF_BRIDGE, NLM_F_ACK, NLM_F_REQUEST } from "../constants.ts";
import type { Request } from "../request.ts";
import * as c from "./constants.ts";
import { encodeIfinfomsg } from "./ifinfomsg.ts";

/** What a bridge does at one of its ports. */
export interface BridgePort {
  /** Learn the sources of frames that come in: a door for forgers. */
  readonly learning: boolean;
  /** Send frames out here whose destination is unknown. */
  readonly unicastFlood: boolean;
  /** Send frames out here whose multicast group is unknown. */
  readonly multicastFlood: boolean;
  /** Send broadcasts out here. */
  readonly broadcastFlood: boolean;
  /** Answer ARP here from the neighbour table of the bridge. */
  readonly neighbourSuppression: boolean;
  /** Exchange nothing with other isolated ports. */
  readonly isolated: boolean;
}

/** The attributes in the order in which iproute2 sends them. */
const FLAGS: readonly (readonly [keyof BridgePort, number])[] = [
  ["unicastFlood", c.IFLA_BRPORT_UNICAST_FLOOD],
  ["multicastFlood", c.IFLA_BRPORT_MCAST_FLOOD],
  ["broadcastFlood", c.IFLA_BRPORT_BCAST_FLOOD],
  ["learning", c.IFLA_BRPORT_LEARNING],
  ["neighbourSuppression", c.IFLA_BRPORT_NEIGH_SUPPRESS],
  ["isolated", c.IFLA_BRPORT_ISOLATED],
];

/**
 * Sets flags of a bridge's port; what is left out stays as it is.
 *
 * @param index the port, not the bridge
 * @throws {RangeError}
 */
export function setBridgePort(index: number, changes: Partial<BridgePort>): Request {
  const writer = new AttributeWriter(encodeIfinfomsg({ family: AF_BRIDGE, index }));
  // Without the flag of nests the kernel says EINVAL and no word why.
  writer.flaggedNest(c.IFLA_PROTINFO, () => {
    for (const [name, type] of FLAGS) {
      const value = changes[name];
      if (value !== undefined) writer.u8(type, Number(value));
    }
  });
  return {
    describe: () => `set bridge port with ifindex ${index}`,
    type: c.RTM_SETLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

/**
 * Decodes `IFLA_INFO_SLAVE_DATA` of a link, or `IFLA_PROTINFO` of a bridge's notification.
 *
 * @throws {DecodeError}
 */
export function readBridgePort(reader: AttributeReader): BridgePort {
  const port: Filling<BridgePort> = {
    learning: false,
    unicastFlood: false,
    multicastFlood: false,
    broadcastFlood: false,
    neighbourSuppression: false,
    isolated: false,
  };
  while (reader.next()) {
    for (const [name, type] of FLAGS) {
      if (type === reader.type) port[name] = reader.u8() !== 0;
    }
  }
  return port;
}
