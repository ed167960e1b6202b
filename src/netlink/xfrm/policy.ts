import { AttributeWriter, checkRange, putU32 } from "../attribute_writer.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "../constants.ts";
import { DecodeError } from "../errors.ts";
import type { ComparableDump, Query, Request } from "../request.ts";
import * as c from "./constants.ts";
import { type Lifetimes, putLifetimes } from "./lifetime.ts";
import { type Mark, writeMark } from "./mark.ts";
import {
  blankPolicyUse,
  decodePolicy,
  type Policy,
  type PolicyAction,
  type PolicyDirection,
  USERPOLICY_INFO_BYTES,
} from "./policy_message.ts";
import { describeSelector, putSelector, type Selector, SELECTOR_BYTES } from "./selector.ts";
import { encodeTemplates, type NewTemplate } from "./template.ts";

/** A policy to make. */
export interface NewPolicy {
  /** Which packets it looks at: those this host receives, sends, or passes on. */
  readonly direction: PolicyDirection;
  /** Which of them it is for. */
  readonly selector: Selector;
  /** The lowest wins among policies that are for a packet. */
  readonly priority: number;
  /** What becomes of a packet. */
  readonly action: PolicyAction;
  /** What a packet must be wrapped in, the innermost first; with none it passes as it is. */
  readonly templates?: readonly NewTemplate[];
  /**
   * It is for ICMP errors about such packets too (`XFRM_POLICY_ICMP`): they quote the packet, and
   * would leave in the clear otherwise.
   */
  readonly icmp?: boolean;
  /** A socket may have a policy of its own instead (`XFRM_POLICY_LOCALOK`). */
  readonly localOk?: boolean;
  /** The kernel's name for it; by default the kernel chooses. Its lowest 3 bits are the direction. */
  readonly index?: number;
  /** It is for packets with this mark only. */
  readonly mark?: Mark | null;
  /** When it ends; by default never. */
  readonly lifetimes?: Partial<Lifetimes>;
}

/** Which policy: by what it is for, or by the kernel's name. One that was described can stand here. */
export type PolicyId =
  & { readonly direction: PolicyDirection; readonly mark?: Mark | null }
  & ({ readonly selector: Selector } | { readonly index: number });

const DIRECTIONS: Readonly<Record<PolicyDirection, number>> = {
  in: c.XFRM_POLICY_IN,
  out: c.XFRM_POLICY_OUT,
  fwd: c.XFRM_POLICY_FWD,
};

/**
 * Makes a policy; `EEXIST` when there is one with the same direction, selector and mark.
 *
 * @throws {RangeError}
 */
export function addPolicy(policy: NewPolicy): Request {
  return makePolicy("add", c.XFRM_MSG_NEWPOLICY, policy);
}

/**
 * Makes a policy, in the place of one with the same direction, selector and mark. The kernel changes
 * over in one step: no packet finds none.
 *
 * @throws {RangeError}
 */
export function replacePolicy(policy: NewPolicy): Request {
  return makePolicy("replace", c.XFRM_MSG_UPDPOLICY, policy);
}

function makePolicy(verb: string, type: number, policy: NewPolicy): Request {
  const { direction, selector, priority, action, templates = [], mark } = policy;
  checkRange("priority", priority, 0, 0xffffffff);
  const head = new Uint8Array(USERPOLICY_INFO_BYTES);
  putSelector(head, 0, selector);
  putLifetimes(head, SELECTOR_BYTES, policy.lifetimes ?? {});
  putU32(head, 152, priority);
  putPolicyIndex(head, 156, policy.index);
  head[160] = DIRECTIONS[direction];
  head[161] = action === "allow" ? c.XFRM_POLICY_ALLOW : c.XFRM_POLICY_BLOCK;
  head[162] = (policy.icmp === true ? c.XFRM_POLICY_ICMP : 0) |
    (policy.localOk === true ? c.XFRM_POLICY_LOCALOK : 0);
  // One template and a mark, each with its header.
  const writer = new AttributeWriter(head, 68 + 12);
  if (templates.length > 0) writer.bytes(c.XFRMA_TMPL, encodeTemplates(templates));
  writeMark(writer, mark);
  return {
    describe: () => `${verb} ${direction} policy for ${describeSelector(selector)}`,
    type,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: writer.finish(),
  };
}

function putPolicyIndex(bytes: Uint8Array, offset: number, index: number | undefined): void {
  if (index === undefined) return;
  checkRange("index of a policy", index, 1, 0xffffffff);
  putU32(bytes, offset, index);
}

/**
 * Deletes a policy; `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function deletePolicy(id: PolicyId): Request {
  return {
    describe: () => `delete ${describePolicy(id)}`,
    type: c.XFRM_MSG_DELPOLICY,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: encodePolicyId(id),
  };
}

/**
 * Asks for one policy; `ENOENT` when there is none.
 *
 * @throws {RangeError}
 */
export function getPolicy(id: PolicyId): Query<Policy> {
  return {
    answer: "one",
    describe: () => `get ${describePolicy(id)}`,
    type: c.XFRM_MSG_GETPOLICY,
    flags: NLM_F_REQUEST,
    payload: encodePolicyId(id),
    decode(message) {
      const policy = decodePolicy(message.payload);
      if (policy === null) throw new DecodeError(`The answer to get ${describePolicy(id)} is none`);
      return policy;
    },
  };
}

/** Asks for all policies of the namespace, sockets' own left out. */
export function dumpPolicies(): ComparableDump<Policy> {
  return {
    answer: "many",
    describe: () => "dump policies",
    type: c.XFRM_MSG_GETPOLICY,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: new Uint8Array(),
    decode: (message) => decodePolicy(message.payload),
    blank: blankPolicyUse,
  };
}

/** Deletes all policies of the namespace, whoever made them; done too when there was none. */
export function flushPolicies(): Request {
  return {
    describe: () => "flush policies",
    type: c.XFRM_MSG_FLUSHPOLICY,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: new Uint8Array(),
  };
}

/** `struct xfrm_userpolicy_id`: selector (56 bytes), index (u32), direction (u8), padding. */
export const USERPOLICY_ID_BYTES = 64;

function encodePolicyId(id: PolicyId): Uint8Array {
  const head = new Uint8Array(USERPOLICY_ID_BYTES);
  // The kernel goes by the index where there is one; a described policy has both.
  if ("selector" in id) putSelector(head, 0, id.selector);
  else putPolicyIndex(head, SELECTOR_BYTES, id.index);
  head[SELECTOR_BYTES + 4] = DIRECTIONS[id.direction];
  const writer = new AttributeWriter(head);
  writeMark(writer, id.mark);
  return writer.finish();
}

function describePolicy(id: PolicyId): string {
  const which = "selector" in id
    ? `for ${describeSelector(id.selector)}`
    : `with index ${id.index}`;
  return `${id.direction} policy ${which}`;
}
