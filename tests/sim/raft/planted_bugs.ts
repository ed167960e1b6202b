import type { Fault } from "./faults.ts";
import type { Edit } from "./program.ts";

/** A classic mistake, planted into a copy of the program. */
export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The faults that bring it to light, where all of them together would take long. */
  readonly faults?: readonly Fault[];
  /** It must be found within so many seeds, from 1 on. */
  readonly withinSeeds: number;
}

/** Each is a mistake that somebody has really made, or nearly. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "the vote is not saved",
    edits: [{
      file: "raft/raft.ts",
      before: "? { term, vote, commit, serial } : null",
      after: "? { term, vote: null, commit, serial } : null",
    }],
    faults: ["rival candidates", "flapping"],
    withinSeeds: 100,
  },
  {
    name: "whoever asks gets the vote, however old its log is",
    edits: [{
      file: "raft/election.ts",
      before: "return !isBefore(last, core.log.last);",
      after: "return last.index >= 0;",
    }],
    withinSeeds: 100,
  },
  {
    name: "half of the voters are taken for a majority",
    edits: [{
      file: "raft/membership.ts",
      before: "return Math.floor(count / 2) + 1;",
      after: "return Math.ceil(count / 2);",
    }],
    withinSeeds: 100,
  },
  {
    name: "a vote of an earlier term counts",
    edits: [{
      file: "raft/step.ts",
      before: "if (term < core.term) {",
      after: 'if (term < core.term && message.kind !== "vote-reply") {',
    }],
    faults: ["rival candidates", "delay", "crash"],
    withinSeeds: 400,
  },
  {
    name: "an entry of an old term is committed by counting its copies",
    edits: [{
      file: "raft/leadership.ts",
      before: "if (index > log.commit && log.term(index) === term) log.commitTo(index);",
      after: "if (index > log.commit) log.commitTo(index);",
    }],
    withinSeeds: 100,
  },
  {
    name: "entries that conflict are not overwritten",
    edits: [{
      file: "raft/follower.ts",
      before: "entries.findIndex((entry) => !log.matches(entry))",
      after: "entries.findIndex((entry) => entry.index > log.last.index)",
    }],
    withinSeeds: 100,
  },
  {
    name: "the entry before the new ones is not compared",
    edits: [{
      file: "raft/follower.ts",
      before: "if (!log.matches(prev)) {",
      after: "if (prev.index > log.last.index) {",
    }],
    withinSeeds: 100,
  },
  {
    name: "a late append drops newer entries",
    edits: [{
      file: "raft/follower.ts",
      before: "entries.findIndex((entry) => !log.matches(entry))",
      after: "entries.length > 0 ? 0 : -1",
    }],
    withinSeeds: 100,
  },
  {
    name: "a follower commits entries of which it does not know that the leader has them",
    edits: [{
      file: "raft/follower.ts",
      before: "Math.min(message.commit, match)",
      after: "Math.min(message.commit, log.last.index)",
    }, {
      // Harmless, but slow: with exact hints the mistake hardly ever shows.
      file: "raft/follower.ts",
      before: "log.lastNotAbove(prev.index, prev.term)",
      after: "log.lastNotAbove(Math.max(0, prev.index - 4), prev.term)",
    }],
    faults: ["leader cut off", "rival candidates"],
    withinSeeds: 400,
  },
  {
    name: "a heartbeat carries the whole commit index",
    edits: [{
      file: "raft/leadership.ts",
      before: "const commit = Math.min(match, log.commit);",
      after: "const { commit } = log;",
    }, {
      file: "raft/follower.ts",
      before: "Math.min(message.commit, message.match)",
      after: "Math.min(message.commit, log.last.index)",
    }],
    withinSeeds: 100,
  },
  {
    name: "a snapshot goes over newer entries",
    edits: [{
      file: "raft/follower.ts",
      before: "if (meta.index <= log.commit || log.matches(meta)) {",
      after: "if (meta.index < 0) {",
    }, {
      file: "raft/log.ts",
      before: "assert(meta.index > this.#commit, `a snapshot",
      after: "assert(true, `a snapshot",
    }],
    faults: ["loss and doubles", "delay", "join", "crash"],
    withinSeeds: 400,
  },
  {
    name: "pieces of a snapshot are taken in any order",
    edits: [{
      file: "raft/follower.ts",
      before: "if (offset === incoming.next) {",
      after: "if (offset >= 0) {",
    }],
    withinSeeds: 100,
  },
  {
    name: "a snapshot carries a membership that came later",
    edits: [{
      file: "raft/raft.ts",
      before: "membership: history.at(index) };",
      after: "membership: history.current };",
    }],
    withinSeeds: 400,
  },
  {
    name: "a leader reads without asking whether it still leads",
    edits: [{
      file: "raft/leadership.ts",
      before: "this.#overVoters(this.reads.round, (peer) => peer.round)",
      after: "this.#overVoters(this.reads.round, () => this.reads.round)",
    }],
    faults: ["leader cut off", "clock drift", "pause"],
    withinSeeds: 100,
  },
  {
    name: "a new leader reads before it knows what is committed",
    edits: [{
      file: "raft/leadership.ts",
      before: "if (this.termHasBegun && this.reads.begin(core.log.commit))",
      after: "if (this.reads.begin(core.log.commit))",
    }],
    faults: ["crash", "leader cut off", "transfer", "slow disk"],
    withinSeeds: 100,
  },
  {
    name: "a second membership change begins before the first is committed",
    edits: [{
      file: "raft/requests.ts",
      before: "if (history.currentIndex > log.commit) {",
      after: "if (history.currentIndex < 0) {",
    }],
    faults: ["contested change", "join"],
    withinSeeds: 400,
  },
  {
    name: "a membership change begins before the term has",
    edits: [{
      file: "raft/requests.ts",
      before: "if (!leadership.termHasBegun) {",
      after: "if (leadership.peers.has('nobody')) {",
    }],
    faults: ["contested change", "join"],
    withinSeeds: 400,
  },
  {
    name: "a membership that was overruled stays in force",
    edits: [{
      file: "raft/core.ts",
      before: "this.history.truncatedFrom(first.index);",
      after: "",
    }],
    withinSeeds: 400,
  },
  {
    name: "learners are counted",
    edits: [{
      file: "raft/leadership.ts",
      before: "this.#overVoters(log.savedIndex, (peer) => peer.match),",
      after: "[log.savedIndex, ...[...this.peers.values()].map((peer) => peer.match)],",
    }],
    faults: ["contested change", "join"],
    withinSeeds: 400,
  },
  {
    name: "entries are acknowledged before they are synced",
    edits: [{
      file: "raft/raft.ts",
      before: "mustSync: binds,",
      after: "mustSync: term !== saved.term || vote !== saved.vote,",
    }],
    withinSeeds: 100,
  },
  {
    name: "what a follower says may go out early, too",
    edits: [{
      file: "raft/raft.ts",
      before: 'mayTell && LEADERS.includes(kind) ? "early" : "late"',
      after: '"early"',
    }],
    withinSeeds: 100,
  },
  {
    name: "a disk that has lost entries still votes",
    edits: [{
      file: "raft/raft.ts",
      before: "if (lost !== null) this.#core.becomeDamaged(lost);",
      after: "void lost;",
    }],
    faults: ["lost data", "leader cut off", "crash"],
    withinSeeds: 400,
  },
  {
    name: "a request that comes twice is done twice",
    edits: [{
      file: "state/cluster_state.ts",
      before: 'if (verdict.kind !== "new") {',
      after: 'if (verdict.kind === "refused") {',
    }],
    withinSeeds: 100,
  },
];
