import { AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { DecodeError } from "../errors.ts";
import * as c from "./constants.ts";
import {
  blankLifetimeUse,
  type Lifetimes,
  type LifetimeUse,
  readLifetimes,
  readLifetimeUse,
} from "./lifetime.ts";
import { type Mark, readMark } from "./mark.ts";
import { readSelector, type Selector } from "./selector.ts";
import { readTemplates, type Template } from "./template.ts";

/** Which packets a policy looks at: those this host receives, sends, or passes on. */
export type PolicyDirection = "in" | "out" | "fwd";

/** What becomes of a packet: it passes, as the templates say, or is dropped. */
export type PolicyAction = "allow" | "block";

/** A policy (RFC 4301 section 4.4.1), as the kernel describes it. */
export interface Policy {
  /** Which packets it looks at. */
  readonly direction: PolicyDirection;
  /** Which of them it is for. */
  readonly selector: Selector;
  /** The lowest wins among policies that are for a packet. */
  readonly priority: number;
  /** What becomes of a packet. */
  readonly action: PolicyAction;
  /** What a packet must be wrapped in, the innermost first; with none it passes as it is. */
  readonly templates: readonly Template[];
  /** It is for ICMP errors about such packets too. */
  readonly icmp: boolean;
  /** A socket may have a policy of its own instead. */
  readonly localOk: boolean;
  /** The kernel's name for it. */
  readonly index: number;
  /** It is for packets with this mark only. */
  readonly mark: Mark | null;
  /** It is for packets of this xfrm interface only. */
  readonly interfaceId: number | null;
  /** When it ends. */
  readonly lifetimes: Lifetimes;
  /** How much it was used; the kernel counts no bytes here. */
  readonly use: LifetimeUse;
}

/**
 * `struct xfrm_userpolicy_info`:
 *
 * | offset | bytes | field                      |
 * |--------|-------|----------------------------|
 * | 0      | 56    | selector                   |
 * | 56     | 64    | limits                     |
 * | 120    | 32    | what has been used of them |
 * | 152    | 4     | priority                   |
 * | 156    | 4     | index                      |
 * | 160    | 1     | direction                  |
 * | 161    | 1     | action                     |
 * | 162    | 1     | flags (`XFRM_POLICY_…`)    |
 * | 163    | 1     | share                      |
 */
export const USERPOLICY_INFO_BYTES = 168;

/**
 * Reads the struct, and the attributes that follow it or, where the struct is one of them, stand
 * beside it.
 *
 * @returns null for a socket's own policy, and for addresses that are neither IPv4 nor IPv6
 * @throws {DecodeError}
 */
export function readPolicy(struct: Uint8Array, attributes: AttributeReader): Policy | null {
  const view = headView(struct, USERPOLICY_INFO_BYTES, "xfrm_userpolicy_info");
  const selector = readSelector(view, 0);
  const direction = decodeDirection(view.getUint8(160));
  if (selector === null || direction === null) return null;
  const flags = view.getUint8(162);
  const policy: Filling<Policy> = {
    direction,
    selector,
    priority: view.getUint32(152, true),
    action: decodeAction(view.getUint8(161)),
    templates: [],
    icmp: (flags & c.XFRM_POLICY_ICMP) !== 0,
    localOk: (flags & c.XFRM_POLICY_LOCALOK) !== 0,
    index: view.getUint32(156, true),
    mark: null,
    interfaceId: null,
    lifetimes: readLifetimes(view, 56),
    use: readLifetimeUse(view, 120),
  };
  while (attributes.next()) {
    switch (attributes.type) {
      case c.XFRMA_TMPL:
        policy.templates = readTemplates(attributes.bytes());
        break;
      case c.XFRMA_MARK:
        policy.mark = readMark(attributes);
        break;
      case c.XFRMA_IF_ID:
        policy.interfaceId = attributes.u32();
        break;
    }
  }
  return policy;
}

/** Directions above 2 are those of policies that a socket has set for itself. */
function decodeDirection(direction: number): PolicyDirection | null {
  switch (direction) {
    case c.XFRM_POLICY_IN:
      return "in";
    case c.XFRM_POLICY_OUT:
      return "out";
    case c.XFRM_POLICY_FWD:
      return "fwd";
    default:
      return null;
  }
}

function decodeAction(action: number): PolicyAction {
  if (action === c.XFRM_POLICY_ALLOW) return "allow";
  if (action === c.XFRM_POLICY_BLOCK) return "block";
  throw new DecodeError(`A policy has the action ${action}, neither allow nor block`);
}

/**
 * Decodes `XFRM_MSG_NEWPOLICY` and `XFRM_MSG_UPDPOLICY`: the struct, then attributes.
 *
 * @returns as {@linkcode readPolicy}
 * @throws {DecodeError}
 */
export function decodePolicy(payload: Uint8Array): Policy | null {
  return readPolicy(payload, new AttributeReader(payload, USERPOLICY_INFO_BYTES));
}

/** Sets to zero how much a policy was used. */
export function blankPolicyUse(payload: Uint8Array): void {
  blankLifetimeUse(payload, 120);
}
