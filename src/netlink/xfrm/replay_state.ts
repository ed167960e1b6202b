import type { IpAddress } from "../../base/mod.ts";
import { AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { AttributeWriter, putU32 } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_REPLACE, NLM_F_REQUEST } from "../constants.ts";
import { DecodeError } from "../errors.ts";
import type { Query, Request } from "../request.ts";
import { ipFamily } from "../rtnl/family.ts";
import { readAddress } from "./address.ts";
import * as c from "./constants.ts";
import { LIFETIME_USE_BYTES, type LifetimeUse, readLifetimeUse } from "./lifetime.ts";
import { type Mark, readMark, writeMark } from "./mark.ts";
import { readReplay, readReplayEsn, type Replay, writeReplay } from "./replay.ts";
import { formatSpi, putSaId, type SaId } from "./sa.ts";

/** Which SA, of which the sender does not matter. */
export type ReplayTarget = Omit<SaId, "source">;

/** How far an SA is: its sequence numbers and counters. */
export interface ReplayState {
  /** Who sends with it. */
  readonly source: IpAddress;
  /** Who receives with it. */
  readonly destination: IpAddress;
  /** Security parameters index. */
  readonly spi: number;
  /** Number of an IP protocol: 50 is ESP. */
  readonly protocol: number;
  /** Ties it to templates of policies. */
  readonly reqid: number;
  /** Only packets with this mark find it. */
  readonly mark: Mark | null;
  /** Null when the kernel did not say. Of an SA without ESN the window is not told, and 0. */
  readonly replay: Replay | null;
  /** Null when the kernel did not say. */
  readonly use: LifetimeUse | null;
}

/**
 * `struct xfrm_aevent_id`:
 *
 * | offset | bytes | field                        |
 * |--------|-------|------------------------------|
 * | 0      | 24    | `struct xfrm_usersa_id`      |
 * | 24     | 16    | source                       |
 * | 40     | 4     | flags (`XFRM_AE_…`)          |
 * | 44     | 4     | reqid                        |
 */
const AEVENT_ID_BYTES = 48;

/**
 * Asks how far an SA is; `ESRCH` when there is none.
 *
 * @throws {RangeError}
 */
export function getReplayState(target: ReplayTarget): Query<ReplayState> {
  const writer = new AttributeWriter(encodeTarget(target));
  writeMark(writer, target.mark);
  return {
    answer: "one",
    describe: () => `get replay state of ${describeTarget(target)}`,
    type: c.XFRM_MSG_GETAE,
    flags: NLM_F_REQUEST,
    payload: writer.finish(),
    decode(message) {
      const state = decodeReplayState(message.payload);
      if (state === null) throw new DecodeError("A replay state has no address family");
      return state;
    },
  };
}

/**
 * Sets the sequence numbers of an SA with ESN, which must have the same window: else `EINVAL`. No
 * packet up to `inbound` is accepted any more. `ESRCH` when there is no such SA.
 *
 * Setting `outbound` back, below what was sent, repeats nonces under the same key: that breaks GCM
 * (NIST SP 800-38D section 8). Only tests have a reason to set it at all.
 *
 * @throws {RangeError}
 */
export function setReplayState(target: ReplayTarget, replay: Replay): Request {
  const writer = new AttributeWriter(encodeTarget(target));
  writeMark(writer, target.mark);
  writeReplay(writer, replay);
  return {
    describe: () => `set replay state of ${describeTarget(target)}`,
    type: c.XFRM_MSG_NEWAE,
    flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE,
    payload: writer.finish(),
  };
}

function encodeTarget(target: ReplayTarget): Uint8Array {
  const head = new Uint8Array(AEVENT_ID_BYTES);
  putSaId(head, target);
  putU32(head, 40, c.XFRM_AE_RVAL);
  return head;
}

function describeTarget({ destination, spi }: ReplayTarget): string {
  return `the SA to ${destination} with SPI ${formatSpi(spi)}`;
}

/**
 * Decodes `XFRM_MSG_NEWAE`; null for addresses that are neither IPv4 nor IPv6.
 *
 * @throws {DecodeError}
 */
export function decodeReplayState(payload: Uint8Array): ReplayState | null {
  const view = headView(payload, AEVENT_ID_BYTES, "xfrm_aevent_id");
  const family = ipFamily(view.getUint16(20, true));
  if (family === null) return null;
  const state: Filling<ReplayState> = {
    source: readAddress(view, 24, family),
    destination: readAddress(view, 0, family),
    spi: view.getUint32(16),
    protocol: view.getUint8(22),
    reqid: view.getUint32(44, true),
    mark: null,
    replay: null,
    use: null,
  };
  const reader = new AttributeReader(payload, AEVENT_ID_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.XFRMA_REPLAY_ESN_VAL:
        state.replay = readReplayEsn(reader);
        break;
      case c.XFRMA_REPLAY_VAL:
        // The message does not have the window of such an SA.
        state.replay = readReplay(reader, 0);
        break;
      case c.XFRMA_LTIME_VAL:
        state.use = readLifetimeUse(
          headView(reader.bytes(), LIFETIME_USE_BYTES, "xfrm_lifetime_cur"),
          0,
        );
        break;
      case c.XFRMA_MARK:
        state.mark = readMark(reader);
        break;
    }
  }
  return state;
}
