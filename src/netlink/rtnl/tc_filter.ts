import type { IpFamily } from "../../base/mod.ts";
import { AttributeReader } from "../attribute_reader.ts";
import { AttributeWriter, checkRange } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from "../constants.ts";
import type { Message } from "../message.ts";
import type { Dump, Request } from "../request.ts";
import { checkIfindex } from "./check.ts";
import type { FilterAction } from "./tc_action.ts";
import * as c from "./tc_constants.ts";
import {
  etherType,
  type FlowerMatch,
  readFlower,
  type UdpPorts,
  writeUdpDrop,
} from "./tc_flower.ts";
import { decodeTcmsg, encodeTcmsg, TCMSG_BYTES } from "./tcmsg.ts";

/** Where on a link a clsact qdisc looks at packets: as they come in, or as they go out. */
export type FilterHook = "ingress" | "egress";

/** Which flower filter. */
export interface FilterId {
  /** Ifindex of a link with a clsact qdisc. */
  readonly index: number;
  /** Where. */
  readonly hook: FilterHook;
  /** 1 … 65,535; the lowest is asked first. All filters of a preference are of one family. */
  readonly preference: number;
  /** IPv4 or IPv6 packets. */
  readonly family: IpFamily;
  /** Tells it from others of that preference. */
  readonly handle: number;
}

/** A filter that drops UDP packets from or to a port, or, with both, from the one to the other. */
export interface NewDropFilter extends FilterId, UdpPorts {}

/** A filter of a clsact qdisc. */
export interface Filter {
  /** Ifindex of the link. */
  readonly index: number;
  /** Where. */
  readonly hook: FilterHook;
  /** The lowest is asked first. */
  readonly preference: number;
  /** `ETH_P_…`: 0x0800 is IPv4, 0x86dd IPv6, 3 all. */
  readonly etherType: number;
  /** Packets begin in chain 0; the others are only reached from it. */
  readonly chain: number;
  /** Tells it from others of that preference. */
  readonly handle: number;
  /** The kernel's name of the kind: `flower`, `u32`, `bpf`, … */
  readonly kind: string;
  /** Null when it is not of the kind `flower`. */
  readonly flower: FlowerMatch | null;
  /** Of a flower filter; those of other kinds are not decoded. */
  readonly actions: readonly FilterAction[];
}

/**
 * Adds a filter. `EEXIST` when there is one with the same preference and handle, or the same ports in
 * that preference; `ENOENT` or `EINVAL` when the link has no clsact qdisc, or the kernel no flower.
 *
 * @throws {RangeError}
 */
export function addDropFilter(filter: NewDropFilter): Request {
  return makeDropFilter("add", NLM_F_CREATE | NLM_F_EXCL, filter);
}

/**
 * Adds a filter, in the place of one with the same preference and handle. Its counters begin at 0.
 *
 * @throws {RangeError}
 */
export function replaceDropFilter(filter: NewDropFilter): Request {
  return makeDropFilter("replace", NLM_F_CREATE, filter);
}

function makeDropFilter(verb: string, flags: number, filter: NewDropFilter): Request {
  const writer = new AttributeWriter(encodeFilterId(filter)).string(c.TCA_KIND, "flower");
  writeUdpDrop(writer, filter.family, filter);
  return {
    describe: () => `${verb} ${describeFilter(filter)}`,
    type: c.RTM_NEWTFILTER,
    flags: NLM_F_REQUEST | NLM_F_ACK | flags,
    payload: writer.finish(),
  };
}

/**
 * Deletes a flower filter; `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function deleteFilter(id: FilterId): Request {
  return {
    describe: () => `delete ${describeFilter(id)}`,
    type: c.RTM_DELTFILTER,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: new AttributeWriter(encodeFilterId(id)).string(c.TCA_KIND, "flower").finish(),
  };
}

/**
 * Asks for the filters of a link's clsact qdisc; none when it has no such qdisc.
 *
 * @throws {RangeError}
 */
export function dumpFilters(
  { index, hook }: Pick<FilterId, "index" | "hook">,
): Dump<Filter> {
  checkIfindex(index);
  return {
    answer: "many",
    describe: () => `dump ${hook} filters of ifindex ${index}`,
    type: c.RTM_GETTFILTER,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: encodeTcmsg({ index, parent: PARENTS[hook] }),
    decode: (message) => decodeFilter(message, hook),
  };
}

const PARENTS: Readonly<Record<FilterHook, number>> = {
  ingress: c.CLSACT_INGRESS,
  egress: c.CLSACT_EGRESS,
};

function encodeFilterId({ index, hook, preference, family, handle }: FilterId): Uint8Array {
  checkIfindex(index);
  // 0 of either lets the kernel choose, and then it could not be deleted by its name.
  checkRange("preference of a filter", preference, 1, 0xffff);
  checkRange("handle of a filter", handle, 1, 0xffffffff);
  return encodeTcmsg({
    index,
    handle,
    parent: PARENTS[hook],
    etherType: etherType(family),
    preference,
  });
}

function describeFilter({ index, hook, preference, family, handle }: FilterId): string {
  return `${hook} filter ${preference}/${handle} for IPv${family} on ifindex ${index}`;
}

/** Null for the head of a list, which the kernel puts before the filters of a preference. */
function decodeFilter({ payload }: Message, hook: FilterHook): Filter | null {
  const { index, handle, etherType, preference } = decodeTcmsg(payload);
  let kind = "";
  let chain = 0;
  let options: AttributeReader | null = null;
  const reader = new AttributeReader(payload, TCMSG_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.TCA_KIND:
        kind = reader.string();
        break;
      case c.TCA_CHAIN:
        chain = reader.u32();
        break;
      case c.TCA_OPTIONS:
        options = reader.nest();
        break;
    }
  }
  if (options === null) return null;
  const flower = kind === "flower" ? readFlower(options) : null;
  return {
    index,
    hook,
    preference,
    etherType,
    chain,
    handle,
    kind,
    flower: flower?.match ?? null,
    actions: flower?.actions ?? [],
  };
}
