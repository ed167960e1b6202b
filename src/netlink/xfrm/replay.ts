import { type AttributeReader, headView } from "../attribute_reader.ts";
import { type AttributeWriter, checkRange, putU32 } from "../attribute_writer.ts";
import { XFRM_REPLAY_WINDOW_MAX, XFRMA_REPLAY_ESN_VAL, XFRMA_REPLAY_VAL } from "./constants.ts";
import { checkBigRange } from "./integer.ts";

/** Sequence numbers of an SA. */
export interface Replay {
  /** Of the last packet that was sent with it. */
  readonly outbound: bigint;
  /** The highest that was received with it. */
  readonly inbound: bigint;
  /** How many numbers below the highest are still accepted, each once. */
  readonly windowPackets: number;
}

/**
 * `struct xfrm_replay_state_esn`, each field u32:
 *
 * | offset | field                                             |
 * |--------|---------------------------------------------------|
 * | 0      | length of the bitmap in words of 4 bytes          |
 * | 4      | outbound sequence number, low half                |
 * | 8      | inbound sequence number, low half                 |
 * | 12     | outbound sequence number, high half               |
 * | 16     | inbound sequence number, high half                |
 * | 20     | replay window in packets                          |
 * | 24     | bitmap: which numbers of the window have been seen |
 */
const REPLAY_STATE_ESN_BYTES = 24;

/** `struct xfrm_replay_state`: outbound and inbound sequence number, bitmap of 32 packets; each u32. */
const REPLAY_STATE_BYTES = 12;

/**
 * Writes `XFRMA_REPLAY_ESN_VAL`. No packet up to `inbound` is accepted any more: all of the window
 * counts as seen.
 *
 * @throws {RangeError}
 */
export function writeReplay(writer: AttributeWriter, replay: Replay): void {
  const { outbound, inbound, windowPackets } = replay;
  checkReplayWindow(windowPackets);
  checkBigRange("outbound sequence number", outbound, 0n, 0xffffffffffffffffn);
  checkBigRange("inbound sequence number", inbound, 0n, 0xffffffffffffffffn);
  const words = Math.ceil(windowPackets / 32);
  const bytes = new Uint8Array(REPLAY_STATE_ESN_BYTES + words * 4);
  putU32(bytes, 0, words);
  putU32(bytes, 4, Number(outbound & 0xffffffffn));
  putU32(bytes, 8, Number(inbound & 0xffffffffn));
  putU32(bytes, 12, Number(outbound >> 32n));
  putU32(bytes, 16, Number(inbound >> 32n));
  putU32(bytes, 20, windowPackets);
  if (inbound > 0n) bytes.fill(0xff, REPLAY_STATE_ESN_BYTES);
  writer.bytes(XFRMA_REPLAY_ESN_VAL, bytes);
}

/**
 * Writes `XFRMA_REPLAY_ESN_VAL` of a new SA: the size of the window, without a bitmap, for the kernel
 * makes that.
 *
 * @throws {RangeError}
 */
export function writeReplayWindow(writer: AttributeWriter, windowPackets: number): void {
  checkReplayWindow(windowPackets);
  const bytes = new Uint8Array(REPLAY_STATE_ESN_BYTES);
  putU32(bytes, 0, Math.ceil(windowPackets / 32));
  putU32(bytes, 20, windowPackets);
  writer.bytes(XFRMA_REPLAY_ESN_VAL, bytes);
}

function checkReplayWindow(windowPackets: number): void {
  checkRange("replay window", windowPackets, 1, XFRM_REPLAY_WINDOW_MAX);
}

/** Reads `XFRMA_REPLAY_ESN_VAL`. @throws {DecodeError} */
export function readReplayEsn(reader: AttributeReader): Replay {
  const view = headView(reader.bytes(), REPLAY_STATE_ESN_BYTES, "xfrm_replay_state_esn");
  return {
    outbound: joined(view.getUint32(12, true), view.getUint32(4, true)),
    inbound: joined(view.getUint32(16, true), view.getUint32(8, true)),
    windowPackets: view.getUint32(20, true),
  };
}

/** Reads `XFRMA_REPLAY_VAL`, of which the window stands elsewhere. @throws {DecodeError} */
export function readReplay(reader: AttributeReader, windowPackets: number): Replay {
  const view = headView(reader.bytes(), REPLAY_STATE_BYTES, "xfrm_replay_state");
  return {
    outbound: joined(0, view.getUint32(0, true)),
    inbound: joined(0, view.getUint32(4, true)),
    windowPackets,
  };
}

/** Sets the sequence numbers and the bitmap of such an attribute to zero; others stay. */
export function blankReplay(reader: AttributeReader): void {
  if (reader.type === XFRMA_REPLAY_VAL) reader.bytes().fill(0);
  if (reader.type !== XFRMA_REPLAY_ESN_VAL) return;
  reader.bytes().fill(0, 4, 20);
  reader.bytes().fill(0, REPLAY_STATE_ESN_BYTES);
}

function joined(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
