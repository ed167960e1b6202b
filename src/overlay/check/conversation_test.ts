import assert from "node:assert/strict";
import { type Bytes, probeMac } from "../../base/mod.ts";
import { type CheckEnds, Conversation } from "./conversation.ts";
import { decodeProbe, encodeProbe } from "./frame.ts";

const MTU = 1416;
const CHECK = new Uint8Array(16).fill(7);
let drawn = 0;
const random = {
  bytes: (count: number) => new Uint8Array(count).fill(++drawn),
  below: () => 0,
};

function converse(index: number, peers: readonly number[], more: Partial<CheckEnds> = {}) {
  const ends = {
    checkId: CHECK,
    index,
    mtuBytes: MTU,
    peers: peers.map((peer) => ({ nodeId: `node ${peer}`, index: peer })),
    ...more,
  };
  return new Conversation(ends, random);
}

/** What both have heard and had answered when all frames arrive that `passes` lets through. */
function exchange(one: Conversation, two: Conversation, passes: (frame: Bytes) => boolean) {
  for (const [sender, receiver, to] of [[one, two, "node 2"], [two, one, "node 1"]] as const) {
    for (const frame of sender.due(to).filter(passes)) {
      const [answer] = receiver.hear(frame);
      assert(answer !== undefined);
      if (passes(answer)) assert.deepEqual(sender.hear(answer), []);
    }
  }
}

Deno.test("both sizes are heard and answered, both ways", () => {
  const [one, two] = [converse(1, [2]), converse(2, [1])];
  assert.deepEqual(one.due("node 2").map(({ length }) => length), [64, 14 + MTU]);
  exchange(one, two, () => true);
  for (const [end, peer] of [[one, "node 2"], [two, "node 1"]] as const) {
    const { heard, answered } = end.exchanged(peer);
    assert.deepEqual([[...heard], [...answered]], [["small", "full"], ["small", "full"]]);
    assert(end.isComplete);
    assert.deepEqual(end.due(peer), []);
  }
});

Deno.test("what was not answered is due again", () => {
  const [one, two] = [converse(1, [2]), converse(2, [1])];
  exchange(one, two, ({ length }) => length === 64);
  assert.deepEqual([...one.exchanged("node 2").answered], ["small"]);
  assert.deepEqual([...two.exchanged("node 1").heard], ["small"]);
  assert(!one.isComplete);
  assert.deepEqual(one.due("node 2").map(({ length }) => length), [14 + MTU]);
});

Deno.test("who begins late is sent again what it cannot have heard, and not for ever", () => {
  const [early, late] = [converse(1, [2]), converse(2, [1])];
  const [small, full] = late.due("node 1");
  assert(small !== undefined && full !== undefined);
  const sent = early.hear(small);
  assert.deepEqual(sent.map(({ length }) => length), [64, 64, 14 + MTU]);
  // Now it hears, answers, and has nothing of its own left that was not answered but the full one.
  const back = sent.flatMap((frame) => [...late.hear(frame)]);
  for (const frame of [...back, full]) {
    for (const answer of early.hear(frame)) late.hear(answer);
  }
  assert(early.isComplete && late.isComplete);
  const [again] = converse(3, [1]).due("node 1");
  const deaf = converse(1, [3]);
  const counts = Array.from({ length: 6 }, () => deaf.hear(again ?? new Uint8Array()).length);
  assert.deepEqual(counts, [3, 3, 3, 1, 1, 1]);
});

Deno.test("only who has received a frame can answer it", () => {
  const [one, two] = [converse(1, [2]), converse(2, [1])];
  const [small] = one.due("node 2");
  const genuine = decodeProbe(small ?? new Uint8Array(), MTU);
  assert(genuine !== null);
  const answer = { ...genuine, kind: "answer", sender: 2, receiver: 1 } as const;
  const forgeries = [
    { ...answer, nonce: new Uint8Array(16) },
    { ...answer, checkId: new Uint8Array(16) },
    { ...answer, sender: 3 },
    { ...answer, receiver: 4 },
  ];
  for (const forged of forgeries) {
    assert.deepEqual(one.hear(encodeProbe(forged, MTU)), []);
    assert.equal(one.exchanged("node 2").answered.size, 0);
  }
  one.hear(encodeProbe(answer, MTU));
  assert.deepEqual([...one.exchanged("node 2").answered], ["small"]);
  assert.equal(two.exchanged("node 1").heard.size, 0);
});

Deno.test("frames that are none of this check are neither heard nor answered", () => {
  const one = converse(1, [2]);
  const [small, full] = converse(2, [1]).due("node 1");
  assert(small !== undefined && full !== undefined);
  const changed = (at: number, frame = small) => {
    const copy = frame.slice();
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  };
  const strange = [
    new Uint8Array(),
    small.subarray(0, 63),
    full.subarray(0, full.length - 1),
    ...[5, 11, 12, 14, 18, 19, 21, 23, 24].map((at) => changed(at)),
    converse(3, [1]).due("node 1")[0] ?? small,
    converse(2, [1], { checkId: new Uint8Array(16) }).due("node 1")[0] ?? small,
    converse(2, [4]).due("node 4")[0] ?? small,
  ];
  for (const frame of strange) assert.deepEqual(one.hear(frame), []);
  assert.equal(one.exchanged("node 2").heard.size, 0);
  assert(one.hear(small).length > 0);
});

Deno.test("each node has a MAC address of its own for probes", () => {
  assert.equal(probeMac(1), "06:41:47:50:00:01");
  assert.equal(probeMac(65_535), "06:41:47:50:ff:ff");
});
