import assert from "node:assert/strict";
import { Conversation, idOf } from "./conversation_test.ts";
import { type Applied, type Entry, valueOf } from "./mod.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

function withCluster(): Conversation {
  const conversation = new Conversation();
  conversation.say("init host1");
  return conversation;
}

function network(conversation: Conversation, name: string, envelope: Partial<Entry>): Applied {
  return conversation.apply(conversation.command("network", [name]), envelope);
}

function codeOf({ outcome }: Applied): string {
  return outcome.ok ? "ok" : outcome.rejection.code;
}

Deno.test("the same request again gets the same answer, and nothing is done", () => {
  const c = withCluster();
  const first = network(c, "shop", { requestId: "r" });
  c.say("delete shop");
  const second = network(c, "shop", { requestId: "r" });
  assert.equal(second.repeated, true);
  assert.deepEqual(second.outcome, first.outcome);
  assert.equal(second.changed.nodes.size, 0);
  assert.equal(c.state.networks.size, 0);
});

Deno.test("a rejection is repeated too, though the command could be done by now", () => {
  const c = withCluster();
  c.say("network shop");
  assert.equal(codeOf(network(c, "shop", { requestId: "r" })), "invalid-value");
  c.say("delete shop");
  const again = network(c, "shop", { requestId: "r" });
  assert.equal(again.repeated, true);
  assert.equal(codeOf(again), "invalid-value");
});

Deno.test("the same id with another body is refused, and the first answer is kept", () => {
  const c = withCluster();
  network(c, "shop", { requestId: "r", bodyHash: "one" });
  const other = network(c, "blog", { requestId: "r", bodyHash: "two" });
  assert.equal(codeOf(other), "request-reused");
  assert.equal(other.repeated, false);
  assert.equal(network(c, "shop", { requestId: "r", bodyHash: "one" }).repeated, true);
});

Deno.test("an id is its principal's own, wherever the two texts are cut", () => {
  const c = withCluster();
  assert.equal(codeOf(network(c, "a", { principal: "p", requestId: "qr" })), "ok");
  for (const other of [{ principal: "pq", requestId: "r" }, { principal: "q", requestId: "qr" }]) {
    const { repeated, outcome } = network(c, other.principal, other);
    assert.ok(outcome.ok && !repeated);
  }
});

Deno.test("a drawn id is good for a minute: repeated to the last ms, then refused, never done twice", () => {
  const c = withCluster();
  const from = c.timeMs;
  c.timeMs += 1000;
  network(c, "shop", { requestId: "r", from });
  c.say("delete shop");
  c.timeMs = from + MINUTE_MS;
  assert.equal(network(c, "shop", { requestId: "r", from }).repeated, true);
  c.timeMs += 1;
  assert.equal(codeOf(network(c, "shop", { requestId: "r", from })), "request-expired");
  assert.equal(codeOf(network(c, "shop", { requestId: "new", from })), "request-expired");
});

Deno.test("a request from ahead of the state is remembered as long as it would be accepted", () => {
  const c = withCluster();
  const from = c.timeMs + 5 * MINUTE_MS;
  network(c, "shop", { requestId: "r", from });
  c.say("delete shop");
  for (const afterMs of [MINUTE_MS + 1, 3 * MINUTE_MS, 6 * MINUTE_MS]) {
    const at = from - 5 * MINUTE_MS + afterMs;
    assert.equal(network(c, "shop", { requestId: "r", from, at }).repeated, true, `${afterMs}`);
  }
  const late = network(c, "shop", { requestId: "r", from, at: from + MINUTE_MS + 1 });
  assert.equal(codeOf(late), "request-expired");
  const far = network(c, "shop", { requestId: "far", from: c.state.timeMs + 11 * MINUTE_MS });
  assert.equal(codeOf(far), "invalid-value");
});

Deno.test("the state's time never goes back, and requests go by it", () => {
  const c = withCluster();
  const late = c.timeMs + 2 * MINUTE_MS;
  network(c, "a", { at: late, from: late });
  assert.equal(codeOf(network(c, "b", { at: c.timeMs, from: c.timeMs })), "request-expired");
  assert.equal(c.state.timeMs, late);
  const made = network(c, "d", { at: c.timeMs, from: late });
  assert.ok(made.outcome.ok);
  assert.equal(valueOf("network.create", made.outcome.value).createdAtMs, late);
});

Deno.test("a client's own key is good for a day, then it is new", () => {
  const c = withCluster();
  network(c, "shop", { requestId: "key", from: null });
  c.say("delete shop");
  c.timeMs += DAY_MS;
  assert.equal(network(c, "shop", { requestId: "key", from: null }).repeated, true);
  c.timeMs += 1;
  const again = network(c, "shop", { requestId: "key", from: null });
  assert.equal(again.repeated, false);
  assert.equal(codeOf(again), "ok");
});

Deno.test("a principal has at most 10,000 keys of its own at a time", () => {
  const c = withCluster();
  const drop = c.command("drop", ["nothing"]);
  for (let count = 0; count < 10_000; count++) {
    assert.equal(codeOf(c.apply(drop, { requestId: `key ${count}`, from: null })), "ok");
  }
  assert.equal(codeOf(c.apply(drop, { requestId: "more", from: null })), "too-many-requests");
  assert.equal(c.apply(drop, { requestId: "key 0", from: null }).repeated, true);
  assert.equal(codeOf(c.apply(drop, { requestId: "more" })), "ok", "drawn ids are not counted");
  const other = c.apply(drop, { requestId: "more", from: null, principal: "other" });
  assert.equal(codeOf(other), "ok");
  c.timeMs += DAY_MS + 1;
  assert.equal(codeOf(c.apply(drop, { requestId: "more still", from: null })), "ok");
});

Deno.test("a refused request leaves no record", () => {
  const c = withCluster();
  const from = c.timeMs + 11 * MINUTE_MS;
  assert.equal(codeOf(network(c, "shop", { requestId: "r", from })), "invalid-value");
  const done = network(c, "shop", { requestId: "r" });
  assert.equal(done.repeated, false);
  assert.ok(c.state.networks.has(idOf("shop")));
});
