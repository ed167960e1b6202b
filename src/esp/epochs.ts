import { assert, type Id } from "../base/mod.ts";
import { epochTag } from "./spi.ts";

/** An epoch of a network that lives: its secret is handed out. */
export interface EpochState {
  /** 1 and above; each is one more than the last. */
  readonly epoch: number;
  /** When it was committed, in ms of the cluster's time. */
  readonly sinceMs: number;
}

/** What a member of a network has told of its SAs. */
export interface EpochReport {
  /**
   * Epochs of which it has SAs in its kernel, retired ones too. Of a live one: all inbound SAs that it
   * may install are there.
   */
  readonly installed: readonly number[];
  /** The oldest epoch that it still sends with, to any peer; null when it sends to nobody. */
  readonly oldestSending: number | null;
}

/** A member of a network: a node that has an endpoint on it, or still has SAs of it. */
export interface MemberEpochs {
  /** The node. */
  readonly node: Id;
  /** Null when the leader has heard nothing of it: it may send with anything. */
  readonly report: EpochReport | null;
}

/** Who holds back what. */
export interface EpochLag {
  /** An epoch that should be gone. */
  readonly epoch: number;
  /** Members that still have SAs of it, or have told nothing. */
  readonly nodes: readonly Id[];
}

/** The epoch that may be committed next, or why it has to wait. */
export type NextEpoch =
  | { readonly kind: "open"; readonly epoch: number }
  | { readonly kind: "wait"; readonly epoch: number; readonly lag: EpochLag };

/**
 * At most so many epochs live at once. There are seven tags, and the seventh epoch may not begin before
 * the oldest is gone everywhere.
 */
export const LIVE_EPOCHS_MAX = 6;

/**
 * Whether a new epoch may begin. It has to wait while six live, and while its tag is in use: by an epoch
 * that lives, or by SAs of a retired one that a member still reports. Else two SAs at one receiver would
 * have the same SPI.
 *
 * A member that tells nothing holds up no tag: it would for ever. It can have old SAs at places of new
 * ones when it comes back, and replaces them (`decideSa`); until then nobody sends to it with the new.
 *
 * @param live newest first; none for a network that had no epoch yet
 * @param last the highest epoch that ever was, 0 if none: a retired one is never used again
 */
export function nextEpoch(
  live: readonly EpochState[],
  members: readonly MemberEpochs[],
  last: number,
): NextEpoch {
  assertNewestFirst(live);
  assert((live[0]?.epoch ?? 0) <= last, "no live epoch is above the highest that ever was");
  const epoch = last + 1;
  const oldest = live.at(-1);
  if (oldest !== undefined && live.length >= LIVE_EPOCHS_MAX) {
    return { kind: "wait", epoch, lag: lagOf(oldest.epoch, members) };
  }
  const used = new Set(live.map((one) => one.epoch));
  for (const { report } of members) {
    for (const one of report?.installed ?? []) used.add(one);
  }
  for (const one of [...used].sort((a, b) => a - b)) {
    if (epochTag(one) === epochTag(epoch)) {
      return { kind: "wait", epoch, lag: lagOf(one, members) };
    }
  }
  return { kind: "open", epoch };
}

function lagOf(epoch: number, members: readonly MemberEpochs[]): EpochLag {
  const holds = ({ report }: MemberEpochs) => report === null || report.installed.includes(epoch);
  return { epoch, nodes: members.filter(holds).map(({ node }) => node) };
}

/**
 * The epoch to send with to one peer: the newest that lives, that the peer has reported installed, and
 * whose outbound SA this host has. Null when there is none: the pair is closed until there is.
 *
 * @param live the epochs that live; a peer may still report others
 */
export function outboundEpoch(
  live: readonly number[],
  ownOutbound: readonly number[],
  peerInstalled: readonly number[],
): number | null {
  let newest: number | null = null;
  for (const epoch of live) {
    if (!ownOutbound.includes(epoch) || !peerInstalled.includes(epoch)) continue;
    if (newest === null || epoch > newest) newest = epoch;
  }
  return newest;
}

/** When epochs go. */
export interface RetirementRules {
  /** The cluster's time. */
  readonly nowMs: number;
  /** So long after the next one began, an epoch goes even if members still send with it. */
  readonly limitMs: number;
}

/**
 * The live epochs that may go now, oldest first. The newest never goes. Another goes when every member
 * has told that it sends with newer ones only, or when its time is up.
 *
 * A node that was removed is no member, so it holds nothing back.
 *
 * @param live newest first
 */
export function retiringEpochs(
  live: readonly EpochState[],
  members: readonly MemberEpochs[],
  { nowMs, limitMs }: RetirementRules,
): number[] {
  assertNewestFirst(live);
  const retiring: number[] = [];
  for (const [place, { epoch }] of live.entries()) {
    const successor = live[place - 1];
    if (successor === undefined) continue;
    const moved = members.every(({ report }) =>
      report !== null && (report.oldestSending === null || report.oldestSending > epoch)
    );
    if (moved || nowMs - successor.sinceMs >= limitMs) retiring.push(epoch);
  }
  return retiring.reverse();
}

function assertNewestFirst(live: readonly EpochState[]): void {
  for (const [place, { epoch }] of live.entries()) {
    const before = live[place - 1];
    assert(before === undefined || before.epoch > epoch, "live epochs are newest first");
  }
}
