import { AttributeReader, headView } from "../attribute_reader.ts";
import { AttributeWriter, checkRange } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "../constants.ts";
import type { Message } from "../message.ts";
import type { Dump, Query, Request } from "../request.ts";
import * as c from "./constants.ts";

/**
 * `struct rtgenmsg` is one byte, the address family, which is 0 here; attributes begin at the next
 * multiple of 4.
 */
const RTGENMSG_BYTES = 4;

/** Another namespace: a descriptor of this process, or the process in it. */
export type NamespaceRef = { readonly fd: number } | { readonly pid: number };

/**
 * Gives another namespace an id in this one: notifications and `linkNamespaceId` name it so.
 * `EEXIST` when it has one or the id is taken; an id lives as long as the two namespaces.
 *
 * @param id "next" lets the kernel choose
 * @throws {RangeError}
 */
export function setNamespaceId(namespace: NamespaceRef, id: number | "next"): Request {
  if (id !== "next") checkRange("namespace id", id, 0, 0x7fffffff);
  const writer = new AttributeWriter(new Uint8Array(RTGENMSG_BYTES));
  writeNamespace(writer, namespace);
  writer.i32(c.NETNSA_NSID, id === "next" ? c.NETNSA_NSID_NOT_ASSIGNED : id);
  return {
    describe: () => `set id ${id} of the network namespace of ${describeNamespace(namespace)}`,
    type: c.RTM_NEWNSID,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

/** Asks for the id of another namespace; null when it has none. */
export function getNamespaceId(namespace: NamespaceRef): Query<number | null> {
  const writer = new AttributeWriter(new Uint8Array(RTGENMSG_BYTES));
  writeNamespace(writer, namespace);
  return {
    answer: "one",
    describe: () => `get id of the network namespace of ${describeNamespace(namespace)}`,
    type: c.RTM_GETNSID,
    flags: NLM_F_REQUEST,
    payload: writer.finish(),
    decode: decodeNamespaceId,
  };
}

/** Asks for all ids that are given in this namespace. */
export function dumpNamespaceIds(): Dump<number> {
  return {
    answer: "many",
    describe: () => "dump ids of network namespaces",
    type: c.RTM_GETNSID,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: new Uint8Array(RTGENMSG_BYTES),
    decode: decodeNamespaceId,
  };
}

/**
 * Decodes `RTM_NEWNSID` and `RTM_DELNSID`.
 *
 * @throws {DecodeError}
 */
export function decodeNamespaceId(message: Message): number | null {
  headView(message.payload, RTGENMSG_BYTES, "rtgenmsg");
  const reader = new AttributeReader(message.payload, RTGENMSG_BYTES);
  let id = c.NETNSA_NSID_NOT_ASSIGNED;
  while (reader.next()) {
    if (reader.type === c.NETNSA_NSID) id = reader.i32();
  }
  return id === c.NETNSA_NSID_NOT_ASSIGNED ? null : id;
}

function writeNamespace(writer: AttributeWriter, namespace: NamespaceRef): void {
  if ("fd" in namespace) writer.u32(c.NETNSA_FD, namespace.fd);
  else writer.u32(c.NETNSA_PID, namespace.pid);
}

function describeNamespace(namespace: NamespaceRef): string {
  return "fd" in namespace ? `descriptor ${namespace.fd}` : `process ${namespace.pid}`;
}
