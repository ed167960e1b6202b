import type { Id } from "../base/mod.ts";
import type { Touched } from "./decision.ts";
import type { Outcome } from "./types.ts";

/** Whether an entry has changed something. */
export type Change = "changed" | "same";

/** What an entry has changed, so that no more than that is made again. */
export interface ChangeSet {
  /** Members whose projection may be another one now; new members too. */
  readonly nodes: ReadonlySet<Id>;
  /** Those who are members no more. */
  readonly removedNodes: ReadonlySet<Id>;
  /** Members that have another role now. */
  readonly reroledNodes: ReadonlySet<Id>;
  /** Any setting. */
  readonly settings: Change;
  /** Roots or their key. */
  readonly authority: Change;
  /** Who is a manager, or where one is reached. */
  readonly managers: Change;
}

/** What became of an entry. */
export interface Applied {
  /** Done, or why not. */
  readonly outcome: Outcome;
  /** Whether this is the answer of an earlier entry with the same request. */
  readonly repeated: boolean;
  /** Empty when it was rejected or repeated. */
  readonly changed: ChangeSet;
}

/** The whole of what a command has touched. */
export function changeSetOf(touched: Touched): ChangeSet {
  return {
    nodes: new Set(touched.nodes ?? []),
    removedNodes: new Set(touched.removedNodes ?? []),
    reroledNodes: new Set(touched.reroledNodes ?? []),
    settings: touched.settings ? "changed" : "same",
    authority: touched.authority ? "changed" : "same",
    managers: touched.managers ? "changed" : "same",
  };
}

/** Of a command that was rejected, repeated or had nothing to change. */
export const NOTHING_CHANGED: ChangeSet = changeSetOf({});
