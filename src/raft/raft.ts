import { assert, present, type Random } from "../base/mod.ts";
import { Core } from "./core.ts";
import { campaign } from "./election.ts";
import { type Limits, limitsOf } from "./limits.ts";
import { Log } from "./log.ts";
import { MembershipHistory } from "./membership.ts";
import type { Message } from "./message.ts";
import type { Ready } from "./ready.ts";
import { propose, proposeChange, requestRead, transferLeadership } from "./requests.ts";
import { step } from "./step.ts";
import type { Storage } from "./storage.ts";
import {
  type Complaint,
  type HardState,
  type MemberId,
  type MembershipChange,
  type Proposed,
  type ReadRequested,
  type Refusal,
  type Role,
  type SnapshotMeta,
  type Status,
} from "./types.ts";

/** What a member begins with. */
export interface RaftOptions {
  /** Which member this is. */
  readonly id: MemberId;
  /** What it has on disk. */
  readonly storage: Storage;
  /** For election timeouts: members that draw the same numbers hinder each other. */
  readonly random: Random;
  /** The serial that was last recorded beside the storage; 0 where none ever was. */
  readonly floor: number;
  /** Where the defaults do not suit. */
  readonly limits?: Partial<Limits>;
}

/** One member. The contract is in `mod.ts`. */
export class Raft {
  readonly #core: Core;
  #saved: HardState;
  #outstanding: Ready | null = null;
  #reads = 0;

  /** Begins, or begins again after a crash, with what is on disk. */
  constructor(options: RaftOptions) {
    const { id, storage, random, floor } = options;
    const log = new Log(storage);
    this.#saved = storage.hardState();
    this.#core = new Core({
      id,
      storage,
      random,
      limits: limitsOf(options.limits ?? {}),
      log,
      history: new MembershipHistory(log),
    });
    const lost = lostData(this.#saved, log, floor);
    if (lost !== null) this.#core.becomeDamaged(lost);
  }

  /** What it is doing. */
  get role(): Role {
    return this.#core.role.kind;
  }

  /** Its term. */
  get term(): number {
    return this.#core.term;
  }

  /** Who leads, as far as it knows. */
  get leader(): MemberId | null {
    return this.#core.leader;
  }

  /** Why it takes no part any more, or null: its disk has lost what it had promised. */
  get damage(): string | null {
    return this.#core.damage;
  }

  /** Everything that a person may want to know. */
  status(): Status {
    const { id, log, history, role, term, leader } = this.#core;
    return {
      id,
      role: role.kind,
      term,
      leader,
      last: { term: log.last.term, index: log.last.index },
      commit: log.commit,
      applied: log.applied,
      membership: history.current,
      peers: role.kind === "leader" ? role.status() : [],
    };
  }

  /**
   * What to keep beside a snapshot of the state machine as it is now, between two `Ready`s; null when
   * a leader's snapshot is about to take its place.
   */
  snapshotMeta(): SnapshotMeta | null {
    const { log, history } = this.#core;
    if (log.received !== null) return null;
    const index = log.applied;
    const term = present(log.term(index), `the term of entry ${index}`);
    return { term, index, membership: history.at(index) };
  }

  /** A unit of time passes. */
  tick(): void {
    const core = this.#core;
    if (core.damage !== null) return;
    if (core.role.kind === "leader") core.role.tick();
    else if (++core.electionElapsed >= core.electionTimeout) campaign(core);
  }

  /**
   * Stands for election without waiting: whoever founds a cluster, or is its only voter, need not
   * find out that nobody else leads. Who may not lead does nothing.
   */
  campaign(): void {
    campaign(this.#core);
  }

  /** Takes an entry into the log, if this member leads. */
  propose(data: Uint8Array): Proposed {
    return propose(this.#core, data);
  }

  /** Changes the membership by one member, if this one leads and the change is safe. */
  changeMembership(change: MembershipChange): Proposed {
    return proposeChange(this.#core, change);
  }

  /**
   * Hands the leadership to another voter: proposals are refused until it has caught up and stood
   * for election, or an election timeout has passed. Null when this has begun.
   */
  transferLeadership(to: MemberId): Refusal | null {
    return transferLeadership(this.#core, to);
  }

  /** Asks to read what is committed now. The answer comes in a {@linkcode Ready}. */
  requestRead(): ReadRequested {
    return requestRead(this.#core, ++this.#reads);
  }

  /** Takes a message of a peer. Says what was wrong with it, if an honest member cannot have sent it. */
  step(message: Message): Complaint | null {
    return this.#core.damage === null ? step(this.#core, message) : null;
  }

  /**
   * What there is to do, or null. It is to be done as `mod.ts` says, then {@linkcode advance}.
   *
   * @throws {InvariantError} before the last one has been advanced over
   */
  ready(): Ready | null {
    assert(this.#outstanding === null, "each Ready is advanced over before the next");
    const core = this.#core;
    if (core.damage !== null) return null;
    const { log, role } = core;
    if (role.kind === "leader") role.sendAll();
    const { term, vote } = core;
    const { commit } = log;
    const saved = this.#saved;
    const binds = term !== saved.term || vote !== saved.vote || log.unsaved.length > 0 ||
      log.received !== null;
    const serial = binds ? saved.serial + 1 : saved.serial;
    // The term is a promise, too: a leader that may forget that it leads it could do so twice.
    const mayTell = role.kind === "leader" && term === saved.term && vote === saved.vote;
    const { early = [], late = [] } = Object.groupBy(
      core.outbox,
      ({ kind }) => mayTell && LEADERS.includes(kind) ? "early" : "late",
    );
    const ready: Ready = {
      early,
      chunks: core.chunks,
      snapshot: log.received,
      entries: [...log.unsaved],
      hardState: binds || commit !== saved.commit ? { term, vote, commit, serial } : null,
      mustSync: binds,
      messages: late,
      committed: log.unapplied(core.limits.maxApplyBytes),
      reads: role.kind === "leader" ? role.reads.takeConfirmed() : [],
      lostReads: core.lostReads,
    };
    if (isNothing(ready)) return null;
    core.chunks = [];
    core.outbox = [];
    core.lostReads = [];
    this.#outstanding = ready;
    return ready;
  }

  /**
   * All of the last {@linkcode Ready} is done.
   *
   * @throws {InvariantError} when there is none
   */
  advance(): void {
    const ready = present(this.#outstanding, "the Ready to advance over");
    this.#outstanding = null;
    const core = this.#core;
    const { log, history } = core;
    const last = ready.committed.at(-1);
    if (ready.hardState !== null) this.#saved = ready.hardState;
    log.saved(ready.snapshot, ready.entries);
    if (last !== undefined) log.appliedTo(last.index);
    history.appliedTo(log.applied);
    if (core.role.kind === "leader") core.role.advanced(ready.committed);
  }
}

/** What only a leader says, and of which nothing depends on what is on its own disk. */
const LEADERS: readonly Message["kind"][] = ["append", "heartbeat", "snapshot-part"];

/** Whether a disk does not hold what was promised with it, and how it is known. */
function lostData(hardState: HardState, log: Log, floor: number): string | null {
  const { commit, serial } = hardState;
  if (serial < floor) {
    return `Save ${floor} was promised, and the disk has what save ${serial} left: it has lost data`;
  }
  if (commit > log.last.index) {
    return `Entry ${commit} was committed, and the log ends at entry ${log.last.index}: the disk has ` +
      "lost data";
  }
  return null;
}

function isNothing(ready: Ready): boolean {
  return ready.hardState === null && ready.snapshot === null &&
    [
      ready.early,
      ready.chunks,
      ready.entries,
      ready.messages,
      ready.committed,
      ready.reads,
      ready.lostReads,
    ].every((list) => list.length === 0);
}
