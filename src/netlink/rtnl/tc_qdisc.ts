import { AttributeReader } from "../attribute_reader.ts";
import { AttributeWriter } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from "../constants.ts";
import type { Message } from "../message.ts";
import type { Dump, Request } from "../request.ts";
import { checkIfindex } from "./check.ts";
import * as c from "./tc_constants.ts";
import { decodeTcmsg, encodeTcmsg, TCMSG_BYTES } from "./tcmsg.ts";

/** A queueing discipline of a link; clsact queues nothing, and is where filters hang. */
export interface Qdisc {
  /** Ifindex of the link. */
  readonly index: number;
  /** The kernel's name: `clsact`, `noqueue`, `fq_codel`, … */
  readonly kind: string;
  /** Names it on its link: number of the major part in the upper 16 bits. */
  readonly handle: number;
  /** What it hangs on. */
  readonly parent: number;
}

/**
 * Gives a link its clsact qdisc, which it can have once: `EEXIST` when it has one, whoever made it,
 * and that one will do.
 *
 * @throws {RangeError}
 */
export function addClsact(index: number): Request {
  return {
    describe: () => `add clsact qdisc to ifindex ${index}`,
    type: c.RTM_NEWQDISC,
    flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeClsact(index),
  };
}

/**
 * Takes it away with all filters on it, whoever made them; `EINVAL` or `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function deleteClsact(index: number): Request {
  return {
    describe: () => `delete clsact qdisc of ifindex ${index}`,
    type: c.RTM_DELQDISC,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: encodeClsact(index),
  };
}

function encodeClsact(index: number): Uint8Array {
  checkIfindex(index);
  const head = encodeTcmsg({ index, handle: c.CLSACT_HANDLE, parent: c.TC_H_CLSACT });
  return new AttributeWriter(head).string(c.TCA_KIND, "clsact").finish();
}

/**
 * Asks for the qdiscs of the namespace, or those of one link. The kernel sends all in either case.
 *
 * @throws {RangeError}
 */
export function dumpQdiscs(filter: { readonly index?: number } = {}): Dump<Qdisc> {
  const { index } = filter;
  if (index !== undefined) checkIfindex(index);
  return {
    answer: "many",
    describe: () => "dump qdiscs",
    type: c.RTM_GETQDISC,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: encodeTcmsg({ index: index ?? 0 }),
    decode(message) {
      const qdisc = decodeQdisc(message);
      return index === undefined || qdisc.index === index ? qdisc : null;
    },
  };
}

function decodeQdisc({ payload }: Message): Qdisc {
  const { index, handle, parent } = decodeTcmsg(payload);
  let kind = "";
  const reader = new AttributeReader(payload, TCMSG_BYTES);
  while (reader.next()) if (reader.type === c.TCA_KIND) kind = reader.string();
  return { index, kind, handle, parent };
}
