import { type IpFamily } from "../../base/mod.ts";
import { type AttributeReader, type Filling } from "../attribute_reader.ts";
import type { AttributeWriter } from "../attribute_writer.ts";
import { type FilterAction, readActions, writeDropAction } from "./tc_action.ts";
import * as c from "./tc_constants.ts";

/** Which packets a flower filter is for. */
export interface FlowerMatch {
  /** Number of an IP protocol (17 is UDP); null is any. */
  readonly protocol: number | null;
  /** Null is any. */
  readonly udpSourcePort: number | null;
  /** Null is any. */
  readonly udpDestinationPort: number | null;
  /**
   * The fields above, and the filter's Ethernet type, say all: it asks for nothing else, for no part
   * of a port, and it is not left to the hardware alone.
   */
  readonly complete: boolean;
}

/** UDP ports; at least one of the two. */
export interface UdpPorts {
  /** By default any. */
  readonly udpSourcePort?: number;
  /** By default any. */
  readonly udpDestinationPort?: number;
}

const WHOLE_PORT = 0xffff;

/** `TCA_CLS_FLAGS_SKIP_SW`: only hardware applies the filter. */
const SKIP_SW = 1 << 1;

/** `ETH_P_…` of IP packets. */
export function etherType(family: IpFamily): number {
  return family === 4 ? c.ETH_P_IP : c.ETH_P_IPV6;
}

/**
 * Writes the options of a filter that drops UDP packets.
 *
 * @throws {RangeError}
 */
export function writeUdpDrop(writer: AttributeWriter, family: IpFamily, ports: UdpPorts): void {
  const { udpSourcePort, udpDestinationPort } = ports;
  if (udpSourcePort === undefined && udpDestinationPort === undefined) {
    throw new RangeError("Cannot encode filter: neither a source nor a destination port is named");
  }
  writer.nest(c.TCA_OPTIONS, () => {
    writer.u8(c.TCA_FLOWER_KEY_IP_PROTO, c.IPPROTO_UDP);
    if (udpDestinationPort !== undefined) {
      writer.u16be(c.TCA_FLOWER_KEY_UDP_DST, udpDestinationPort);
    }
    if (udpSourcePort !== undefined) writer.u16be(c.TCA_FLOWER_KEY_UDP_SRC, udpSourcePort);
    writeDropAction(writer, c.TCA_FLOWER_ACT);
    writer.u32(c.TCA_FLOWER_FLAGS, 0);
    writer.u16be(c.TCA_FLOWER_KEY_ETH_TYPE, etherType(family));
  });
}

/** Reads the options of a flower filter. @throws {DecodeError} */
export function readFlower(
  reader: AttributeReader,
): { readonly match: FlowerMatch; readonly actions: readonly FilterAction[] } {
  let actions: readonly FilterAction[] = [];
  const match: Filling<FlowerMatch> = {
    protocol: null,
    udpSourcePort: null,
    udpDestinationPort: null,
    complete: true,
  };
  while (reader.next()) {
    switch (reader.type) {
      case c.TCA_FLOWER_ACT:
        actions = readActions(reader.nest());
        break;
      case c.TCA_FLOWER_KEY_IP_PROTO:
        match.protocol = reader.u8();
        break;
      case c.TCA_FLOWER_KEY_UDP_SRC:
        match.udpSourcePort = reader.u16be();
        break;
      case c.TCA_FLOWER_KEY_UDP_DST:
        match.udpDestinationPort = reader.u16be();
        break;
      case c.TCA_FLOWER_KEY_UDP_SRC_MASK:
      case c.TCA_FLOWER_KEY_UDP_DST_MASK:
        if (reader.u16be() !== WHOLE_PORT) match.complete = false;
        break;
      case c.TCA_FLOWER_FLAGS:
        if ((reader.u32() & SKIP_SW) !== 0) match.complete = false;
        break;
      case c.TCA_FLOWER_KEY_ETH_TYPE:
      case c.TCA_FLOWER_IN_HW_COUNT:
        break;
      default:
        match.complete = false;
    }
  }
  return { match, actions };
}
