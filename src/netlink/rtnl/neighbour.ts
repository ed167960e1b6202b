import type { IpAddress, IpFamily, MacText } from "../../base/mod.ts";
import { AttributeReader } from "../attribute_reader.ts";
import { AttributeWriter } from "../attribute_writer.ts";
import {
  AF_UNSPEC,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
} from "../constants.ts";
import type { Message } from "../message.ts";
import type { ComparableDump, Request } from "../request.ts";
import { checkIfindex } from "./check.ts";
import * as c from "./constants.ts";
import { addressFamily, checkFamily, ipFamily } from "./family.ts";
import { blankUse, decodeNdmsg, encodeNdmsg, NDMSG_BYTES } from "./ndmsg.ts";

/** What the kernel knows of a neighbour: `NUD_…` in lower case. */
export type NeighbourState =
  | "none"
  | "incomplete"
  | "reachable"
  | "stale"
  | "delay"
  | "probe"
  | "failed"
  | "noarp"
  | "permanent"
  | "unknown";

/** An entry of the neighbour (ARP) table. */
export interface Neighbour {
  /** Ifindex of the link it is reached by. */
  readonly index: number;
  /** Whom the entry is about. */
  readonly address: IpAddress;
  /** Null while it is not known, and for links without addresses of 6 bytes. */
  readonly mac: MacText | null;
  /** How sure the kernel is of it. */
  readonly state: NeighbourState;
}

/** A neighbour to set. */
export interface NewNeighbour {
  /** Ifindex of the link it is reached by. */
  readonly index: number;
  /** Whom the entry is about. */
  readonly address: IpAddress;
  /** Its address on the link. */
  readonly mac: MacText;
  /** Permanent entries are never asked for, never age, and do not count against `gc_thresh3`. */
  readonly state: "permanent" | "noarp" | "reachable" | "stale";
}

/** What a dump of neighbours leaves out. */
export interface NeighbourFilter {
  /** Only IPv4 or only IPv6. */
  readonly family?: IpFamily;
  /** Only those of this link. */
  readonly index?: number;
}

const STATES: ReadonlyMap<number, NeighbourState> = new Map([
  [c.NUD_NONE, "none"],
  [c.NUD_INCOMPLETE, "incomplete"],
  [c.NUD_REACHABLE, "reachable"],
  [c.NUD_STALE, "stale"],
  [c.NUD_DELAY, "delay"],
  [c.NUD_PROBE, "probe"],
  [c.NUD_FAILED, "failed"],
  [c.NUD_NOARP, "noarp"],
  [c.NUD_PERMANENT, "permanent"],
]);

const NEW_STATES: Readonly<Record<NewNeighbour["state"], number>> = {
  permanent: c.NUD_PERMANENT,
  noarp: c.NUD_NOARP,
  reachable: c.NUD_REACHABLE,
  stale: c.NUD_STALE,
};

/**
 * Sets a neighbour, whether there is one for the address or not.
 *
 * @throws {RangeError}
 */
export function replaceNeighbour(neighbour: NewNeighbour): Request {
  const { index, address, mac, state } = neighbour;
  checkIfindex(index);
  const family = addressFamily(address.family);
  const writer = new AttributeWriter(encodeNdmsg({ family, index, state: NEW_STATES[state] }));
  writer.ip(c.NDA_DST, address).mac(c.NDA_LLADDR, mac);
  return {
    describe: () => `replace neighbour ${address} (${mac}) on ifindex ${index}`,
    type: c.RTM_NEWNEIGH,
    flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | NLM_F_CREATE,
    payload: writer.finish(),
  };
}

/**
 * Deletes a neighbour; `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function deleteNeighbour(
  { index, address }: Pick<Neighbour, "index" | "address">,
): Request {
  checkIfindex(index);
  // The kernel does not look at the state; iproute2 says permanent.
  const family = addressFamily(address.family);
  const writer = new AttributeWriter(encodeNdmsg({ family, index, state: c.NUD_PERMANENT }));
  return {
    describe: () => `delete neighbour ${address} on ifindex ${index}`,
    type: c.RTM_DELNEIGH,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.ip(c.NDA_DST, address).finish(),
  };
}

/**
 * Asks for the neighbours of the namespace, filtered in the kernel.
 *
 * @throws {RangeError}
 */
export function dumpNeighbours(filter: NeighbourFilter = {}): ComparableDump<Neighbour> {
  const { family, index } = filter;
  const head = encodeNdmsg({ family: family === undefined ? AF_UNSPEC : addressFamily(family) });
  const writer = new AttributeWriter(head);
  if (index !== undefined) {
    checkIfindex(index);
    writer.u32(c.NDA_IFINDEX, index);
  }
  return {
    answer: "many",
    describe: () => "dump neighbours",
    type: c.RTM_GETNEIGH,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: writer.finish(),
    decode: decodeNeighbour,
    blank: blankUse,
  };
}

/**
 * Decodes `RTM_NEWNEIGH` and `RTM_DELNEIGH`; null when it is of neither IPv4 nor IPv6.
 *
 * @throws {DecodeError}
 */
export function decodeNeighbour(message: Message): Neighbour | null {
  const head = decodeNdmsg(message.payload);
  const family = ipFamily(head.family);
  if (family === null) return null;
  let address: IpAddress | null = null;
  let mac: MacText | null = null;
  const reader = new AttributeReader(message.payload, NDMSG_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.NDA_DST:
        address = checkFamily(reader.ip(), family);
        break;
      case c.NDA_LLADDR:
        mac = reader.length === 6 ? reader.mac() : null;
        break;
    }
  }
  if (address === null) return null;
  return { index: head.index, address, mac, state: STATES.get(head.state) ?? "unknown" };
}
