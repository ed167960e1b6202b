import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeMembership } from "./membership.ts";
import { type Entry, MemoryStorage, type Message, Raft } from "./mod.ts";

/** Mostly what could be, now and then what cannot. */
const number = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 6 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(-1, 1.5, NaN, 2 ** 52, 2 ** 60, "1", null, undefined),
  },
);
const position = fc.oneof(
  { weight: 12, arbitrary: fc.record({ term: number, index: number }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, undefined, {}) },
);
const membership = fc.constantFrom<unknown>(
  { voters: ["a", "b", "c"], learners: [] },
  { voters: ["b"], learners: ["a"] },
  { voters: [], learners: [] },
  { voters: ["a", "a"], learners: [] },
  { voters: [7], learners: null },
  null,
);
const data = fc.constantFrom<unknown>(
  new Uint8Array([1]),
  new Uint8Array(),
  encodeMembership({ voters: ["a", "b"], learners: ["c"] }),
  "text",
);
const kind = fc.constantFrom("data", "noop", "membership", "other");

const message = fc.record({
  kind: fc.constantFrom(
    "pre-vote",
    "pre-vote-reply",
    "vote",
    "vote-reply",
    "append",
    "append-accepted",
    "append-rejected",
    "heartbeat",
    "heartbeat-reply",
    "snapshot-part",
    "snapshot-progress",
    "timeout-now",
    "nonsense",
  ),
  from: fc.constantFrom("b", "c", "z", "a"),
  to: fc.constantFrom("a", "a", "a", "a", "b"),
  term: fc.oneof(fc.constant("current"), number),
  last: position,
  prev: position,
  hint: position,
  snapshot: position,
  match: fc.constantFrom<unknown>(0, 1, 2, 3, 2 ** 60),
  commit: number,
  rejected: number,
  round: number,
  offset: number,
  granted: fc.constantFrom<unknown>(true, true, false, "yes"),
  transfer: fc.boolean(),
  done: fc.boolean(),
  data,
  meta: fc.record({ term: number, index: number, membership }),
  // Contiguous as a rule, with terms that often rise: these get furthest.
  entries: fc.tuple(number, fc.array(fc.record({ term: number, kind, data }), { maxLength: 3 }))
    .map(([from, entries]) => entries.map((entry, at) => ({ ...entry, index: Number(from) + at }))),
});

const action = fc.oneof(
  { weight: 6, arbitrary: message.map((message) => ({ does: "hear" as const, message })) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...(["tick", "elect", "propose", "read", "transfer", "change", "work", "work"] as const),
    ).map((does) => ({ does })),
  },
);

Deno.test("no message can make a member throw, whatever it is doing", () => {
  const complaints = new Set<string>();
  const roles = new Set<string>();
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const storage = new MemoryStorage({ voters: ["a", "b", "c"], learners: [] });
      const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };
      const raft = new Raft({ id: "a", storage, random, floor: 0 });
      for (const action of actions) {
        switch (action.does) {
          case "hear": {
            const { message } = action;
            const term = message.term === "current" ? raft.term : message.term;
            const complaint = raft.step({ ...message, term } as unknown as Message);
            if (complaint !== null) complaints.add(complaint.code);
            break;
          }
          case "tick":
            for (let count = 0; count < 10; count++) raft.tick();
            break;
          case "elect": {
            raft.campaign();
            const granted = { from: "b", to: "a", granted: true };
            raft.step({ kind: "pre-vote-reply", ...granted, term: raft.term + 1 });
            raft.step({ kind: "vote-reply", ...granted, term: raft.term });
            break;
          }
          case "change":
            raft.changeMembership({ kind: "remove", id: "c" });
            break;
          case "propose":
            raft.propose(new Uint8Array([1]));
            break;
          case "read":
            raft.requestRead();
            break;
          case "transfer":
            raft.transferLeadership("b");
            break;
          case "work":
            for (let ready = raft.ready(); ready !== null; ready = raft.ready()) {
              storage.save(ready);
              raft.advance();
            }
        }
        roles.add(raft.role);
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
  // Otherwise the messages were too wild to get anywhere.
  assert.deepEqual([...complaints].sort(), ["impossible", "malformed"]);
  assert.deepEqual([...roles].sort(), ["candidate", "follower", "leader", "pre-candidate"]);
});

Deno.test("what an honest member cannot have sent is complained about", () => {
  const storage = new MemoryStorage({ voters: ["a", "b"], learners: [] });
  const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };
  const raft = new Raft({ id: "a", storage, random, floor: 0 });
  const entry = (index: number, term: number): Entry => ({
    index,
    term,
    kind: "data",
    data: new Uint8Array(),
  });
  const append = {
    kind: "append" as const,
    from: "b",
    to: "a",
    term: 2,
    prev: { term: 0, index: 0 },
    commit: 0,
  };
  const table: [Message, string][] = [
    [{ ...append, to: "b", entries: [] }, "A message from b is for b"],
    [{ ...append, from: "a", entries: [] }, "A message from a is for a"],
    [{ ...append, entries: [entry(2, 1)] }, "A append of b: entry 1 is not at its place"],
    [{ ...append, entries: [entry(1, 3)] }, "A append of b: the term of entry 1 cannot be"],
    [
      { ...append, entries: [entry(1, 2), entry(2, 1)] },
      "A append of b: the term of entry 2 cannot be",
    ],
    [
      { ...append, entries: [{ ...entry(1, 1), kind: "membership" }] },
      "A append of b: entry 1 is of no kind",
    ],
    [{ ...append, term: -1, entries: [] }, "A append of b: its term is no number"],
  ];
  for (const [message, reason] of table) {
    assert.deepEqual(raft.step(message), { code: "malformed", reason });
  }
  assert.equal(raft.ready(), null, "none of them has done anything");
});

Deno.test("a leader is not told what cannot be", () => {
  const storage = new MemoryStorage({ voters: ["a", "b", "c"], learners: [] });
  const random = { below: () => 0, bytes: (length: number) => new Uint8Array(length) };
  const raft = new Raft({ id: "a", storage, random, floor: 0 });
  raft.campaign();
  const answer = { from: "b", to: "a", term: 1 };
  raft.step({ kind: "pre-vote-reply", ...answer, granted: true });
  raft.step({ kind: "vote-reply", ...answer, granted: true });
  assert.equal(raft.role, "leader");
  const prev = { term: 0, index: 0 };
  const table: [Message, string][] = [
    [
      { kind: "append-accepted", ...answer, match: 2 },
      "b acknowledges entry 2, which this leader does not have",
    ],
    [
      { kind: "heartbeat-reply", ...answer, round: 1 },
      "b acknowledges round 1, which has not begun",
    ],
    [
      { kind: "append", ...answer, prev, entries: [], commit: 0 },
      "b says that it leads term 1, and so does a",
    ],
  ];
  for (const [message, reason] of table) {
    assert.deepEqual(raft.step(message), { code: "impossible", reason });
  }
  assert.equal(raft.role, "leader");
});
