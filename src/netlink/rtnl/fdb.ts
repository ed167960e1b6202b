import type { IpAddress, MacText } from "../../base/mod.ts";
import { AttributeReader, type Filling } from "../attribute_reader.ts";
import { AttributeWriter, checkRange } from "../attribute_writer.ts";
import {
  AF_BRIDGE,
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
import { blankUse, decodeNdmsg, encodeNdmsg, NDMSG_BYTES } from "./ndmsg.ts";

/**
 * Whose table an entry is in: the device's own (`NTF_SELF`: of a VXLAN device, MAC → VTEP), or that
 * of the bridge it is a port of (`NTF_MASTER`: MAC → port). Never both in one message: the bridge's
 * entry becomes `permanent` then, a local address of the bridge.
 */
export type FdbTable = "self" | "master";

/** Which entry of a forwarding table. */
export interface FdbKey {
  /** The VXLAN device, or the bridge's port. */
  readonly index: number;
  /** Whose table. */
  readonly table: FdbTable;
  /** All zero, in a VXLAN device, is for every address that has no entry. */
  readonly mac: MacText;
  /** Only frames of this VLAN. */
  readonly vlan?: number;
  /** Of a VXLAN device: the VTEP. One MAC may have several, so a deletion may name which. */
  readonly destination?: IpAddress;
}

/** A forwarding entry to set. */
export interface NewFdbEntry extends FdbKey {
  /**
   * Of a VXLAN device, "permanent" never ages. Of a bridge, "permanent" is an address of the bridge
   * itself, whose frames go up to the host: an entry that forwards to a port is "static".
   */
  readonly state: "permanent" | "static";
}

/** A forwarding entry. */
export interface FdbEntry {
  /** The VXLAN device, or the bridge's port. */
  readonly index: number;
  /** Whose table. */
  readonly table: FdbTable;
  /** Where frames go to. */
  readonly mac: MacText;
  /** Neither permanent nor static: learned, and will age. */
  readonly state: "permanent" | "static" | "dynamic";
  /** Only frames of this VLAN. */
  readonly vlan: number | null;
  /** The bridge, in the bridge's entries. */
  readonly master: number | null;
  /** The VTEP, in a VXLAN device's entries. */
  readonly destination: IpAddress | null;
  /** Put in by a control plane rather than learned by the kernel. */
  readonly externallyLearned: boolean;
}

/** What a dump of forwarding entries leaves out. */
export interface FdbFilter {
  /** Only entries of this bridge, its ports' own tables included. */
  readonly master?: number;
  /** Only entries of this device. */
  readonly index?: number;
}

/**
 * Sets a forwarding entry, whether there is one or not. (Without replace semantics a VXLAN device
 * answers 0 for a MAC that it has, and goes on sending to the old VTEP.)
 *
 * @throws {RangeError}
 */
export function replaceFdbEntry(entry: NewFdbEntry): Request {
  const state = entry.state === "permanent"
    ? c.NUD_NOARP | c.NUD_PERMANENT
    : c.NUD_NOARP | c.NUD_REACHABLE;
  return {
    describe: () => `replace ${describeEntry(entry)}`,
    type: c.RTM_NEWNEIGH,
    flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | NLM_F_CREATE,
    payload: encodeEntry(entry, state),
  };
}

/**
 * Deletes a forwarding entry; `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function deleteFdbEntry(key: FdbKey): Request {
  return {
    describe: () => `delete ${describeEntry(key)}`,
    type: c.RTM_DELNEIGH,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    // The kernel does not look at the state; iproute2 says so.
    payload: encodeEntry(key, c.NUD_NOARP | c.NUD_PERMANENT),
  };
}

/**
 * Asks for forwarding entries, of bridges and VXLAN devices alike, filtered in the kernel.
 *
 * @throws {RangeError}
 */
export function dumpFdb(filter: FdbFilter = {}): ComparableDump<FdbEntry> {
  const { index } = filter;
  if (index !== undefined) checkIfindex(index);
  const writer = new AttributeWriter(encodeNdmsg({ family: AF_BRIDGE, index: index ?? 0 }));
  if (filter.master !== undefined) {
    checkIfindex(filter.master);
    writer.u32(c.NDA_MASTER, filter.master);
  }
  return {
    answer: "many",
    describe: () => "dump forwarding entries",
    type: c.RTM_GETNEIGH,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: writer.finish(),
    decode: decodeFdbEntry,
    blank: blankUse,
  };
}

function encodeEntry(key: FdbKey, state: number): Uint8Array {
  checkIfindex(key.index);
  const flags = key.table === "self" ? c.NTF_SELF : c.NTF_MASTER;
  const writer = new AttributeWriter(
    encodeNdmsg({ family: AF_BRIDGE, index: key.index, state, flags }),
  );
  writer.mac(c.NDA_LLADDR, key.mac);
  if (key.destination !== undefined) writer.ip(c.NDA_DST, key.destination);
  if (key.vlan !== undefined) {
    checkRange("VLAN id", key.vlan, 1, 4094);
    writer.u16(c.NDA_VLAN, key.vlan);
  }
  return writer.finish();
}

function describeEntry(key: FdbKey): string {
  const to = key.destination === undefined ? "" : ` to ${key.destination}`;
  return `forwarding entry ${key.mac}${to} (${key.table}) on ifindex ${key.index}`;
}

/**
 * Decodes `RTM_NEWNEIGH` and `RTM_DELNEIGH` of bridges and VXLAN devices; null for other families
 * and for entries that are not for an Ethernet address.
 *
 * @throws {DecodeError}
 */
export function decodeFdbEntry(message: Message): FdbEntry | null {
  const { family, index, state, flags } = decodeNdmsg(message.payload);
  if (family !== AF_BRIDGE) return null;
  let mac: MacText | null = null;
  const entry: Filling<Omit<FdbEntry, "mac">> = {
    index,
    // A bridge's own entries carry no flag, though requests for them need NTF_MASTER.
    table: (flags & c.NTF_SELF) !== 0 ? "self" : "master",
    state: (state & c.NUD_PERMANENT) !== 0
      ? "permanent"
      : (state & c.NUD_NOARP) !== 0
      ? "static"
      : "dynamic",
    vlan: null,
    master: null,
    destination: null,
    externallyLearned: (flags & c.NTF_EXT_LEARNED) !== 0,
  };
  const reader = new AttributeReader(message.payload, NDMSG_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.NDA_LLADDR:
        mac = reader.length === 6 ? reader.mac() : null;
        break;
      case c.NDA_DST:
        entry.destination = reader.ip();
        break;
      case c.NDA_VLAN:
        entry.vlan = reader.u16();
        break;
      case c.NDA_MASTER:
        entry.master = reader.u32();
        break;
    }
  }
  return mac === null ? null : { ...entry, mac };
}
