import type { IpAddress } from "../../base/mod.ts";
import { AttributeReader, headView } from "../attribute_reader.ts";
import { decodeMessages, type Message } from "../message.ts";
import type { Change } from "../rtnl/notification.ts";
import { readAddress } from "./address.ts";
import * as c from "./constants.ts";
import { USERPOLICY_ID_BYTES } from "./policy.ts";
import { decodePolicy, type Policy, readPolicy, USERPOLICY_INFO_BYTES } from "./policy_message.ts";
import { decodeReplayState, type ReplayState } from "./replay_state.ts";
import { USERSA_ID_BYTES } from "./sa.ts";
import { decodeSa, readSa, type Sa, USERSA_INFO_BYTES } from "./sa_message.ts";
import { readSelector, type Selector } from "./selector.ts";

/** `soft` is a warning, said once; at `hard` the object is gone, and no `removed` follows. */
export type Limit = "soft" | "hard";

/** What the kernel says of an SA that expires: nothing of its algorithm and sequence numbers. */
export type ExpiredSa = Omit<Sa, "aead" | "larval" | "replay">;

/** A packet needs an SA that there is not; a larval one is in its place now. */
export interface Acquire {
  /** Who would send with it. */
  readonly source: IpAddress;
  /** Who would receive with it. */
  readonly destination: IpAddress;
  /** What the policy's template asks for; null is any. */
  readonly spi: number | null;
  /** Number of an IP protocol: 50 is ESP. */
  readonly protocol: number;
  /** The packet. */
  readonly selector: Selector;
  /** The policy that asks for the SA. */
  readonly policy: Policy | null;
}

/** Something that happened to the SAs and policies of a namespace. */
export type XfrmNotification =
  | { readonly kind: "sa"; readonly change: Change; readonly sa: Sa }
  | { readonly kind: "sa-expired"; readonly limit: Limit; readonly sa: ExpiredSa }
  /** All SAs of a protocol are gone, of every protocol when it is null: no message for each. */
  | { readonly kind: "sas-flushed"; readonly protocol: number | null }
  | { readonly kind: "policy"; readonly change: Change; readonly policy: Policy }
  | { readonly kind: "policy-expired"; readonly limit: Limit; readonly policy: Policy }
  /** All policies are gone: no message for each. */
  | { readonly kind: "policies-flushed" }
  | { readonly kind: "acquire"; readonly acquire: Acquire }
  | { readonly kind: "replay-state"; readonly state: ReplayState };

/**
 * Decodes one datagram of the groups `XFRMNLGRP_SA`, `XFRMNLGRP_POLICY`, `XFRMNLGRP_EXPIRE`,
 * `XFRMNLGRP_ACQUIRE` and `XFRMNLGRP_AEVENTS`. Messages of other kinds are left out. The kernel puts
 * the keys of new SAs in theirs; none comes out of here.
 *
 * A listener of `XFRMNLGRP_ACQUIRE` changes what the kernel does: it makes larval SAs then.
 *
 * @param ownPortId what was asked for on this socket is left out: who asked for it has its ack
 * @throws {DecodeError}
 */
export function decodeXfrmNotifications(
  datagram: Uint8Array,
  ownPortId?: number,
): XfrmNotification[] {
  return decodeMessages(datagram).flatMap((message) =>
    message.portId === ownPortId ? [] : decodeNotification(message) ?? []
  );
}

function decodeNotification({ type, payload }: Message): XfrmNotification | null {
  switch (type) {
    case c.XFRM_MSG_NEWSA:
    case c.XFRM_MSG_UPDSA:
      return saChange("set", decodeSa(payload));
    case c.XFRM_MSG_DELSA:
      return saChange("removed", decodeDeletedSa(payload));
    case c.XFRM_MSG_EXPIRE:
      return decodeSaExpiry(payload);
    case c.XFRM_MSG_FLUSHSA:
      return { kind: "sas-flushed", protocol: headView(payload, 1, "flush").getUint8(0) || null };
    case c.XFRM_MSG_NEWPOLICY:
    case c.XFRM_MSG_UPDPOLICY:
      return policyChange("set", decodePolicy(payload));
    case c.XFRM_MSG_DELPOLICY:
      return policyChange("removed", decodeDeletedPolicy(payload));
    case c.XFRM_MSG_POLEXPIRE:
      return decodePolicyExpiry(payload);
    case c.XFRM_MSG_FLUSHPOLICY:
      return { kind: "policies-flushed" };
    case c.XFRM_MSG_ACQUIRE:
      return decodeAcquire(payload);
    case c.XFRM_MSG_NEWAE: {
      const state = decodeReplayState(payload);
      return state && { kind: "replay-state", state };
    }
    default:
      return null;
  }
}

function saChange(change: Change, sa: Sa | null): XfrmNotification | null {
  return sa && { kind: "sa", change, sa };
}

function policyChange(change: Change, policy: Policy | null): XfrmNotification | null {
  return policy && { kind: "policy", change, policy };
}

/** `struct xfrm_usersa_id`, then attributes, one of which is the SA. */
function decodeDeletedSa(payload: Uint8Array): Sa | null {
  const struct = findAttribute(payload, USERSA_ID_BYTES, c.XFRMA_SA);
  return struct && readSa(struct, new AttributeReader(payload, USERSA_ID_BYTES));
}

/** `struct xfrm_userpolicy_id`, then attributes, one of which is the policy. */
function decodeDeletedPolicy(payload: Uint8Array): Policy | null {
  const struct = findAttribute(payload, USERPOLICY_ID_BYTES, c.XFRMA_POLICY);
  return struct && readPolicy(struct, new AttributeReader(payload, USERPOLICY_ID_BYTES));
}

function findAttribute(payload: Uint8Array, offset: number, type: number): Uint8Array | null {
  const reader = new AttributeReader(payload, offset);
  while (reader.next()) if (reader.type === type) return reader.bytes();
  return null;
}

/** `struct xfrm_user_expire`: the SA, then whether the limit is hard (u8), padded to 8 bytes. */
function decodeSaExpiry(payload: Uint8Array): XfrmNotification | null {
  const view = headView(payload, USERSA_INFO_BYTES + 8, "xfrm_user_expire");
  const sa = readSa(payload, new AttributeReader(payload, USERSA_INFO_BYTES + 8));
  if (sa === null) return null;
  const { aead: _aead, larval: _larval, replay: _replay, ...expired } = sa;
  return { kind: "sa-expired", limit: decodeLimit(view, USERSA_INFO_BYTES), sa: expired };
}

/** `struct xfrm_user_polexpire`: the policy, then whether the limit is hard (u8), padded to 8 bytes. */
function decodePolicyExpiry(payload: Uint8Array): XfrmNotification | null {
  const view = headView(payload, USERPOLICY_INFO_BYTES + 8, "xfrm_user_polexpire");
  const policy = readPolicy(payload, new AttributeReader(payload, USERPOLICY_INFO_BYTES + 8));
  return policy &&
    { kind: "policy-expired", limit: decodeLimit(view, USERPOLICY_INFO_BYTES), policy };
}

function decodeLimit(view: DataView, offset: number): Limit {
  return view.getUint8(offset) === 0 ? "soft" : "hard";
}

/**
 * `struct xfrm_user_acquire`:
 *
 * | offset | bytes | field                                            |
 * |--------|-------|--------------------------------------------------|
 * | 0      | 16    | destination                                      |
 * | 16     | 4     | SPI, in network order                            |
 * | 20     | 1     | protocol                                         |
 * | 24     | 16    | source                                           |
 * | 40     | 56    | selector of the packet                           |
 * | 96     | 168   | `struct xfrm_userpolicy_info`                    |
 * | 264    | 4 × 3 | algorithms that may be used                      |
 * | 276    | 4     | number of this ACQUIRE                           |
 */
const USER_ACQUIRE_BYTES = 280;

function decodeAcquire(payload: Uint8Array): XfrmNotification | null {
  const view = headView(payload, USER_ACQUIRE_BYTES, "xfrm_user_acquire");
  const selector = readSelector(view, 40);
  if (selector === null) return null;
  // The struct has no family for its addresses: in transport mode it is that of the packet.
  const { family } = selector.source;
  const policy = payload.subarray(96, 96 + USERPOLICY_INFO_BYTES);
  const acquire: Acquire = {
    source: readAddress(view, 24, family),
    destination: readAddress(view, 0, family),
    spi: view.getUint32(16) || null,
    protocol: view.getUint8(20),
    selector,
    policy: readPolicy(policy, new AttributeReader(payload, USER_ACQUIRE_BYTES)),
  };
  return { kind: "acquire", acquire };
}
