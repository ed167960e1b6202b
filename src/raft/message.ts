import type { Entry, MemberId, Position, SnapshotMeta } from "./types.ts";

/** What is on every message. */
export interface Envelope {
  /** Who sends it: proved by the connection, never by the message. */
  readonly from: MemberId;
  /** For whom it is. */
  readonly to: MemberId;
  /** The sender's term; of a `pre-vote`, and of the grant that answers it, the term it is about. */
  readonly term: number;
}

/** Would you vote for me in this term? It changes nothing at the one who is asked (thesis, 9.6). */
export interface PreVote extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "pre-vote";
  /** End of the candidate's log. */
  readonly last: Position;
}

/** Answer to a {@linkcode PreVote}. */
export interface PreVoteReply extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "pre-vote-reply";
  /** Whether the sender would. */
  readonly granted: boolean;
}

/** RequestVote (paper, figure 2). */
export interface Vote extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "vote";
  /** End of the candidate's log. */
  readonly last: Position;
  /** The leader itself has asked for this election, so one who hears the leader may vote. */
  readonly transfer: boolean;
}

/** Answer to a {@linkcode Vote}. */
export interface VoteReply extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "vote-reply";
  /** Whether the vote is the candidate's. */
  readonly granted: boolean;
}

/** AppendEntries with entries, or with nothing but a newer commit index. */
export interface Append extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "append";
  /** The place right before the entries. */
  readonly prev: Position;
  /** Contiguous; perhaps none. */
  readonly entries: readonly Entry[];
  /** The leader's commit index. */
  readonly commit: number;
}

/** The log matches the leader's up to `match`, and all of that is on disk. */
export interface AppendAccepted extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "append-accepted";
  /** Highest index that is known to agree. */
  readonly match: number;
}

/** The log has no entry at `prev`, or another one. */
export interface AppendRejected extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "append-rejected";
  /** Index of the `prev` that did not match: tells a late answer from a fresh one. */
  readonly rejected: number;
  /**
   * The last entry that may agree: of all entries up to `prev`, the last whose term is not above
   * that of `prev`. So a whole term is skipped in one round trip (paper, end of 5.3).
   */
  readonly hint: Position;
}

/** "I lead": sent to all in regular intervals, and at once when somebody wants to read. */
export interface Heartbeat extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "heartbeat";
  /** The leader's commit index, as far as the receiver's log is known to reach. */
  readonly commit: number;
  /** What the receiver has acknowledged in this term. One that does not have it has lost data. */
  readonly match: number;
  /** Grows with each confirmation of leadership that reads wait for (thesis, 6.4). */
  readonly round: number;
}

/** Answer to a {@linkcode Heartbeat}. */
export interface HeartbeatReply extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "heartbeat-reply";
  /** As in the heartbeat. */
  readonly round: number;
}

/** InstallSnapshot (paper, figure 13): one piece. The next goes out when this is acknowledged. */
export interface SnapshotPart extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "snapshot-part";
  /** Which snapshot. */
  readonly meta: SnapshotMeta;
  /** Where this piece begins. */
  readonly offset: number;
  /** The piece. */
  readonly data: Uint8Array;
  /** Nothing follows. */
  readonly done: boolean;
}

/** How far a snapshot has come. The last piece is answered by {@linkcode AppendAccepted}. */
export interface SnapshotProgress extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "snapshot-progress";
  /** Which snapshot: its place. */
  readonly snapshot: Position;
  /** Where the next piece has to begin. */
  readonly offset: number;
}

/** The leader hands over: stand for election now (thesis, 3.10). */
export interface TimeoutNow extends Envelope {
  /** Discriminates {@linkcode Message}. */
  readonly kind: "timeout-now";
}

/**
 * What members say to each other. Messages may be lost, doubled, delayed and reordered. Those of
 * kind `snapshot-part` are large and may take a way of their own.
 */
export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply
  | SnapshotPart
  | SnapshotProgress
  | TimeoutNow;
