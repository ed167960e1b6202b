/**
 * Members of a cluster that are spoken to in lines of text, and answer in text. A transcript is a
 * test: lines that begin with `>` are said, `#` is a remark, the others are the answers. What a
 * member has to do it does at once, except while its disk is slow.
 *
 * | said | what happens |
 * |---|---|
 * | `small appends` | from now on each holds one entry |
 * | `voters a b c` | new members, with empty disks |
 * | `joins d` | a new member that knows nobody |
 * | `disk a term 4 vote b commit 1 log 1 1 4` | what a member finds on its disk as it starts: terms of entries. One that had crashed still has its floor |
 * | `campaign a`, `tick a 6` | its election timeout passes; six ticks pass |
 * | `elect a` | the same, and everybody hears everybody until it is settled; the talk is not shown |
 * | `propose a x y` | two clients at once |
 * | `add d at a`, `promote d at a`, `remove c at a` | membership changes |
 * | `transfer a b`, `read a` | |
 * | `deliver`, `deliver a b`, `deliver to a` | what is under way arrives, all of it or some |
 * | `lose`, `lose a b`, `lose to a` | … or is lost |
 * | `keep a b` | a copy of what is under way from a to b will arrive a second time, later |
 * | `late a b` | the first message that is under way from a to b is overtaken by all others |
 * | `settle` | delivers until nobody says anything more; the talk is not shown, what changes is |
 * | `slow a`, `saved a` | its disk takes long; it has finished |
 * | `crash a`, `start a` | unsaved is lost; starts from its disk |
 * | `snapshot a` | makes one, and drops the entries in it |
 * | `show` | one line per member |
 */
import assert from "node:assert/strict";
import {
  type Entry,
  type Limits,
  type MemberId,
  type Membership,
  MemoryStorage,
  type Message,
  Raft,
  type Ready,
} from "../../../src/raft/mod.ts";
import { describe, place, said, standing } from "./text.ts";

const text = new TextDecoder();
const bytes = new TextEncoder();

/** Everybody's election timeout is 10 ticks, its heartbeat interval 2. */
const limits = { electionTicks: 10, heartbeatTicks: 2, snapshotPartBytes: 8 };
/** Room for one entry. */
const SMALL_BYTES = 1;

interface Member {
  raft: Raft | null;
  storage: MemoryStorage;
  floor: number;
  applied: string[];
  slow: boolean;
  /** What the slow disk is at. */
  writing: Ready | null;
}

/** Compares a transcript with what is really answered. */
export function converse(transcript: string): void {
  const conversation = new Conversation();
  const expected = transcript.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const actual = expected.flatMap((line) => {
    if (line.startsWith("#")) return [line];
    return line.startsWith(">") ? [line, ...conversation.say(line.slice(1).trim())] : [];
  });
  assert.equal(`\n${actual.join("\n")}\n`, `\n${expected.join("\n")}\n`);
}

class Conversation {
  readonly #members = new Map<MemberId, Member>();
  #underWay: Message[] = [];
  #answers: string[] = [];
  #quiet = false;
  #voters: string[] = [];
  #limits: Partial<Limits> = limits;

  say(line: string): string[] {
    this.#answers = [];
    const [verb = "", ...words] = line.split(" ");
    this.#obey(verb, words);
    return this.#answers;
  }

  #obey(verb: string, words: string[]): void {
    const [first = "", second = "", third = ""] = words;
    switch (verb) {
      case "small":
        this.#limits = { ...limits, maxAppendBytes: SMALL_BYTES };
        return;
      case "voters":
        this.#voters = words;
        for (const id of words) this.#create(id, { voters: words, learners: [] });
        return;
      case "joins":
        return this.#create(first, { voters: [], learners: [] });
      case "disk":
        return this.#setDisk(first, words.slice(1));
      case "campaign":
        return this.#act(first, (raft) => raft.campaign());
      case "tick":
        return this.#act(first, (raft) => {
          for (let count = Number(second); count > 0; count--) raft.tick();
        });
      case "propose":
        return this.#act(first, (raft) => {
          for (const word of words.slice(1)) {
            const proposed = raft.propose(bytes.encode(word));
            if (!proposed.ok) this.#tell(`refused: ${proposed.refusal.code}`);
          }
        });
      case "add":
        return this.#change(third, { kind: "add-learner", id: first });
      case "promote":
      case "remove":
        return this.#change(third, { kind: verb, id: first });
      case "transfer":
        return this.#act(first, (raft) => {
          const refusal = raft.transferLeadership(second);
          if (refusal !== null) this.#tell(`refused: ${refusal.code}`);
        });
      case "read":
        return this.#act(first, (raft) => {
          const read = raft.requestRead();
          this.#tell(read.ok ? `read ${read.id} waits` : `refused: ${read.refusal.code}`);
        });
      default:
        return this.#obeyWorld(verb, words);
    }
  }

  #obeyWorld(verb: string, words: string[]): void {
    const [first = "", second = ""] = words;
    switch (verb) {
      case "deliver":
        return this.#deliver(this.#take(words));
      case "lose":
        this.#take(words);
        return;
      case "keep":
        this.#underWay.push(
          ...this.#underWay.filter(({ from, to }) => from === first && to === second),
        );
        return;
      case "late": {
        const delayed = this.#underWay.findIndex(({ from, to }) => from === first && to === second);
        this.#underWay.push(...this.#underWay.splice(delayed, 1));
        return;
      }
      case "settle":
        return this.#settle();
      case "elect":
        return this.#elect(first);
      case "slow":
        this.#member(first).slow = true;
        return;
      case "saved":
        this.#member(first).slow = false;
        return this.#act(first, () => {});
      case "crash":
        Object.assign(this.#member(first), { raft: null, writing: null, slow: false });
        return;
      case "start":
        return this.#start(first);
      case "snapshot": {
        const member = this.#member(first);
        const meta = this.#running(first).snapshotMeta();
        assert.ok(meta, "no other snapshot is coming");
        const state = bytes.encode(member.applied.join(" "));
        return member.storage.saveSnapshot(meta, state, { keepEntries: 0 });
      }
      case "show":
        return this.#show();
      default:
        throw new TypeError(`Cannot understand "${verb}"`);
    }
  }

  #create(id: MemberId, membership: Membership): void {
    this.#members.set(id, {
      raft: null,
      storage: new MemoryStorage(membership),
      floor: 0,
      applied: [],
      slow: false,
      writing: null,
    });
    this.#start(id);
  }

  #start(id: MemberId): void {
    const member = this.#member(id);
    const { storage, floor } = member;
    // All draw the same number: who is first is said in the conversation.
    const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };
    member.raft = new Raft({ id, storage, random, floor, limits: this.#limits });
    member.applied = text.decode(storage.snapshotBytes()).split(" ").filter((word) => word !== "");
    if (member.raft.damage !== null) this.#tell(`${id} is damaged`);
    this.#work(id);
  }

  #setDisk(id: MemberId, words: string[]): void {
    const voters = this.#voters;
    const member = this.#member(id);
    const at = (name: string) => words[words.indexOf(name) + 1] ?? "";
    const [, log = ""] = words.join(" ").split(/ log ?/);
    const terms = log.split(" ").filter((word) => word !== "").map(Number);
    const entries = terms.map((term, index): Entry => ({
      term,
      index: index + 1,
      kind: "data",
      data: bytes.encode(`${term}.${index + 1}`),
    }));
    const hardState = {
      term: Number(at("term")),
      vote: words.includes("vote") ? at("vote") : null,
      commit: words.includes("commit") ? Number(at("commit")) : 0,
      serial: 0,
    };
    if (member.raft !== null) member.floor = 0;
    member.storage = new MemoryStorage({ voters, learners: [] });
    member.storage.save({
      early: [],
      chunks: [],
      snapshot: null,
      entries,
      hardState,
      mustSync: true,
      messages: [],
      committed: [],
      reads: [],
      lostReads: [],
    });
    this.#start(id);
  }

  #change(at: MemberId, change: Parameters<Raft["changeMembership"]>[0]): void {
    this.#act(at, (raft) => {
      const proposed = raft.changeMembership(change);
      if (!proposed.ok) this.#tell(`refused: ${proposed.refusal.code}`);
    });
  }

  /** Does something with a member, tells what it has become, and lets it do its work. */
  #act(id: MemberId, action: (raft: Raft) => void): void {
    const raft = this.#running(id);
    const was = standing(raft);
    const damage = raft.damage;
    action(raft);
    this.#compare(id, was);
    if (raft.damage !== damage) this.#tell(`${id} is damaged`);
    this.#work(id);
  }

  #compare(id: MemberId, was: string): void {
    const is = standing(this.#running(id));
    if (is !== was) this.#tell(`${id} is ${is}`);
  }

  #work(id: MemberId): void {
    const member = this.#member(id);
    const raft = this.#running(id);
    for (;;) {
      const ready = member.writing ?? raft.ready();
      if (ready === null) return;
      if (member.writing === null) this.#send(ready.early);
      member.writing = ready;
      if (member.slow) return;
      member.writing = null;
      member.storage.save(ready);
      member.floor = ready.hardState?.serial ?? member.floor;
      this.#send(ready.messages);
      if (ready.snapshot !== null) {
        member.applied = text.decode(member.storage.snapshotBytes()).split(" ");
        this.#tell(`${id} restores: ${member.applied.join(" ")}`);
      }
      const words = ready.committed.map(said).filter((word) => word !== "");
      member.applied.push(...words);
      if (words.length > 0) this.#tell(`${id} applies ${words.join(" ")}`);
      for (const read of ready.reads) this.#tell(`read ${read.id} sees up to ${read.index}`);
      for (const read of ready.lostReads) this.#tell(`read ${read} is lost`);
      const was = standing(raft);
      raft.advance();
      this.#compare(id, was);
    }
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#underWay.push(message);
      if (!this.#quiet) this.#tell(describe(message));
    }
  }

  #take(words: string[]): Message[] {
    const [first, second] = words;
    const wanted = ({ from, to }: Message) =>
      first === undefined ||
      (first === "to" ? to === second : from === first && (second === undefined || to === second));
    const taken = this.#underWay.filter(wanted);
    this.#underWay = this.#underWay.filter((message) => !wanted(message));
    return taken;
  }

  #deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      const member = this.#members.get(message.to);
      if (member?.raft === null || member === undefined) continue;
      this.#act(message.to, (raft) => {
        const complaint = raft.step(message);
        if (complaint !== null) this.#tell(`${message.to} complains: ${complaint.reason}`);
      });
    }
  }

  #settle(): void {
    this.#quiet = true;
    for (let round = 0; this.#underWay.length > 0; round++) {
      assert.ok(round < 100, "the talk comes to an end");
      this.#deliver(this.#take([]));
    }
    this.#quiet = false;
  }

  #elect(id: MemberId): void {
    this.#quiet = true;
    this.#act(id, (raft) => raft.campaign());
    this.#settle();
    this.#answers = [`${id} is ${standing(this.#running(id))}`];
  }

  #show(): void {
    for (const [id, { raft, slow, storage }] of this.#members) {
      if (raft === null) {
        this.#tell(`${id}: down`);
        continue;
      }
      const { last, commit, membership, term } = raft.status();
      const base = storage.base();
      const log = storage.entries(base.index + 1, storage.lastIndex(), Infinity);
      const prefix = base.index > 0 ? [`…${place(base)}`] : [];
      const terms = [...prefix, ...log.map((entry) => entry.term)].join(" ");
      assert.ok(slow || last.index === storage.lastIndex(), "the disk has the whole log");
      const learners = membership.learners.length > 0 ? ` + ${membership.learners.join(" ")}` : "";
      this.#tell(
        `${id}: ${raft.role} in term ${term}, log ${terms || "empty"}, commit ${commit}, ` +
          `members ${membership.voters.join(" ") || "unknown"}${learners}`,
      );
    }
  }

  #member(id: MemberId): Member {
    const member = this.#members.get(id);
    assert.ok(member, `there is a member ${id}`);
    return member;
  }

  #running(id: MemberId): Raft {
    const { raft } = this.#member(id);
    assert.ok(raft, `${id} runs`);
    return raft;
  }

  #tell(line: string): void {
    this.#answers.push(line);
  }
}
