import type { Frame } from "../base/mod.ts";
import type { MemberId, PeerStatus, Role } from "../raft/mod.ts";
import type { LeaderHint } from "./errors.ts";

/** What the committed entries go into. It is the caller's, and is called in log order. */
export interface StateMachine<Result> {
  /** Applies one committed entry. Total: it answers for every sequence of bytes. */
  apply(entry: Uint8Array): Result;
  /** All of the state as bytes. */
  encodeSnapshot(): Uint8Array;
  /** Replaces the state by that of a snapshot. */
  restoreSnapshot(snapshot: Uint8Array): void;
}

/** This manager leads, and its state machine holds all that was acknowledged before it did. */
export interface Leadership {
  /** The term that it leads; no two managers lead the same one. */
  readonly term: number;
}

/** How an entry is proposed. */
export interface ProposeOptions {
  /**
   * Only as the leader of this term. What a leader decided in one term must not be written in
   * another: in between another manager may have led and decided differently.
   */
  readonly term?: number;
}

/** A replicated log in front of a {@linkcode StateMachine}. */
export interface Store<Result> {
  /** Whether {@linkcode Store.leadership} is there. With one manager it always is. */
  readonly isLeader: boolean;
  /** What this manager leads; `null` when it does not. A leader that is cut off learns so late. */
  readonly leadership: Leadership | null;
  /** Who leads, as far as this manager knows; perhaps itself. */
  readonly leader: LeaderHint | null;
  /**
   * Appends an entry; resolves with what the state machine answered, once it is durable on a
   * majority of the managers' disks. The bytes must not change afterwards.
   *
   * @throws {NotLeaderError} when it is not in the log and never will be: ask the leader
   * @throws {OutcomeUnknownError} when the leadership was lost on the way: repeat the request under
   * the same request id
   * @throws {StoreRefusedError} `overloaded`, `too-large`, `transferring` or `closing`
   * @throws {StoreFailedError | DataLostError} when this manager is out of action; whether the entry is
   * durable is unknown
   */
  propose(entry: Uint8Array, options?: ProposeOptions): Promise<Result>;
  /**
   * Resolves when the state machine may be read as of now: for this turn of the event loop it holds
   * all that any manager had acknowledged before the call (ReadIndex; no clock is trusted).
   *
   * @throws {NotLeaderError} when this manager does not lead, or cannot prove that it still does
   * @throws {StoreRefusedError} `overloaded` or `closing`
   * @throws {StoreFailedError | DataLostError} when this manager is out of action
   */
  read(): Promise<void>;
  /**
   * Calls `listener` after each batch of entries is applied, here or by a leader elsewhere, before
   * their proposers hear of it; with no results at all when a snapshot has taken the place of the state.
   * Calling the result ends this. A listener that throws brings the store down.
   */
  watch(listener: (results: readonly Result[]) => void): () => void;
  /**
   * Calls `listener` whenever {@linkcode Store.leadership} changes, and at once when there is one now:
   * so that a leader's duties are begun, and ended. Each duty writes with `propose(entry, leadership)`,
   * for a leader may be deposed before it hears of it.
   */
  watchLeadership(listener: (leadership: Leadership | null) => void): () => void;
  /** As this manager sees it. */
  status(): StoreStatus;
  /**
   * Adds a member that receives everything and decides nothing. Resolves when that is committed.
   *
   * @throws {NotLeaderError | OutcomeUnknownError | StoreFailedError} as `propose`
   * @throws {StoreRefusedError} with the reason, and with what to do instead
   */
  addLearner(id: MemberId): Promise<void>;
  /** Makes a learner vote that has caught up (`not-caught-up`: try again). Otherwise as `addLearner`. */
  promote(id: MemberId): Promise<void>;
  /** Takes a member out. A leader that takes itself out leads until that is committed. */
  remove(id: MemberId): Promise<void>;
  /**
   * Hands the leadership to `to`, or to the member that has most of the log. Resolves when this
   * manager does not lead any more, or is itself the one.
   *
   * @throws {NotLeaderError} when it does not lead in the first place
   * @throws {StoreRefusedError} when it still leads after an election timeout, or nobody could
   */
  transferLeadership(to?: MemberId): Promise<void>;
  /** Hands the leadership over, finishes what was proposed, lets go of the files. Never throws. */
  close(): Promise<void>;
}

/** A member as the leader knows it. */
export interface MemberStatus extends Omit<PeerStatus, "silentTicks"> {
  /** Entries that it is behind the leader's log. */
  readonly lag: number;
  /** Time since it was last heard. */
  readonly silentMs: number;
  /** Whether that is less than an election timeout: otherwise it is taken for dead. */
  readonly isHeard: boolean;
}

/** What a person may want to know of a store. */
export interface StoreStatus {
  /** This member. */
  readonly id: MemberId;
  /** What it is doing. */
  readonly role: Role;
  /** Its term. */
  readonly term: number;
  /** Who leads, as far as it knows. */
  readonly leader: LeaderHint | null;
  /** Index of the last entry in its log. */
  readonly lastIndex: number;
  /** All up to here will stay. */
  readonly commitIndex: number;
  /** All up to here is in the state machine. */
  readonly appliedIndex: number;
  /** The newest snapshot holds all up to here. */
  readonly snapshotIndex: number;
  /** Who decides. */
  readonly voters: readonly MemberId[];
  /** Who is catching up. */
  readonly learners: readonly MemberId[];
  /** The other members, on a leader; empty elsewhere. */
  readonly members: readonly MemberStatus[];
  /** How many of the voters that are heard now may fail and leave a majority; `null` where unknown. */
  readonly mayLose: number | null;
}

/**
 * Carries messages between managers. Frames may be lost, doubled, delayed and reordered; their kinds are
 * below 240. Entries go by `log`, pieces of snapshots by `snapshot`, so that no heartbeat waits behind
 * one.
 */
export interface RaftTransport {
  /**
   * Gives every frame that comes to `receiver`, with the member that sent it as its connection has
   * proved. A frame counts against the sender's window until `receiver` has returned. `null`: nobody
   * takes any more.
   */
  listen(receiver: ((from: MemberId, frame: Frame) => void) | null): void;
  /** Sends, or drops: it never waits, and keeps a bounded number of bytes for a member that is slow. */
  send(to: MemberId, frames: readonly Frame[], lane: "log" | "snapshot"): void;
  /** With whom connections are worth keeping. Others are connected to when there is something to send. */
  setPeers(ids: readonly MemberId[]): void;
}
