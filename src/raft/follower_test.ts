import assert from "node:assert/strict";
import { type Entry, MemoryStorage, type Message, Raft, type Ready } from "./mod.ts";

const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };
const membership = { voters: ["a", "b", "c"], learners: [] };
const data = new Uint8Array([1, 2, 3]);

function entriesOf(from: number, ...terms: number[]): Entry[] {
  return terms.map((term, at) => ({ index: from + at, term, kind: "data", data }));
}

/** Follower a, to whom messages are said; `work` does all that there is to do. */
class Follower {
  readonly storage = new MemoryStorage(membership);
  readonly raft = new Raft({ id: "a", storage: this.storage, random, floor: 0 });

  hear(message: { kind: Message["kind"]; term: number } & Record<string, unknown>): void {
    const complaint = this.raft.step({ from: "b", to: "a", ...message } as unknown as Message);
    assert.equal(complaint, null);
  }

  append(term: number, prev: [term: number, index: number], terms: number[], commit: number): void {
    const [prevTerm, index] = prev;
    const entries = entriesOf(index + 1, ...terms);
    this.hear({ kind: "append", term, prev: { term: prevTerm, index }, entries, commit });
  }

  part(term: number, index: number, offset: number, more: Record<string, unknown> = {}): void {
    const meta = { term: 1, index, membership };
    this.hear({ kind: "snapshot-part", term, meta, offset, data, done: false, ...more });
  }

  work(): Ready[] {
    const all: Ready[] = [];
    for (let ready = this.raft.ready(); ready !== null; ready = this.raft.ready()) {
      this.storage.save(ready);
      all.push(ready);
      this.raft.advance();
    }
    return all;
  }

  answers(): Message[] {
    return this.work().flatMap((ready) => ready.messages);
  }
}

Deno.test("entries beyond what the leader has sent are not committed", () => {
  const follower = new Follower();
  follower.append(2, [0, 0], [1, 1, 2, 2], 0);
  // The leader of term 3 has sent 2 entries, and has committed 4: perhaps not these 3 and 4.
  follower.append(3, [0, 0], [1, 1], 4);
  assert.equal(follower.raft.status().commit, 2);
  assert.equal(follower.raft.status().last.index, 4);
});

Deno.test("a snapshot of what the log has leaves the entries after it", () => {
  const follower = new Follower();
  follower.append(1, [0, 0], [1, 1, 1], 0);
  follower.answers();
  follower.part(1, 2, 0, { done: true });
  const [answer] = follower.answers();
  assert.equal(answer?.kind === "append-accepted" && answer.match, 2);
  const { commit, last } = follower.raft.status();
  assert.deepEqual([commit, last.index], [2, 3]);
});

Deno.test("pieces of one leader's snapshot are not continued with another's", () => {
  const follower = new Follower();
  follower.part(1, 9, 0);
  follower.answers();
  follower.part(2, 9, 3, { from: "c" });
  const [answer] = follower.answers();
  assert.equal(answer?.kind === "snapshot-progress" && answer.offset, 0);
});

Deno.test("a snapshot is installed before the next one is taken", () => {
  const follower = new Follower();
  follower.part(1, 9, 0, { done: true });
  follower.part(1, 12, 0, { done: true });
  const [ready] = follower.work();
  assert.equal(ready?.snapshot?.index, 9);
  assert.deepEqual(ready?.chunks.map(({ meta }) => meta.index), [9]);
  follower.part(1, 12, 0, { done: true });
  assert.equal(follower.work()[0]?.snapshot?.index, 12);
});

Deno.test("while a snapshot waits to be installed, the member neither leads nor makes one", () => {
  const follower = new Follower();
  follower.append(1, [0, 0], [1, 1], 2);
  const outstanding = follower.raft.ready();
  assert.ok(outstanding);
  follower.part(1, 9, 0, { done: true });
  follower.storage.save(outstanding);
  follower.raft.advance();
  assert.equal(follower.raft.snapshotMeta(), null);
  follower.raft.campaign();
  assert.equal(follower.raft.role, "follower");
  follower.work();
  assert.deepEqual(follower.raft.snapshotMeta(), { term: 1, index: 9, membership });
  follower.raft.campaign();
  assert.equal(follower.raft.role, "pre-candidate");
});

Deno.test("only the leader can hand over", () => {
  const follower = new Follower();
  follower.append(1, [0, 0], [], 0);
  follower.hear({ kind: "timeout-now", term: 1, from: "c" });
  assert.equal(follower.raft.role, "follower");
  follower.hear({ kind: "timeout-now", term: 1 });
  assert.equal(follower.raft.role, "candidate");
});
