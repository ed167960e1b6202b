import { assert, type Random } from "../base/mod.ts";
import { Leadership } from "./leadership.ts";
import type { Limits } from "./limits.ts";
import type { Log } from "./log.ts";
import { type MembershipHistory, reachedByMajority } from "./membership.ts";
import type { Message } from "./message.ts";
import type { Storage } from "./storage.ts";
import {
  type Entry,
  type MemberId,
  NO_BYTES,
  type Position,
  type SnapshotChunk,
  type SnapshotMeta,
} from "./types.ts";

type WithoutAddress<M> = M extends Message ? Omit<M, "from" | "to"> : never;

/** A message before it is addressed. */
export type Letter = WithoutAddress<Message>;

/** Asks for votes, or whether there would be any. */
export interface Candidacy {
  readonly kind: "pre-candidate" | "candidate";
  readonly answers: Map<MemberId, "granted" | "refused">;
}

/** Follows whoever leads. */
export interface Following {
  readonly kind: "follower";
}

/** A snapshot of which pieces have come. */
export interface Incoming {
  readonly from: MemberId;
  readonly term: number;
  readonly place: Position;
  next: number;
}

/**
 * What one member knows (paper, figure 2), and the ways in which it changes its role. The rules of
 * each role are beside it: `election.ts`, `follower.ts`, `leadership.ts`.
 */
export class Core {
  readonly id: MemberId;
  readonly limits: Limits;
  readonly log: Log;
  readonly history: MembershipHistory;
  readonly storage: Storage;
  readonly #random: Random;

  #term: number;
  #vote: MemberId | null;
  role: Following | Candidacy | Leadership = { kind: "follower" };
  /** Who leads this term. */
  leader: MemberId | null = null;
  /** Ticks since the leader, or a candidate with this member's vote, was heard; or since it stands. */
  electionElapsed = 0;
  /** When to stand for election: other members draw other numbers. */
  electionTimeout: number;
  incoming: Incoming | null = null;
  outbox: Message[] = [];
  chunks: SnapshotChunk[] = [];
  lostReads: number[] = [];
  /** Why this member may take no part any more. */
  damage: string | null = null;

  constructor(
    options: {
      readonly id: MemberId;
      readonly storage: Storage;
      readonly random: Random;
      readonly limits: Limits;
      readonly log: Log;
      readonly history: MembershipHistory;
    },
  ) {
    this.id = options.id;
    this.storage = options.storage;
    this.#random = options.random;
    this.limits = options.limits;
    this.log = options.log;
    this.history = options.history;
    const { term, vote } = options.storage.hardState();
    this.#term = term;
    this.#vote = vote;
    this.electionTimeout = this.#drawTimeout();
  }

  get term(): number {
    return this.#term;
  }

  get vote(): MemberId | null {
    return this.#vote;
  }

  /** Whether this member may be elected. */
  get mayLead(): boolean {
    return this.damage === null && this.log.received === null &&
      this.history.current.voters.includes(this.id);
  }

  /** Whether a leader was heard so lately that no other is needed (thesis, 4.2.3). */
  get hearsLeader(): boolean {
    return this.leader !== null && this.electionElapsed < this.limits.electionTicks;
  }

  /** Puts a message into the outbox, in this term unless it says another. */
  send(to: MemberId, letter: Letter): void {
    this.outbox.push({ from: this.id, to, ...letter });
  }

  /** Adds an entry of this leader's. */
  append(kind: Entry["kind"], data: Uint8Array): Position {
    const position = { term: this.#term, index: this.log.last.index + 1 };
    const entries = [{ ...position, kind, data }];
    this.log.append(entries);
    this.history.appended(entries);
    return position;
  }

  /** Makes the log that of the leader (paper, figure 2, AppendEntries 3 and 4). */
  overwrite(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    assert(this.role.kind !== "leader", "a leader only appends");
    if (first.index <= this.log.last.index) {
      this.log.truncateFrom(first.index);
      this.history.truncatedFrom(first.index);
    }
    this.log.append(entries);
    this.history.appended(entries);
  }

  /** Takes a snapshot for the log. */
  restore(meta: SnapshotMeta): void {
    assert(this.role.kind === "follower", "only a follower takes a snapshot");
    this.log.restore(meta);
    this.history.restored(meta.index, meta.membership);
    this.incoming = null;
  }

  /** Follows, in this term or a later one. */
  becomeFollower(term: number, leader: MemberId | null): void {
    this.#enterTerm(term);
    this.#leaveRole();
    this.role = { kind: "follower" };
    this.leader = leader;
    this.#restartElectionTimer();
  }

  /** Asks whether it would win, without disturbing anybody. */
  becomePreCandidate(): void {
    assert(this.mayLead && this.role.kind !== "leader", "only a voter stands for election");
    this.#leaveRole();
    this.role = { kind: "pre-candidate", answers: new Map() };
    this.leader = null;
    this.#restartElectionTimer();
  }

  /** Stands for election in the next term. */
  becomeCandidate(): void {
    assert(this.mayLead && this.role.kind !== "leader", "only a voter stands for election");
    this.#leaveRole();
    this.#enterTerm(this.#term + 1);
    this.grantVote(this.id);
    this.role = { kind: "candidate", answers: new Map() };
    this.leader = null;
    this.#restartElectionTimer();
  }

  /** Leads the term for which a majority has chosen it. */
  becomeLeader(): void {
    assert(this.role.kind === "candidate", `a ${this.role.kind} is not elected`);
    assert(this.#vote === this.id, "a leader has voted for itself");
    const { answers } = this.role;
    const ayes = this.history.current.voters.map((id) => answers.get(id) === "granted" ? 1 : 0);
    assert(reachedByMajority(ayes) === 1, "a leader has a majority");
    this.leader = this.id;
    const leadership = new Leadership(this);
    this.role = leadership;
    this.#restartElectionTimer();
    // Entries of earlier terms count only when one of this term does (paper, 5.4.2): so there
    // must be one, or nobody can read (thesis, 6.4) or change the membership before the next write.
    this.append("noop", NO_BYTES);
    leadership.trackMembers();
  }

  /** Votes in this term. */
  grantVote(candidate: MemberId): void {
    assert(this.#vote === null || this.#vote === candidate, "a member votes once in a term");
    this.#vote = candidate;
  }

  /** Takes no part any more: answering would break a promise that the disk has forgotten. */
  becomeDamaged(reason: string): void {
    this.#leaveRole();
    this.role = { kind: "follower" };
    this.damage = reason;
    this.leader = null;
    this.outbox = [];
    this.chunks = [];
    this.incoming = null;
  }

  #enterTerm(term: number): void {
    assert(term >= this.#term, `term goes back from ${this.#term} to ${term}`);
    if (term === this.#term) return;
    this.#term = term;
    this.#vote = null;
  }

  #leaveRole(): void {
    if (this.role.kind === "leader") this.lostReads.push(...this.role.reads.drain());
  }

  #restartElectionTimer(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.#drawTimeout();
  }

  #drawTimeout(): number {
    const { electionTicks } = this.limits;
    return electionTicks + this.#random.below(electionTicks);
  }
}
