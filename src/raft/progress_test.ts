import assert from "node:assert/strict";
import { Progress } from "./progress.ts";

const window = { maxInflight: 3, maxInflightBytes: 1000 };

Deno.test("one append at a time until the place is found, then as many as the window holds", () => {
  const peer = new Progress("b", 10);
  assert.ok(peer.canAppend(window));
  peer.appended(12, 100);
  assert.ok(!peer.canAppend(window), "the first is not answered");
  peer.accepted(12);
  for (let last = 13; peer.canAppend(window); last++) peer.appended(last, 100);
  assert.equal(peer.next, 16);
  peer.accepted(14);
  assert.ok(peer.canAppend(window), "two are answered");
  peer.appended(16, 900);
  assert.ok(!peer.canAppend(window), "few, and too large");
});

Deno.test("a rejection leads back to where the logs may agree, never behind what is known", () => {
  const peer = new Progress("b", 10);
  peer.appended(12, 100);
  assert.ok(peer.rejected(9, 4));
  assert.equal(peer.next, 5);
  peer.appended(7, 100);
  peer.accepted(7);
  assert.ok(peer.rejected(9, 2), "what was sent after 7 was lost");
  assert.deepEqual([peer.state, peer.next], ["probe", 8]);
});

Deno.test("a rejection that comes late changes nothing", () => {
  const peer = new Progress("b", 10);
  peer.appended(12, 100);
  peer.rejected(9, 4);
  peer.appended(7, 100);
  assert.ok(!peer.rejected(9, 2), "the same again, doubled on its way");
  assert.deepEqual([peer.next, peer.awaited], [5, true]);
  peer.accepted(7);
  assert.ok(!peer.rejected(4, 2), "of before the acknowledgement of 7");
  assert.deepEqual([peer.state, peer.next], ["replicate", 8]);
  peer.becomeSnapshot({ term: 3, index: 40, membership: { voters: [], learners: [] } });
  assert.ok(!peer.rejected(39, 8));
  assert.equal(peer.state, "snapshot");
});

Deno.test("what was lost is sent again: a probe as it was, a stream from what is known", () => {
  const peer = new Progress("b", 10);
  peer.appended(12, 100);
  for (let ticks = 0; ticks < 4; ticks++) peer.tick();
  assert.ok(peer.isStalled(4) && !peer.isStalled(5));
  peer.resend();
  assert.deepEqual([peer.next, peer.canAppend(window)], [10, true]);
  peer.appended(12, 100);
  peer.accepted(12);
  peer.appended(13, 100);
  peer.appended(14, 100);
  peer.resend();
  assert.deepEqual([peer.state, peer.next], ["probe", 13]);
});
