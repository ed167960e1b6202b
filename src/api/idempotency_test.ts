import assert from "node:assert/strict";
import type { Json } from "../base/mod.ts";
import { TestClient } from "./testing_client.ts";
import { refusal } from "./testing_control.ts";

interface Repeated {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: Json;
  /** Done between the two, so that an answer made of the state would be another one. */
  readonly between: (client: TestClient) => Promise<unknown>;
}

const dropShop = (client: TestClient) => client.ask("DELETE", "/v1/networks/shop");
const dropStore = (client: TestClient) => client.ask("DELETE", "/v1/networks/store");
const dropEndpoints = async (client: TestClient) => {
  for (const id of client.control.state.endpoints.keys()) {
    await client.ask("DELETE", `/v1/endpoints/${id}`);
  }
  await dropShop(client);
};

const CASES: readonly Repeated[] = [
  {
    what: "creating a network",
    method: "POST",
    path: "/v1/networks",
    body: { name: "store" },
    between: dropStore,
  },
  {
    what: "changing a network",
    method: "PATCH",
    path: "/v1/networks/shop",
    body: { labels: { a: "b" } },
    between: dropShop,
  },
  {
    what: "deleting a network",
    method: "DELETE",
    path: "/v1/networks/shop",
    between: (client) => client.ask("GET", "/v1/networks"),
  },
  {
    what: "creating an endpoint",
    method: "POST",
    path: "/v1/networks/shop/endpoints",
    body: { node: "host2" },
    between: dropEndpoints,
  },
  {
    what: "creating endpoints",
    method: "POST",
    path: "/v1/endpoints",
    body: { endpoints: [{ network: "shop", node: "host2" }] },
    between: dropEndpoints,
  },
  {
    what: "removing a node",
    method: "DELETE",
    path: "/v1/nodes/host3",
    between: (client) => client.ask("GET", "/v1/nodes"),
  },
  {
    what: "labelling a node",
    method: "PATCH",
    path: "/v1/nodes/host3",
    body: { labels: { a: "b" } },
    between: (client) => client.ask("PATCH", "/v1/nodes/host3", { body: { labels: null } }),
  },
  {
    what: "creating a token",
    method: "POST",
    path: "/v1/tokens",
    body: {},
    between: async (client) => {
      const [, , token = ""] = [...client.control.state.tokens.keys()];
      assert.equal((await client.ask("DELETE", `/v1/tokens/${token}`)).status, 204);
    },
  },
  {
    what: "changing settings",
    method: "PATCH",
    path: "/v1/cluster",
    body: { settings: { keyRotationIntervalMs: 60_000 } },
    between: (client) =>
      client.ask("PATCH", "/v1/cluster", { body: { settings: { keyRotationIntervalMs: 70_000 } } }),
  },
  {
    what: "a change that is refused",
    method: "POST",
    path: "/v1/networks",
    body: { name: "shop" },
    between: dropShop,
  },
];

for (const { what, method, path, body, between } of CASES) {
  for (const by of ["idempotency-key", "agent-request"]) {
    Deno.test(`${what} a second time by ${by} has the same answer`, async () => {
      const client = new TestClient();
      const { control } = client;
      await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
      const value = by === "idempotency-key" ? "mine" : `${control.newId()};from=${control.nowMs}`;
      const headers = { [by]: value };
      const first = await client.ask(method, path, { body, headers });
      await between(client);
      const { revision } = control.state;
      const second = await client.ask(method, path, { body, headers });
      assert.equal(second.status, first.status, second.text);
      assert.equal(second.text, first.text);
      assert.deepEqual([...second.headers], [...first.headers]);
      assert.equal(control.state.revision, revision, "nothing is done again");
    });
  }
}

Deno.test("the same key with another request is refused", async () => {
  const client = new TestClient();
  const headers = { "idempotency-key": "mine" };
  const ask = (path: string, name: string) => client.ask("POST", path, { body: { name }, headers });
  assert.equal((await ask("/v1/networks", "shop")).status, 201);
  assert.equal((await ask("/v1/networks", "store")).json.code, "request-reused");
  const patched = await client.ask("PATCH", "/v1/networks/shop", { body: {}, headers });
  assert.equal(patched.status, 422);
  assert.equal(patched.json.code, "request-reused");
});

Deno.test("the same key and body at another path is another request", async () => {
  const client = new TestClient();
  const headers = { "idempotency-key": "mine" };
  for (const name of ["shop", "store"]) {
    await client.ask("POST", "/v1/networks", { body: { name } });
  }
  const ask = (name: string) =>
    client.ask("POST", `/v1/networks/${name}/endpoints`, { body: { node: "host2" }, headers });
  assert.equal((await ask("shop")).status, 201);
  assert.equal((await ask("store")).json.code, "request-reused");
  const labels = { "idempotency-key": "labels" };
  const patch = (name: string) =>
    client.ask("PATCH", `/v1/networks/${name}`, { body: { labels: {} }, headers: labels });
  assert.equal((await patch("shop")).status, 200);
  const deletion = await client.ask("DELETE", "/v1/networks/shop", { headers: labels });
  assert.equal(deletion.json.code, "request-reused");
});

Deno.test("white space and the order of fields do not make another request", async () => {
  const client = new TestClient();
  const headers = { "idempotency-key": "mine", "content-type": "application/json" };
  const first = await client.ask("POST", "/v1/networks", {
    rawBody: '{"name":"shop","encrypted":false}',
    headers,
  });
  const second = await client.ask("POST", "/v1/networks", {
    rawBody: ' { "encrypted": false, "name": "shop" }',
    headers,
  });
  assert.equal(second.status, 201);
  assert.equal(second.text, first.text);
});

Deno.test("one caller's key is nothing to another's", async () => {
  const client = new TestClient();
  const headers = { "idempotency-key": "mine" };
  const body = { name: "shop" };
  assert.equal((await client.ask("POST", "/v1/networks", { body, headers })).status, 201);
  const other = { kind: "admin", id: client.control.newId() } as const;
  const answer = await client.ask("POST", "/v1/networks", { body, headers, as: other });
  assert.equal(answer.json.code, "name-taken");
});

Deno.test("how a request is named reaches the state", async () => {
  const client = new TestClient();
  const { control } = client;
  const id = control.newId();
  const ask = (name: string, headers: Record<string, string>) =>
    client.ask("POST", "/v1/networks", { body: { name }, headers });
  await ask("a", { "idempotency-key": "mine", "agent-request": `${id};from=7` });
  await ask("b", { "agent-request": `${id};from=${control.nowMs - 1}` });
  await ask("c", {});
  const [keyed, forwarded, plain] = control.written;
  assert.deepEqual([keyed?.requestId, keyed?.from], ["mine", null]);
  assert.deepEqual([forwarded?.requestId, forwarded?.from], [id, control.nowMs - 1]);
  assert.equal(plain?.requestId.length, 26);
  assert.equal(plain?.from, control.nowMs);
  assert.deepEqual(keyed?.principal, client.manager);
});

Deno.test("a forwarded request that is too old is refused", async () => {
  const client = new TestClient();
  const from = client.control.nowMs - 61_000;
  const answer = await client.ask("POST", "/v1/networks", {
    body: { name: "shop" },
    headers: { "agent-request": `${client.control.newId()};from=${from}` },
  });
  assert.equal(answer.status, 409);
  assert.equal(answer.json.code, "request-expired");
});

Deno.test("a named request about nothing is told what is not there, in its own words", async () => {
  const client = new TestClient();
  const headers = { "idempotency-key": "mine" };
  for (
    const path of ["/v1/networks/none", "/v1/nodes/none", "/v1/tokens/none", "/v1/endpoints/none"]
  ) {
    const answer = await client.ask("DELETE", path, {
      headers: { "idempotency-key": `mine-${path.length}` },
    });
    assert.equal(answer.status, 404);
    assert.match(answer.json.detail, /"none"/);
    assert.equal(answer.json.in, "path");
  }
  const answer = await client.ask("POST", "/v1/endpoints", {
    body: { endpoints: [{ network: "none", node: "host2" }] },
    headers,
  });
  assert.equal(answer.json.field, "/endpoints/0/network");
});

Deno.test("a token whose text is not known any more is not shown wrongly", async () => {
  const client = new TestClient();
  const createToken = client.control.createToken.bind(client.control);
  client.control.createToken = async (request) => ({ ...await createToken(request), text: null });
  const answer = await client.ask("POST", "/v1/tokens", { body: {} });
  assert.equal(answer.status, 409);
  assert.equal(answer.json.code, "token-already-shown");
  assert.ok(client.control.state.tokens.has(answer.json.details.token));
});

Deno.test("a write that the leader cannot do is not answered as done", async () => {
  const client = new TestClient();
  client.control.refusal = refusal("unavailable", "no quorum");
  const answer = await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  assert.equal(answer.status, 503);
});
