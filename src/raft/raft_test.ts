import assert from "node:assert/strict";
import { InvariantError } from "../base/mod.ts";
import { type Limits, MemoryStorage, Raft } from "./mod.ts";

const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };

function work(raft: Raft, storage: MemoryStorage): void {
  for (let ready = raft.ready(); ready !== null; ready = raft.ready()) {
    storage.save(ready);
    raft.advance();
  }
}

/** A leader, alone unless others are named, whom it then never hears. */
function leader(limits: Partial<Limits> = {}, ...others: string[]): [Raft, MemoryStorage] {
  const storage = new MemoryStorage({ voters: ["a", ...others], learners: [] });
  const raft = new Raft({ id: "a", storage, random, floor: 0, limits });
  raft.campaign();
  work(raft, storage);
  const granted = { from: others[0] ?? "a", to: "a", term: 1, granted: true };
  if (others.length > 0) {
    raft.step({ kind: "pre-vote-reply", ...granted });
    work(raft, storage);
    raft.step({ kind: "vote-reply", ...granted });
    work(raft, storage);
  }
  assert.equal(raft.role, "leader");
  return [raft, storage];
}

Deno.test("each Ready is advanced over, once", () => {
  const [raft] = leader();
  assert.throws(() => raft.advance(), InvariantError);
  raft.propose(new Uint8Array([1]));
  assert.equal(raft.ready()?.entries.length, 1);
  assert.throws(() => raft.ready(), InvariantError);
});

Deno.test("limits that cannot work are refused", () => {
  for (const limits of [{ electionTicks: 9 }, { maxInflight: 0 }, { maxEntryBytes: 1.5 }]) {
    const storage = new MemoryStorage({ voters: ["a"], learners: [] });
    assert.throws(() => new Raft({ id: "a", storage, random, floor: 0, limits }), RangeError);
  }
});

Deno.test("too large an entry is refused, and too many, until they are applied", () => {
  const [raft, storage] = leader({ maxEntryBytes: 100, maxUncommittedBytes: 400 });
  const codes = [101, 100, 100, 100, 1].map((length) => {
    const proposed = raft.propose(new Uint8Array(length));
    return proposed.ok ? "ok" : proposed.refusal.code;
  });
  assert.deepEqual(codes, ["too-large", "ok", "ok", "ok", "overloaded"]);
  work(raft, storage);
  assert.equal(raft.propose(new Uint8Array(1)).ok, true);
});

Deno.test("a follower that does not answer is sent no more than a window", () => {
  const [raft, storage] = leader({ maxInflight: 4, maxAppendBytes: 200 }, "b");
  // b has the term's first entry, so entries are streamed to it.
  raft.step({ kind: "append-accepted", from: "b", to: "a", term: 1, match: 1 });
  work(raft, storage);
  let appends = 0;
  for (let round = 0; round < 50; round++) {
    raft.propose(new Uint8Array(100));
    for (let ready = raft.ready(); ready !== null; ready = raft.ready()) {
      appends += ready.early.filter(({ kind }) => kind === "append").length;
      storage.save(ready);
      raft.advance();
    }
  }
  assert.equal(appends, 4);
  raft.step({ kind: "append-accepted", from: "b", to: "a", term: 1, match: 3 });
  const ready = raft.ready();
  assert.equal(ready?.early.filter(({ kind }) => kind === "append").length, 2);
});

Deno.test("applying is cut into pieces", () => {
  const [raft, storage] = leader({ maxApplyBytes: 200 });
  for (let count = 0; count < 5; count++) raft.propose(new Uint8Array(10));
  const pieces: number[] = [];
  for (let ready = raft.ready(); ready !== null; ready = raft.ready()) {
    if (ready.committed.length > 0) pieces.push(ready.committed.length);
    storage.save(ready);
    raft.advance();
  }
  assert.deepEqual(pieces, [2, 2, 1]);
});

Deno.test("only what binds the member has to be on disk before it speaks", () => {
  const storage = new MemoryStorage({ voters: ["a", "b"], learners: [] });
  const raft = new Raft({ id: "a", storage, random, floor: 0 });
  const envelope = { from: "b", to: "a", term: 1 };
  const data = new Uint8Array();
  const mustSync = () => {
    const ready = raft.ready();
    if (ready !== null) storage.save(ready);
    raft.advance();
    return ready?.mustSync;
  };
  const last = { term: 0, index: 0 };
  raft.step({ kind: "pre-vote", ...envelope, last });
  assert.equal(mustSync(), false, "an opinion");
  raft.step({ kind: "vote", ...envelope, last, transfer: false });
  assert.equal(mustSync(), true, "a vote");
  raft.step({
    kind: "append",
    ...envelope,
    prev: last,
    entries: [{ term: 1, index: 1, kind: "noop", data }],
    commit: 0,
  });
  assert.equal(mustSync(), true, "an entry");
  raft.step({ kind: "heartbeat", ...envelope, commit: 1, match: 1, round: 0 });
  assert.equal(mustSync(), false, "the commit index, which can be learnt again");
});

Deno.test("a snapshot carries the membership of its place, not a later one", () => {
  const [raft, storage] = leader();
  raft.propose(new Uint8Array([1]));
  work(raft, storage);
  raft.changeMembership({ kind: "add-learner", id: "b" });
  assert.deepEqual(raft.snapshotMeta(), {
    term: 1,
    index: 2,
    membership: { voters: ["a"], learners: [] },
  });
  work(raft, storage);
  assert.deepEqual(raft.snapshotMeta()?.membership, { voters: ["a"], learners: ["b"] });
});

Deno.test("a member that is damaged does nothing any more", () => {
  const storage = new MemoryStorage({ voters: ["a"], learners: [] });
  const raft = new Raft({ id: "a", storage, random, floor: 3 });
  assert.match(raft.damage ?? "", /Save 3 was promised, and the disk has what save 0 left/);
  raft.campaign();
  for (let count = 0; count < 100; count++) raft.tick();
  raft.step({
    kind: "vote",
    from: "b",
    to: "a",
    term: 9,
    last: { term: 8, index: 8 },
    transfer: true,
  });
  assert.equal(raft.ready(), null);
  assert.equal(raft.role, "follower");
  assert.deepEqual(raft.propose(new Uint8Array()).ok, false);
});
