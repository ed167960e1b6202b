import type { IpAddress } from "../../base/mod.ts";
import { AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { ipFamily } from "../rtnl/family.ts";
import { readAddress } from "./address.ts";
import { type AeadInfo, readAead } from "./aead.ts";
import * as c from "./constants.ts";
import {
  blankLifetimeUse,
  type Lifetimes,
  type LifetimeUse,
  readLifetimes,
  readLifetimeUse,
} from "./lifetime.ts";
import { type Mark, readMark } from "./mark.ts";
import { decodeMode, type XfrmModeInfo } from "./mode.ts";
import { blankReplay, readReplay, readReplayEsn, type Replay } from "./replay.ts";
import { readSelector, type Selector } from "./selector.ts";

/** A security association (RFC 4301 section 4.1), as the kernel describes it; never with its key. */
export interface Sa {
  /** Who sends with it. */
  readonly source: IpAddress;
  /** Who receives with it. */
  readonly destination: IpAddress;
  /** Security parameters index: stands in every packet. */
  readonly spi: number;
  /** Number of an IP protocol: 50 is ESP. */
  readonly protocol: number;
  /** Ties it to templates of policies. */
  readonly reqid: number;
  /** What it wraps. */
  readonly mode: XfrmModeInfo;
  /** Null when it has none, or another kind of algorithm. */
  readonly aead: AeadInfo | null;
  /**
   * It has no key yet: the kernel made it because it wanted one (ACQUIRE), or somebody reserved its
   * SPI. It is in the way of a new one, and is turned into one by an update.
   */
  readonly larval: boolean;
  /** Which packets may be carried by it; null is all of either family. */
  readonly selector: Selector | null;
  /** Only packets with this mark find it. */
  readonly mark: Mark | null;
  /** Only packets of this xfrm interface find it. */
  readonly interfaceId: number | null;
  /** Sequence numbers have 64 bits (RFC 4303 section 2.2.1). */
  readonly esn: boolean;
  /** Null where the kernel does not say. */
  readonly replay: Replay | null;
  /** When it ends. */
  readonly lifetimes: Lifetimes;
  /** How much it was used. */
  readonly use: LifetimeUse;
  /** Packets that were received with it and refused. */
  readonly refused: SaRefusals;
}

/** `struct xfrm_stats`. */
export interface SaRefusals {
  /** Older than the replay window. */
  readonly late: number;
  /** Received before. */
  readonly replayed: number;
  /** Changed on the way, or made with another key. */
  readonly integrity: number;
}

/**
 * `struct xfrm_usersa_info`:
 *
 * | offset | bytes | field                                            |
 * |--------|-------|--------------------------------------------------|
 * | 0      | 56    | selector                                         |
 * | 56     | 16    | destination                                      |
 * | 72     | 4     | SPI, in network order                            |
 * | 76     | 1     | protocol                                         |
 * | 80     | 16    | source                                           |
 * | 96     | 64    | limits                                           |
 * | 160    | 32    | what has been used of them                       |
 * | 192    | 4 × 3 | packets refused: too old, seen before, integrity |
 * | 204    | 4     | number of the ACQUIRE that it answers            |
 * | 208    | 4     | reqid                                            |
 * | 212    | 2     | address family                                   |
 * | 214    | 1     | mode                                             |
 * | 215    | 1     | replay window, when it has no extended state     |
 * | 216    | 1     | flags (`XFRM_STATE_…`)                           |
 */
export const USERSA_INFO_BYTES = 224;

/**
 * Reads the struct, and the attributes that follow it or, where the struct is one of them, stand
 * beside it.
 *
 * @returns null for addresses that are neither IPv4 nor IPv6
 * @throws {DecodeError}
 */
export function readSa(struct: Uint8Array, attributes: AttributeReader): Sa | null {
  const view = headView(struct, USERSA_INFO_BYTES, "xfrm_usersa_info");
  const family = ipFamily(view.getUint16(212, true));
  if (family === null) return null;
  const sa: Filling<Sa> = {
    source: readAddress(view, 80, family),
    destination: readAddress(view, 56, family),
    spi: view.getUint32(72),
    protocol: view.getUint8(76),
    reqid: view.getUint32(208, true),
    mode: decodeMode(view.getUint8(214)),
    aead: null,
    larval: true,
    selector: readSelector(view, 0),
    mark: null,
    interfaceId: null,
    esn: (view.getUint8(216) & c.XFRM_STATE_ESN) !== 0,
    replay: null,
    lifetimes: readLifetimes(view, 96),
    use: readLifetimeUse(view, 160),
    refused: {
      late: view.getUint32(192, true),
      replayed: view.getUint32(196, true),
      integrity: view.getUint32(200, true),
    },
  };
  while (attributes.next()) readSaAttribute(sa, attributes, view.getUint8(215));
  return sa;
}

function readSaAttribute(sa: Filling<Sa>, reader: AttributeReader, windowPackets: number): void {
  switch (reader.type) {
    case c.XFRMA_ALG_AEAD:
      sa.aead = readAead(reader.bytes());
      sa.larval = false;
      break;
    case c.XFRMA_ALG_AUTH:
    case c.XFRMA_ALG_AUTH_TRUNC:
    case c.XFRMA_ALG_CRYPT:
    case c.XFRMA_ALG_COMP:
      sa.larval = false;
      break;
    case c.XFRMA_REPLAY_ESN_VAL:
      sa.replay = readReplayEsn(reader);
      break;
    case c.XFRMA_REPLAY_VAL:
      // The kernel sends one or the other.
      sa.replay = readReplay(reader, windowPackets);
      break;
    case c.XFRMA_MARK:
      sa.mark = readMark(reader);
      break;
    case c.XFRMA_IF_ID:
      sa.interfaceId = reader.u32();
      break;
  }
}

/**
 * Decodes `XFRM_MSG_NEWSA` and `XFRM_MSG_UPDSA`: the struct, then attributes.
 *
 * @returns as {@linkcode readSa}
 * @throws {DecodeError}
 */
export function decodeSa(payload: Uint8Array): Sa | null {
  return readSa(payload, new AttributeReader(payload, USERSA_INFO_BYTES));
}

/** Sets to zero how much an SA was used: counters, sequence numbers, times. Its key stays. */
export function blankSaUse(payload: Uint8Array): void {
  blankLifetimeUse(payload, 160);
  payload.fill(0, 192, 204);
  const attributes = new AttributeReader(payload, USERSA_INFO_BYTES);
  while (attributes.next()) {
    if (attributes.type === c.XFRMA_LASTUSED) attributes.bytes().fill(0);
    else blankReplay(attributes);
  }
}
