import type { Bytes } from "../base/mod.ts";

/**
 * Names a member for as long as its disk lives: one whose disk was lost comes back under another
 * id, for the old one has promised things that the new disk does not know.
 */
export type MemberId = string;

/** A place in the log. Places are ordered by term, then by index, as votes are (paper, 5.4.1). */
export interface Position {
  /** Term of the leader that made the entry; 0 only before the first entry. */
  readonly term: number;
  /** 1 is the first entry. */
  readonly index: number;
}

/**
 * What an entry is: `data` is the caller's, `noop` begins each term, `membership` holds a
 * {@linkcode Membership}. Only `data` means anything to a state machine.
 */
export type EntryKind = "data" | "noop" | "membership";

/** An entry of the log. */
export interface Entry extends Position {
  /** Whose bytes these are. */
  readonly kind: EntryKind;
  /** Opaque, unless the kind is `membership`. */
  readonly data: Uint8Array;
}

/** Who takes part. No id is in both lists, and none twice. */
export interface Membership {
  /** Elect leaders and make entries count as committed. */
  readonly voters: readonly MemberId[];
  /** Receive everything and decide nothing: they are catching up. */
  readonly learners: readonly MemberId[];
}

/** One step from a membership to the next: any two majorities of the two have a member in common. */
export type MembershipChange =
  | { readonly kind: "add-learner"; readonly id: MemberId }
  | { readonly kind: "promote"; readonly id: MemberId }
  | { readonly kind: "remove"; readonly id: MemberId };

/** What must survive a crash beside the log (paper, figure 2); the commit index may be lost. */
export interface HardState {
  /** The highest term that this member has seen. */
  readonly term: number;
  /** Whom it voted for in that term. */
  readonly vote: MemberId | null;
  /** Saved so that a restarted member need not wait for a leader to know its state. */
  readonly commit: number;
  /**
   * +1 with each {@linkcode Ready} that has to be on disk. Recorded in a second place, it shows that a
   * disk has silently lost something that was promised, whatever that was: the end of the log, a
   * vote, or that an entry had taken the place of another.
   */
  readonly serial: number;
}

/** What a snapshot stands for: all entries up to its place. */
export interface SnapshotMeta extends Position {
  /** The membership as of that place. */
  readonly membership: Membership;
}

/** A piece of a snapshot that a leader sends. */
export interface SnapshotChunk {
  /** Which snapshot it is a piece of. */
  readonly meta: SnapshotMeta;
  /** Where the piece begins; at 0 a new snapshot begins and an unfinished one is worthless. */
  readonly offset: number;
  /** The piece. */
  readonly data: Uint8Array;
}

/** A read that may be served as soon as the state machine has applied the entry at `index`. */
export interface ConfirmedRead {
  /** What {@linkcode Raft.requestRead} gave. */
  readonly id: number;
  /** Everything that was acknowledged before the request is at or below this index. */
  readonly index: number;
}

/** Why a request was not taken up. Nothing has changed. */
export interface Refusal {
  /** For a program. */
  readonly code: RefusalCode;
  /** One sentence for a person. */
  readonly reason: string;
}

/** Every reason for a {@linkcode Refusal}. */
export type RefusalCode =
  | "not-leader"
  | "transferring"
  | "overloaded"
  | "too-large"
  | "change-pending"
  | "term-not-begun"
  | "not-a-member"
  | "already-a-member"
  | "not-caught-up"
  | "quorum-at-risk"
  | "last-voter"
  | "too-many-voters";

/** An entry that was taken into the leader's log; whether it stays there, its commit will tell. */
export type Proposed =
  | { readonly ok: true; readonly position: Position }
  | { readonly ok: false; readonly refusal: Refusal };

/** A read that waits for its confirmation. */
export type ReadRequested =
  | { readonly ok: true; readonly id: number }
  | { readonly ok: false; readonly refusal: Refusal };

/** A message that an honest member would not have sent: worth a line in the log of errors. */
export interface Complaint {
  /** `malformed`: not a message; `impossible`: it contradicts what Raft guarantees. */
  readonly code: "malformed" | "impossible";
  /** What is wrong with it. */
  readonly reason: string;
}

/** What a member is doing. */
export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** What a leader knows of another member. */
export interface PeerStatus {
  /** Which member. */
  readonly id: MemberId;
  /** Whether it votes. */
  readonly voter: boolean;
  /** The highest index known to be on its disk. */
  readonly match: number;
  /** How entries reach it: searching for its place, streaming, or as a snapshot. */
  readonly state: "probe" | "replicate" | "snapshot";
  /** Ticks since it was last heard. */
  readonly silentTicks: number;
  /** A learner that may be promoted. */
  readonly caughtUp: boolean;
}

/** A member as it sees itself. */
export interface Status {
  /** Which member this is. */
  readonly id: MemberId;
  /** What it is doing. */
  readonly role: Role;
  /** Its term. */
  readonly term: number;
  /** Who leads this term, as far as it knows. */
  readonly leader: MemberId | null;
  /** End of its log, saved or not. */
  readonly last: Position;
  /** All up to here is committed. */
  readonly commit: number;
  /** All up to here has been given out and advanced over. */
  readonly applied: number;
  /** The newest membership in its log, committed or not (thesis, 4.1). */
  readonly membership: Membership;
  /** The other members, on a leader; empty elsewhere. */
  readonly peers: readonly PeerStatus[];
}

/**
 * What an entry counts for wherever bytes are limited: its data, and what a frame needs to say about
 * it. So a million tiny entries are not small.
 */
export function entryBytes(entry: Pick<Entry, "data">): number {
  return entry.data.length + 64;
}

/** Bytes of no entry. */
export const NO_BYTES: Bytes = new Uint8Array();

/** Whether `left` comes before `right`: by term, then by index. */
export function isBefore(left: Position, right: Position): boolean {
  return left.term < right.term || (left.term === right.term && left.index < right.index);
}
