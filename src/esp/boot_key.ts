import type { Id } from "../base/mod.ts";

/** What is known when the agent starts, or when it hears of its managers. */
export interface BootKeyFacts {
  /** The key in `/run`; null when there is none. */
  readonly stored: {
    /** The kernel's boot id when it was made. */
    readonly bootId: string;
    /** The cluster's incarnation when it was made. */
    readonly incarnation: Id;
  } | null;
  /** Whether the journal beside it can say what was installed under it. */
  readonly journal: "intact" | "missing" | "damaged";
  /** The kernel's boot id now. */
  readonly bootId: string;
  /** The cluster's incarnation now. */
  readonly incarnation: Id;
  /** The last report of this node has this number: each try has one of its own, above all before. */
  readonly reportNumber: number;
  /** The highest number that managers had seen of this node before it; null until one has answered. */
  readonly seenBefore: number | null;
}

/** Why a boot key is of no use any more. */
export type BootKeyReason =
  | "no-key"
  | "rebooted"
  | "journal-missing"
  | "journal-damaged"
  | "new-incarnation"
  | "copied-or-restored";

/** Keep the boot key, or make a new one and a new journal. */
export type BootKeyDecision =
  | { readonly kind: "keep" }
  | { readonly kind: "make"; readonly reason: BootKeyReason };

/**
 * Whether this host needs a new boot key. A key is kept as long as this very kernel has run with it, and
 * the journal tells what was installed: then no derivation can come twice.
 *
 * - A rebooted kernel has lost its SAs, and their sequence numbers.
 * - A restored cluster has rolled its epochs back.
 * - A machine that was copied, or restored with its memory, does not know it: its boot id is the same.
 *   But a manager has heard its next report from somebody already.
 */
export function decideBootKey(facts: BootKeyFacts): BootKeyDecision {
  const reason = reasonForNewKey(facts);
  return reason === null ? { kind: "keep" } : { kind: "make", reason };
}

function reasonForNewKey(facts: BootKeyFacts): BootKeyReason | null {
  const { stored, journal, seenBefore } = facts;
  if (stored === null) return "no-key";
  if (stored.bootId !== facts.bootId) return "rebooted";
  if (journal === "missing") return "journal-missing";
  if (journal === "damaged") return "journal-damaged";
  if (stored.incarnation !== facts.incarnation) return "new-incarnation";
  if (seenBefore !== null && seenBefore >= facts.reportNumber) return "copied-or-restored";
  return null;
}

/** A node's boot key as the managers have committed it. */
export interface PublishedBootKey {
  /** Digest of the public half. */
  readonly key: string;
  /** The kernel's boot id when it was made. */
  readonly bootId: string;
  /** The cluster's incarnation that the commitment is of. */
  readonly incarnation: Id;
}

/**
 * Whether SAs may be installed with the own boot key: not before the managers have committed this very
 * key, since the agent started, in this incarnation. Until then a copy of the machine could have the same
 * key, and a peer would derive other keys.
 *
 * @param published null until a manager has answered this process's report
 */
export function mayInstall(own: PublishedBootKey, published: PublishedBootKey | null): boolean {
  return published !== null && published.key === own.key && published.bootId === own.bootId &&
    published.incarnation === own.incarnation;
}
