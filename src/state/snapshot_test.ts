import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8, type Json } from "../base/mod.ts";
import { Conversation, idOf } from "./conversation_test.ts";
import {
  ClusterState,
  decodeEntry,
  decodeSnapshot,
  encodeEntry,
  encodeSnapshot,
  type Entry,
  NOTHING_INSTALLED,
  project,
  StateDecodeError,
} from "./mod.ts";

function filled(): Conversation {
  const conversation = new Conversation();
  for (
    const line of [
      "init host1 labels=zone:a routes=10.99.0.0/16",
      "token token",
      "join host2",
      "certify host2 key=new",
      "network shop labels=b:1,a:2 mtu=1400",
      "network blog allow=host1 having=zone:a",
      "network gone",
      "delete gone",
      "endpoint shop/web@host1 shop/-db@host2 blog/b@host1",
      "network shop",
    ]
  ) conversation.say(line);
  const command = conversation.command("network", ["wiki"]);
  conversation.apply(command, { from: null, requestId: "key" });
  return conversation;
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "ok";
  } catch (error) {
    assert.ok(error instanceof StateDecodeError, String(error));
    return error.code;
  }
}

Deno.test("a state that is read back is the same, with all its look-ups", () => {
  const { state } = filled();
  const bytes = encodeSnapshot(state);
  const again = decodeSnapshot(bytes);
  assert.equal(decodeUtf8(encodeSnapshot(again)), decodeUtf8(bytes));
  assert.deepEqual(new Map(again.nodes), new Map(state.nodes));
  assert.deepEqual(new Map(again.endpoints), new Map(state.endpoints));
  assert.equal(again.networkByName("shop")?.id, idOf("shop"));
  assert.equal(again.endpointByName(idOf("shop"), "web")?.id, idOf("web"));
  assert.equal(again.nodeByName("HOST2")?.id, idOf("host2"));
  for (const hash of ["host2", "new"]) {
    const spkiHash = state.nodes.get(idOf("host2"))?.certificates.find((one) =>
      decodeUtf8(Uint8Array.from(atob(one.certificate), (c) => c.charCodeAt(0))) === hash
    )?.spkiHash;
    assert.equal(again.nodeBySpki(spkiHash ?? "")?.id, idOf("host2"), hash);
  }
  assert.deepEqual(
    project(again, idOf("host1"), NOTHING_INSTALLED),
    project(state, idOf("host1"), NOTHING_INSTALLED),
  );
});

Deno.test("a state of before there was a setting has that setting's default", () => {
  const saved = decodeUtf8(encodeSnapshot(filled().state));
  const older = saved.replace('"managerTiming":"local",', "");
  assert.notEqual(older, saved);
  assert.equal(decodeSnapshot(encodeUtf8(older)).settings.managerTiming, "local");
});

Deno.test("requests that were answered before are answered the same after", () => {
  const conversation = filled();
  const { state } = conversation;
  conversation.state = decodeSnapshot(encodeSnapshot(state));
  const command = conversation.command("network", ["wiki"]);
  for (const envelope of [{ from: null, requestId: "key" }, { requestId: "request 5" }]) {
    const { repeated } = conversation.apply(command, envelope);
    assert.equal(repeated, true, envelope.requestId);
  }
});

Deno.test("numbers are handed out to the last, then from the first, those freed last", () => {
  const conversation = filled();
  const text = decodeUtf8(encodeSnapshot(conversation.state))
    .replace('"nodeIndexes":{"freed":[],"next":3}', '"nodeIndexes":{"freed":[],"next":65535}')
    .replace('"vnis":{"freed":[4098],"next":4100}', '"vnis":{"freed":[4098],"next":16777215}');
  conversation.state = decodeSnapshot(encodeUtf8(text));
  const indexes: (number | undefined)[] = [];
  for (const name of ["host3", "host4", "host5"]) {
    conversation.say(`join ${name}`);
    indexes.push(conversation.state.nodes.get(idOf(name))?.index);
    conversation.say(`remove ${name}`);
    conversation.state = decodeSnapshot(encodeSnapshot(conversation.state));
  }
  assert.deepEqual(indexes, [65535, 3, 4]);
  const vnis: (number | undefined)[] = [];
  for (const name of ["one", "two", "three"]) {
    conversation.say(`network ${name}`);
    vnis.push(conversation.state.networkByName(name)?.vni);
    conversation.say(`delete ${name}`);
    conversation.state = decodeSnapshot(encodeSnapshot(conversation.state));
  }
  assert.deepEqual(vnis, [16777215, 4100, 4101]);
  assert.match(
    decodeUtf8(encodeSnapshot(conversation.state)),
    /"nodeIndexes":{"freed":\[65535,3,4\],/,
  );
});

Deno.test("an empty state can be saved too", () => {
  const again = decodeSnapshot(encodeSnapshot(ClusterState.empty()));
  assert.equal(again.exists, false);
  assert.equal(again.revision, 0);
});

Deno.test("bytes that are no snapshot are refused with a typed error", () => {
  const text = decodeUtf8(encodeSnapshot(filled().state));
  const changed = (from: string, to: string) => {
    assert.ok(text.includes(from), from);
    return codeOf(() => decodeSnapshot(encodeUtf8(text.replaceAll(from, to))));
  };
  assert.equal(codeOf(() => decodeSnapshot(Uint8Array.of(0xff))), "malformed");
  assert.equal(codeOf(() => decodeSnapshot(encodeUtf8(text.slice(1)))), "malformed");
  assert.equal(codeOf(() => decodeSnapshot(encodeUtf8("[]"))), "malformed");
  assert.equal(codeOf(() => decodeSnapshot(encodeUtf8("{}"))), "malformed");
  assert.equal(changed('"v":1,', '"v":3,'), "unknown-version");
  assert.equal(changed('"v":1,', '"v":0,'), "malformed");
  assert.equal(changed('"vni":4096', '"vni":4095'), "malformed");
  const node = idOf("host2");
  assert.equal(changed(`"nodeId":"${node}"`, `"nodeId":"${idOf("nobody")}"`), "malformed");
  assert.equal(changed(`"id":"${node}"`, `"id":"${idOf("host1")}"`), "malformed");
});

Deno.test("a snapshot with anything planted in it is read or refused, never more", () => {
  const text = decodeUtf8(encodeSnapshot(filled().state));
  fc.assert(fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 4 }), (at, planted) => {
    const bytes = encodeUtf8(text.slice(0, at) + planted + text.slice(at + planted.length));
    codeOf(() => decodeSnapshot(bytes));
  }));
});

Deno.test("an entry is read as it was written, and what is none is refused", () => {
  const entry: Entry = {
    v: 1,
    kind: "network.delete",
    body: { id: idOf("shop") },
    requestId: "r",
    principal: "anyone",
    bodyHash: "h",
    from: null,
    at: 5,
  };
  assert.deepEqual(decodeEntry(encodeEntry(entry)), entry);
  // What no manager could read must not get into the log.
  assert.throws(() => encodeEntry({ ...entry, bodyHash: "" }), TypeError);
  const read = (value: Json) => codeOf(() => decodeEntry(encodeUtf8(JSON.stringify(value))));
  const good = { ...entry, body: {} };
  assert.equal(read(good), "ok");
  assert.equal(read({ ...good, kind: "what comes later" }), "ok");
  assert.equal(read({ ...good, v: 2 }), "unknown-version");
  assert.equal(read({ ...good, v: "1" }), "malformed");
  assert.equal(read({ ...good, at: 1.5 }), "malformed");
  assert.equal(read({ ...good, at: -1 }), "malformed");
  assert.equal(read({ ...good, from: "now" }), "malformed");
  assert.equal(read({ ...good, requestId: "" }), "malformed");
  assert.equal(read({ ...good, more: 1 }), "malformed");
  assert.equal(read([]), "malformed");
});
