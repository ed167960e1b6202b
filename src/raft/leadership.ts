import { present } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { majorityOf, reachedByMajority } from "./membership.ts";
import { Progress } from "./progress.ts";
import { Reads } from "./reads.ts";
import {
  type Entry,
  entryBytes,
  type MemberId,
  type Membership,
  type PeerStatus,
} from "./types.ts";

/** A transfer of the leadership that is under way. */
interface Transfer {
  readonly to: MemberId;
  ticks: number;
  asked: boolean;
}

/** What a leader knows and does in its one term (paper, figure 2, "Leaders"). */
export class Leadership {
  readonly kind = "leader";
  readonly peers: Map<MemberId, Progress> = new Map();
  readonly reads: Reads = new Reads();
  /** Data of this leader's proposals that it has not applied yet. */
  uncommittedBytes = 0;
  transfer: Transfer | null = null;
  readonly #core: Core;
  /** Index of the term's first entry. */
  readonly #firstIndex: number;
  #heartbeatElapsed = 0;
  #heartbeatDue = false;
  /** Ends of the log one and two election timeouts ago, at most: what a learner must have. */
  #catchUp: { recent: number; target: number };
  #catchUpElapsed = 0;

  constructor(core: Core) {
    this.#core = core;
    const { index } = core.log.last;
    this.#firstIndex = index + 1;
    this.#catchUp = { recent: index, target: index };
  }

  /** Whether an entry of this term is committed: only then does the leader know what is. */
  get termHasBegun(): boolean {
    return this.#core.log.commit >= this.#firstIndex;
  }

  /** Takes note of the newest membership. */
  trackMembers(): void {
    const { id: self, history, log } = this.#core;
    const { voters, learners } = history.current;
    const members = new Set([...voters, ...learners]);
    for (const id of this.peers.keys()) if (!members.has(id)) this.peers.delete(id);
    for (const id of members) {
      if (id !== self && !this.peers.has(id)) this.peers.set(id, new Progress(id, log.last.index));
    }
    if (this.transfer !== null && !voters.includes(this.transfer.to)) this.transfer = null;
  }

  /** A tick passes; the leader may find that it has lost its majority. */
  tick(): void {
    const { limits, log } = this.#core;
    for (const peer of this.peers.values()) peer.tick();
    if (++this.#heartbeatElapsed >= limits.heartbeatTicks) this.#heartbeatDue = true;
    if (++this.#catchUpElapsed >= limits.electionTicks) {
      this.#catchUpElapsed = 0;
      this.#catchUp = { recent: log.last.index, target: this.#catchUp.recent };
    }
    if (this.transfer !== null && ++this.transfer.ticks >= limits.electionTicks) {
      this.transfer = null;
    }
    if (!this.hearsMajorityOf(this.#core.history.current)) {
      this.#core.becomeFollower(this.#core.term, null);
    }
  }

  /** Whether enough voters were heard lately (thesis, 6.2). */
  hearsMajorityOf({ voters }: Membership): boolean {
    const heard = voters.filter((id) => id === this.#core.id || this.#hears(this.peers.get(id)));
    return heard.length >= majorityOf(voters.length);
  }

  /**
   * Whether a learner may vote: it has all that was in the log an election timeout ago, so it is
   * close enough not to hold the others up (thesis, 4.2.1).
   */
  isCaughtUp(peer: Progress): boolean {
    return this.#hears(peer) && peer.match >= this.#catchUp.target &&
      peer.match >= this.#firstIndex;
  }

  /** Counts what is on a majority of disks, this member's own as well as the others'. */
  advanceCommit(): void {
    const { log, term } = this.#core;
    const index = reachedByMajority(
      this.#overVoters(log.savedIndex, (peer) => peer.match),
    );
    // An entry of an earlier term that is on a majority may still be overruled (paper, figure 8):
    // it counts when one of this term after it does.
    if (index > log.commit && log.term(index) === term) log.commitTo(index);
  }

  /** A {@linkcode Ready} has been done: entries are on this leader's disk, others are applied. */
  advanced(committed: readonly Entry[]): void {
    const { history, id, log, term } = this.#core;
    this.uncommittedBytes = Math.max(0, this.uncommittedBytes - sizeOf(committed));
    this.advanceCommit();
    // A leader that was removed leads until that is committed, and told to the others (thesis,
    // 4.2.2).
    const removed = !history.current.voters.includes(id);
    if (removed && history.currentIndex <= log.applied) this.#core.becomeFollower(term, null);
  }

  /** Fills the outbox with whatever there is to say to the others. */
  sendAll(): void {
    const core = this.#core;
    if (this.termHasBegun && this.reads.begin(core.log.commit)) this.#heartbeatDue = true;
    if (this.#heartbeatDue) this.#sendHeartbeats();
    for (const peer of this.peers.values()) this.#replicateTo(peer);
    this.reads.confirm(reachedByMajority(
      this.#overVoters(this.reads.round, (peer) => peer.round),
    ));
    const { transfer } = this;
    if (transfer === null || transfer.asked) return;
    if (this.peers.get(transfer.to)?.match !== core.log.last.index) return;
    transfer.asked = true;
    core.send(transfer.to, { kind: "timeout-now", term: core.term });
  }

  /** What there is to tell a person. */
  status(): PeerStatus[] {
    const { voters } = this.#core.history.current;
    return [...this.peers.values()].map((peer) => ({
      id: peer.id,
      voter: voters.includes(peer.id),
      match: peer.match,
      state: peer.state,
      silentTicks: peer.silentTicks,
      caughtUp: this.isCaughtUp(peer),
    }));
  }

  #hears(peer: Progress | undefined): boolean {
    return peer !== undefined && peer.silentTicks < this.#core.limits.electionTicks;
  }

  #overVoters(own: number, of: (peer: Progress) => number): number[] {
    return this.#core.history.current.voters.map((id) =>
      id === this.#core.id ? own : of(present(this.peers.get(id), `the progress of ${id}`))
    );
  }

  #sendHeartbeats(): void {
    this.#heartbeatDue = false;
    this.#heartbeatElapsed = 0;
    const { log, term } = this.#core;
    for (const { id, match } of this.peers.values()) {
      const commit = Math.min(match, log.commit);
      this.#core.send(id, { kind: "heartbeat", term, commit, match, round: this.reads.round });
    }
  }

  #replicateTo(peer: Progress): void {
    const { log, limits, term } = this.#core;
    while (peer.canAppend(limits)) {
      const { last, commit } = log;
      if (peer.next > last.index && peer.toldCommit >= commit) return;
      const prev = { term: log.term(peer.next - 1), index: peer.next - 1 };
      if (prev.term === null) {
        // Whoever is silent may be gone: no snapshot is read from the disk for it.
        if (this.#hears(peer)) peer.becomeSnapshot(log.snapshot);
        break;
      }
      const entries = log.entries(peer.next, last.index, limits.maxAppendBytes);
      const place = { term: prev.term, index: prev.index };
      this.#core.send(peer.id, { kind: "append", term, prev: place, entries, commit });
      peer.toldCommit = commit;
      peer.appended(prev.index + entries.length, sizeOf(entries));
    }
    if (peer.state === "snapshot" && !peer.awaited) this.#sendPart(peer);
  }

  #sendPart(peer: Progress): void {
    const { log, storage, limits, term } = this.#core;
    let sending = present(peer.snapshot, "the snapshot that is being sent");
    let part = storage.snapshotPart(sending.meta, sending.offset, limits.snapshotPartBytes);
    if (part === null) {
      peer.becomeSnapshot(log.snapshot);
      sending = present(peer.snapshot, "the snapshot that is being sent");
      part = present(
        storage.snapshotPart(sending.meta, 0, limits.snapshotPartBytes),
        `the snapshot at ${sending.meta.index}`,
      );
    }
    const { meta, offset } = sending;
    this.#core.send(peer.id, { kind: "snapshot-part", term, meta, offset, ...part });
    peer.partSent();
  }
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
}
