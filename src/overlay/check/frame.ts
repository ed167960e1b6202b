import { type Bytes, equalBytes, parseMac, probeMac } from "../../base/mod.ts";
import type { ProbeSize } from "../../state/mod.ts";

/** IEEE Std 802 local experimental EtherType 1: nobody but the agent's two ends speaks it. */
export const PROBE_ETHER_TYPE = 0x88b5;

export const CHECK_ID_BYTES = 16;
export const NONCE_BYTES = 16;

/** The Ethernet header. */
const HEADER_BYTES = 14;
const SMALL_BYTES = 64;
const MAGIC = new TextEncoder().encode("AGPC");
const VERSION = 1;

/** `small` and `full` ask for an answer. */
export type ProbeKind = ProbeSize | "answer";

const KINDS: Readonly<Record<ProbeKind, number>> = { small: 1, full: 2, answer: 3 };

/** A frame between the two ends of a pair. */
export interface Probe {
  readonly kind: ProbeKind;
  /** Index of the node that sends it. */
  readonly sender: number;
  /** Index of the node that it is for. */
  readonly receiver: number;
  /** The check that it belongs to. */
  readonly checkId: Bytes;
  /** Random; an answer gives back that of what it answers. */
  readonly nonce: Bytes;
}

/**
 * | offset | bytes | field                                              |
 * |--------|-------|----------------------------------------------------|
 * | 0      | 6 + 6 | Ethernet destination, source: {@linkcode probeMac} |
 * | 12     | 2     | EtherType 0x88b5                                   |
 * | 14     | 4     | "AGPC"                                             |
 * | 18     | 1     | version, 1                                         |
 * | 19     | 1     | kind: 1 small, 2 full, 3 answer                    |
 * | 20     | 2 + 2 | index of the sender, of the receiver               |
 * | 24     | 16    | the check                                          |
 * | 40     | 16    | nonce                                              |
 * | 56     |       | zeros, up to 64 bytes, or to the MTU               |
 *
 * @param mtuBytes of the network: a full frame has as much behind its Ethernet header
 */
export function encodeProbe(probe: Probe, mtuBytes: number): Bytes {
  const { kind, sender, receiver, checkId, nonce } = probe;
  const frame = new Uint8Array(kind === "full" ? HEADER_BYTES + mtuBytes : SMALL_BYTES);
  const view = new DataView(frame.buffer);
  frame.set(parseMac(probeMac(receiver)), 0);
  frame.set(parseMac(probeMac(sender)), 6);
  view.setUint16(12, PROBE_ETHER_TYPE);
  frame.set(MAGIC, 14);
  view.setUint8(18, VERSION);
  view.setUint8(19, KINDS[kind]);
  view.setUint16(20, sender);
  view.setUint16(22, receiver);
  frame.set(checkId, 24);
  frame.set(nonce, 40);
  return frame;
}

/**
 * Null when it is no probe, or not all of it: a full one has to be as long as the MTU says. Bytes behind
 * that are of no interest.
 */
export function decodeProbe(frame: Uint8Array, mtuBytes: number): Probe | null {
  if (frame.length < SMALL_BYTES) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== PROBE_ETHER_TYPE || view.getUint8(18) !== VERSION) return null;
  if (!equalBytes(frame.subarray(14, 18), MAGIC)) return null;
  const kind = kindOf(view.getUint8(19));
  const [sender, receiver] = [view.getUint16(20), view.getUint16(22)];
  if (kind === null || (kind === "full" && frame.length < HEADER_BYTES + mtuBytes)) return null;
  const isTo = equalBytes(frame.subarray(0, 6), parseMac(probeMac(receiver)));
  const isFrom = equalBytes(frame.subarray(6, 12), parseMac(probeMac(sender)));
  if (!isTo || !isFrom) return null;
  return { kind, sender, receiver, checkId: frame.slice(24, 40), nonce: frame.slice(40, 56) };
}

function kindOf(value: number): ProbeKind | null {
  for (const kind of ["small", "full", "answer"] as const) if (KINDS[kind] === value) return kind;
  return null;
}
