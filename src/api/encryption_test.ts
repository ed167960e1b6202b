import assert from "node:assert/strict";
import type { Json } from "../base/mod.ts";
import type { MemberReport } from "./mod.ts";
import { refusal } from "./testing_control.ts";
import { TestClient } from "./testing_client.ts";

async function withBank(body: { readonly [key: string]: Json } = {}): Promise<TestClient> {
  const client = new TestClient();
  const made = await client.ask("POST", "/v1/networks", {
    body: { name: "bank", encrypted: true, ...body },
  });
  assert.equal(made.status, 201, made.text);
  return client;
}

Deno.test("an encrypted network is made, and shows its slot, port and epochs", async () => {
  const client = await withBank({ rotationIntervalMs: 5_000 });
  const { json } = await client.ask("GET", "/v1/networks/bank");
  assert.equal(json.encrypted, true);
  assert.deepEqual(json.encryption, {
    slot: 0,
    port: 20000,
    rotationIntervalMs: 5_000,
    rotation: "by-interval",
    epochs: [{
      epoch: 1,
      since: "2026-01-31T12:00:00.000Z",
      installed: [],
      missing: [],
      sending: [],
    }],
    silent: [],
  });
  await client.ask("POST", "/v1/networks", { body: { name: "plain" } });
  const plain = (await client.ask("GET", "/v1/networks/plain")).json;
  assert.deepEqual([plain.encrypted, plain.encryption], [false, null]);
});

Deno.test("a rotation begins the next epoch, and the same request only one", async () => {
  const client = await withBank();
  const headers = { "idempotency-key": "mine" };
  const first = await client.ask("POST", "/v1/networks/bank/rotate", { headers });
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(first.json.encryption.epochs.map(({ epoch }: { epoch: number }) => epoch), [
    2,
    1,
  ]);
  const again = await client.ask("POST", "/v1/networks/bank/rotate", { headers });
  assert.equal(again.text, first.text);
  const second = await client.ask("POST", "/v1/networks/bank/rotate");
  assert.equal(second.json.encryption.epochs[0].epoch, 3);
});

Deno.test("a rotation that has to wait, or cannot be, says why", async () => {
  const client = await withBank();
  await client.ask("POST", "/v1/networks", { body: { name: "plain" } });
  client.control.rotationRefusal = refusal("rotation-waiting", "bank cannot go to epoch 7 yet", {
    details: { epoch: 7, inUse: 1, nodes: [client.control.workerId], hostnames: ["host2"] },
  });
  const waiting = await client.ask("POST", "/v1/networks/bank/rotate");
  assert.equal(waiting.status, 409);
  assert.equal(waiting.json.code, "rotation-waiting");
  assert.deepEqual(waiting.json.details.hostnames, ["host2"]);
  client.control.rotationRefusal = null;
  const plain = await client.ask("POST", "/v1/networks/plain/rotate");
  assert.deepEqual([plain.status, plain.json.code], [409, "not-encrypted"]);
  const nobody = await client.ask("POST", "/v1/networks/nobody/rotate");
  assert.deepEqual([nobody.status, nobody.json.code], [404, "not-found"]);
});

Deno.test("a network's interval is changed, and taken back", async () => {
  const client = await withBank();
  const patch = async (rotationIntervalMs: number | null) => {
    const answer = await client.ask("PATCH", "/v1/networks/bank", { body: { rotationIntervalMs } });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.encryption.rotationIntervalMs;
  };
  assert.equal(await patch(3_600_000), 3_600_000);
  const labels = await client.ask("PATCH", "/v1/networks/bank", { body: { labels: { a: "b" } } });
  assert.equal(labels.json.encryption.rotationIntervalMs, 3_600_000);
  assert.equal(await patch(null), null);
});

Deno.test("the cluster's limit of an epoch is a setting", async () => {
  const client = new TestClient();
  const change = (epochLimitMs: number) =>
    client.ask("PATCH", "/v1/cluster", { body: { settings: { epochLimitMs } } });
  assert.equal((await change(60_000)).json.settings.epochLimitMs, 60_000);
  assert.equal((await client.ask("GET", "/v1/cluster")).json.settings.epochLimitMs, 60_000);
  const short = await change(9_999);
  assert.deepEqual([short.status, short.json.code], [422, "invalid-value"]);
});

Deno.test("who has which epoch, and who still sends with it, is shown", async () => {
  const client = await withBank();
  const { control } = client;
  const network = control.state.networkByName("bank");
  assert.ok(network !== undefined);
  await client.ask("POST", "/v1/networks/bank/rotate");
  const [a, b, c] = [control.managerId, control.workerId, control.otherWorkerId];
  const told: MemberReport[] = [
    { nodeId: a, state: "attached", report: { installed: [1, 2], oldestSending: 2 } },
    { nodeId: b, state: "attached", report: { installed: [1], oldestSending: 1 } },
    { nodeId: c, state: "attached", report: null },
    { nodeId: "left", state: "left", report: { installed: [1], oldestSending: null } },
  ];
  control.told.set(network.id, told);
  const since = "2026-01-31T12:00:00.000Z";
  const { encryption } = (await client.ask("GET", "/v1/networks/bank")).json;
  assert.deepEqual(encryption.epochs, [
    { epoch: 2, since, installed: [a], missing: [b], sending: [a] },
    { epoch: 1, since, installed: [a, b], missing: [], sending: [b] },
  ]);
  assert.deepEqual(encryption.silent, [c]);
  const { items } = (await client.ask("GET", "/v1/networks")).json;
  assert.deepEqual(items[0].encryption, encryption);
});

Deno.test("a node without encryption gets no endpoint on an encrypted network", async () => {
  const client = await withBank();
  const { control } = client;
  const node = control.state.nodes.get(control.otherWorkerId);
  assert.ok(node !== undefined);
  const reason = "unavailable (the kernel has no esp4): install linux-modules-extra";
  const { outcome } = control.state.apply({
    v: 1,
    kind: "node.describe",
    body: { id: node.id, facts: { ...node.facts, encryption: reason } },
    requestId: "facts",
    principal: "test",
    bodyHash: "facts",
    from: control.nowMs,
    at: control.nowMs,
  });
  assert.ok(outcome.ok);
  const refused = await client.ask("POST", "/v1/networks/bank/endpoints", {
    body: { node: "host3" },
  });
  assert.deepEqual([refused.status, refused.json.code], [409, "encryption-unavailable"]);
  assert.equal(refused.json.field, "/node");
  assert.ok(refused.json.detail.includes(reason), refused.json.detail);
  const several = await client.ask("POST", "/v1/endpoints", {
    body: { endpoints: [{ network: "bank", node: "host2" }, { network: "bank", node: "host3" }] },
  });
  assert.deepEqual([several.status, several.json.field], [409, "/endpoints/1/node"]);
  const done = await client.ask("POST", "/v1/networks/bank/endpoints", { body: { node: "host2" } });
  assert.equal(done.status, 201, done.text);
});

Deno.test("no answer and no log line has a secret in it", async () => {
  const client = await withBank();
  const texts: string[] = [];
  const ask = async (method: string, path: string, body?: Json) => {
    const { text, headers } = await client.ask(method, path, body === undefined ? {} : { body });
    texts.push(text, JSON.stringify([...headers]));
  };
  await ask("POST", "/v1/networks/bank/rotate");
  await ask("POST", "/v1/networks", { name: "bank", encrypted: true });
  await ask("POST", "/v1/networks", { name: "other", encrypted: true });
  await ask("PATCH", "/v1/networks/bank", { rotationIntervalMs: 5_000 });
  await ask("POST", "/v1/networks/bank/endpoints", { node: "host2" });
  for (const path of ["networks", "networks/bank", "nodes", "cluster", "networks/bank/endpoints"]) {
    await ask("GET", `/v1/${path}`);
  }
  await ask("DELETE", "/v1/networks/other");
  texts.push(JSON.stringify(client.lines));
  assert.equal(client.control.secrets.length, 4);
  for (const secret of client.control.secrets) {
    for (const text of texts) assert.ok(!text.includes(secret), text);
  }
});
