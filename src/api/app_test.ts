import assert from "node:assert/strict";
import { TestClient } from "./testing_client.ts";
import { bytesText, factsOf, refusal } from "./testing_control.ts";

async function withShop(): Promise<TestClient> {
  const client = new TestClient();
  const body = { name: "shop", labels: { tier: "front", colour: "red" } };
  const answer = await client.ask("POST", "/v1/networks", { body });
  assert.equal(answer.status, 201, answer.text);
  return client;
}

Deno.test("a network is made, found by id and by name, changed and deleted", async () => {
  const client = new TestClient();
  const made = await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("location"), `/v1/networks/${made.json.id}`);
  assert.equal(made.headers.get("etag"), `"${made.json.revision}"`);
  assert.equal(made.json.subnet, "10.64.0.0/24");
  assert.equal(made.json.createdAt, "2026-01-31T12:00:00.000Z");
  for (const path of [`/v1/networks/${made.json.id}`, "/v1/networks/shop"]) {
    assert.deepEqual((await client.ask("GET", path)).json, made.json);
  }
  const changed = await client.ask("PATCH", "/v1/networks/shop", { body: { mtuBytes: 1400 } });
  assert.equal(changed.json.mtuBytes, 1400);
  assert.notEqual(changed.headers.get("etag"), made.headers.get("etag"));
  const deleted = await client.ask("DELETE", "/v1/networks/shop");
  assert.equal(deleted.status, 204);
  assert.equal(deleted.text, "");
  assert.equal((await client.ask("GET", "/v1/networks/shop")).status, 404);
  assert.equal((await client.ask("DELETE", "/v1/networks/shop")).json.code, "not-found");
});

Deno.test("a patch merges as RFC 7396 says", async () => {
  const client = await withShop();
  const { managerId } = client.control;
  const steps: readonly [patch: object, expected: object][] = [
    [{ labels: { colour: null, size: "xl" } }, { labels: { tier: "front", size: "xl" } }],
    [{ allowedNodes: { ids: [managerId] } }, { allowedNodes: { ids: [managerId], labels: {} } }],
    [{ allowedNodes: { labels: { a: "b" } } }, {
      allowedNodes: { ids: [managerId], labels: { a: "b" } },
    }],
    [{ mtuBytes: 1300 }, { mtuBytes: 1300, labels: { tier: "front", size: "xl" } }],
    [{ mtuBytes: null, labels: null, allowedNodes: null }, {
      mtuBytes: null,
      labels: {},
      allowedNodes: "any",
    }],
    [{}, { mtuBytes: null }],
  ];
  for (const [patch, expected] of steps) {
    const answer = await client.ask("PATCH", "/v1/networks/shop", {
      rawBody: JSON.stringify(patch),
      headers: { "content-type": "application/merge-patch+json; charset=utf-8" },
    });
    assert.equal(answer.status, 200, answer.text);
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(answer.json[key], value);
  }
});

Deno.test("a network in use is not deleted, and its endpoints are named", async () => {
  const client = await withShop();
  const made = await client.ask("POST", "/v1/networks/shop/endpoints", {
    body: { node: "HOST2", name: "web" },
  });
  assert.equal(made.headers.get("location"), `/v1/endpoints/${made.json.id}`);
  const answer = await client.ask("DELETE", "/v1/networks/shop");
  assert.equal(answer.status, 409);
  assert.equal(answer.json.code, "in-use");
  assert.deepEqual(answer.json.details.endpoints, [made.json.id]);
});

Deno.test("an endpoint is unattached until its node reports it", async () => {
  const client = await withShop();
  const path = "/v1/networks/shop/endpoints";
  const made = await client.ask("POST", path, { body: { node: "host2" } });
  assert.equal(made.json.attachment, "unattached");
  const report = await client.ask("POST", "/v1/self/report", {
    body: {
      v: 1,
      received: null,
      applied: null,
      attached: [made.json.id],
      gone: [],
      lastError: "no route",
      ipsec: null,
      number: 1,
      bootKey: null,
      epochs: [],
      facts: { ...factsOf("host2", 2) },
    },
    as: client.worker,
  });
  assert.equal(report.status, 200, report.text);
  assert.equal(
    (await client.ask("GET", `/v1/endpoints/${made.json.id}`)).json.attachment,
    "attached",
  );
  assert.equal((await client.ask("GET", path)).json.items[0].attachment, "attached");
  const node = await client.ask("GET", "/v1/nodes/host2");
  assert.equal(node.json.alive, true);
  assert.equal(node.json.lastError, "no route");
  assert.equal(node.json.lastSeenAt, "2026-01-31T12:00:00.000Z");
  assert.equal((await client.ask("DELETE", `/v1/endpoints/${made.json.id}`)).status, 204);
  assert.equal((await client.ask("DELETE", `/v1/endpoints/${made.json.id}`)).status, 404);
});

Deno.test("several endpoints are made all or none", async () => {
  const client = await withShop();
  await client.ask("POST", "/v1/networks", { body: { name: "store" } });
  const ask = (ip: string) =>
    client.ask("POST", "/v1/endpoints", {
      body: { endpoints: [{ network: "shop", name: "web" }, { network: "store", ip }] },
      as: client.worker,
    });
  const refused = await ask("10.64.0.7");
  assert.equal(refused.json.field, "/endpoints/1/ip");
  assert.equal(client.control.state.endpoints.size, 0);
  const made = await ask("10.64.1.7");
  assert.deepEqual(
    made.json.endpoints.map(({ ip }: { ip: string }) => ip),
    ["10.64.0.2", "10.64.1.7"],
  );
});

Deno.test("a node is found by hostname, labelled and removed", async () => {
  const client = new TestClient();
  const { workerId } = client.control;
  const labelled = await client.ask("PATCH", "/v1/nodes/host2", {
    body: { labels: { rack: "a" } },
  });
  assert.deepEqual(labelled.json.labels, { rack: "a" });
  assert.equal((await client.ask("GET", `/v1/nodes/${workerId}`)).json.hostname, "host2");
  assert.equal((await client.ask("DELETE", "/v1/nodes/host1")).json.code, "last-manager");
  assert.equal((await client.ask("DELETE", "/v1/nodes/host2")).status, 204);
  assert.equal((await client.ask("GET", "/v1/nodes/host2")).status, 404);
});

Deno.test("a token's text is in the answer to its creation only, its hash in none", async () => {
  const client = new TestClient();
  const made = await client.ask("POST", "/v1/tokens", { body: { lifetimeMs: 3_600_000, uses: 3 } });
  assert.match(made.json.token, /^AGTKN-1-/);
  assert.equal(made.json.usesLeft, 3);
  assert.equal(made.json.expiresAt, "2026-01-31T13:00:00.000Z");
  const path = `/v1/tokens/${made.json.id}`;
  const texts = [
    made.text,
    (await client.ask("GET", path)).text,
    (await client.ask("GET", "/v1/tokens")).text,
  ];
  const secretHash = client.control.state.tokens.get(made.json.id)?.secretHash ?? "";
  assert.notEqual(secretHash, "");
  for (const text of texts) assert.ok(!text.includes(secretHash));
  for (const text of texts.slice(1)) assert.ok(!text.includes("AGTKN"));
  assert.ok(!JSON.stringify(client.lines).includes("AGTKN"));
  assert.equal((await client.ask("DELETE", path)).status, 204);
});

Deno.test("no answer holds the root key", async () => {
  const client = new TestClient();
  for (const path of ["/v1/cluster", "/v1/ca", "/v1/nodes"]) {
    const answer = await client.ask("GET", path);
    assert.equal(answer.status, 200);
    assert.ok(!answer.text.includes(client.control.state.authority.rootKey));
  }
});

Deno.test("settings are changed one by one, under their own revision", async () => {
  const client = new TestClient();
  const before = await client.ask("GET", "/v1/cluster");
  const changed = await client.ask("PATCH", "/v1/cluster", {
    body: { settings: { keyRotationIntervalMs: 60_000 } },
    headers: { "if-match": before.headers.get("etag") ?? "" },
  });
  assert.equal(changed.status, 200, changed.text);
  assert.deepEqual(changed.json.settings, {
    ...before.json.settings,
    keyRotationIntervalMs: 60_000,
  });
  const again = await client.ask("PATCH", "/v1/cluster", {
    body: { settings: { keyRotationIntervalMs: 70_000 } },
    headers: { "if-match": before.headers.get("etag") ?? "" },
  });
  assert.equal(again.status, 412);
});

Deno.test("If-Match: the revision there is, any, and one that is past", async () => {
  const client = await withShop();
  const etag = (await client.ask("GET", "/v1/networks/shop")).headers.get("etag") ?? "";
  const patch = (ifMatch: string) =>
    client.ask("PATCH", "/v1/networks/shop", {
      body: { labels: { at: ifMatch } },
      headers: { "if-match": ifMatch },
    });
  assert.equal((await patch(etag)).status, 200);
  assert.equal((await patch("*")).status, 200);
  const stale = await patch(etag);
  assert.equal(stale.status, 412);
  assert.equal(stale.json.code, "revision-mismatch");
  assert.ok(stale.json.details.revision > 0);
  const deletion = await client.ask("DELETE", "/v1/networks/shop", {
    headers: { "if-match": etag },
  });
  assert.equal(deletion.status, 412);
});

Deno.test("of two patches of labels at the same time, none is lost", async () => {
  const client = await withShop();
  const gate = Promise.withResolvers<void>();
  const write = client.control.write.bind(client.control);
  client.control.write = async (request) => {
    await gate.promise;
    return await write(request);
  };
  const patches = ["a", "b"].map((key) =>
    client.ask("PATCH", "/v1/networks/shop", { body: { labels: { [key]: "1" } } })
  );
  gate.resolve();
  const statuses = (await Promise.all(patches)).map(({ status }) => status);
  assert.deepEqual(statuses.sort(), [200, 412]);
});

Deno.test("pages are ordered by id and hold each object once", async () => {
  const client = new TestClient();
  for (let index = 0; index < 25; index++) {
    await client.ask("POST", "/v1/networks", { body: { name: `n${index}` } });
  }
  const ids: string[] = [];
  for (let path = "/v1/networks?limit=10"; path !== "";) {
    const { json } = await client.ask("GET", path);
    ids.push(...json.items.map(({ id }: { id: string }) => id));
    assert.equal(json.items.length, ids.length === 25 ? 5 : 10);
    path = json.next === null ? "" : `/v1/networks?limit=10&after=${json.next}`;
  }
  assert.deepEqual(ids, [...client.control.state.networks.keys()].sort());
  assert.equal((await client.ask("GET", "/v1/networks?limit=25")).json.next, null);
});

Deno.test("a node's stream is handed on and ends with the client", async () => {
  const client = new TestClient();
  const answer = await client.ask("GET", "/v1/self/projection", { as: client.worker });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/vnd.agent.frames");
  assert.equal(client.control.openStreams, 0);
  const head = await client.ask("HEAD", "/v1/self/projection", { as: client.worker });
  assert.equal(head.status, 405);
  assert.equal(client.control.openStreams, 0);
});

Deno.test("join and renewal hand on what the leader answers and refuses", async () => {
  const client = new TestClient();
  const anonymous = { kind: "anonymous" } as const;
  const made = await client.ask("POST", "/v1/tokens", { body: {} });
  const body = {
    v: 1,
    secret: `secret of ${made.json.id}`,
    csr: bytesText("csr"),
    facts: { ...factsOf("host9", 9) },
    probe: bytesText("0123456789abcdef"),
    nowMs: 1,
  };
  const joined = await client.ask("POST", "/v1/join", { body, as: anonymous });
  assert.equal(joined.status, 200, joined.text);
  const refused = await client.ask("POST", "/v1/join", {
    body: { ...body, secret: "wrong" },
    as: anonymous,
  });
  assert.equal(refused.status, 403);
  assert.equal(refused.json.code, "token-unknown");
  const text = JSON.stringify(client.lines);
  assert.ok(!text.includes(body.secret) && !text.includes(body.csr));
});

Deno.test("without a leader: 421 with its address, 503 without a quorum, and a CA all the same", async () => {
  const client = new TestClient();
  client.control.refusal = refusal("not-leader", "host3 leads", {
    leaderAddress: "192.0.2.3:7443",
  });
  for (const path of ["/v1/networks", "/readyz"]) {
    const answer = await client.ask("GET", path);
    assert.equal(answer.status, 421);
    assert.equal(answer.headers.get("agent-leader"), "192.0.2.3:7443");
    assert.equal(answer.json.details.leaderAddress, "192.0.2.3:7443");
  }
  const write = await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  assert.equal(write.status, 421);
  client.control.refusal = refusal("not-leader", "nobody leads", { leaderAddress: null });
  assert.equal((await client.ask("GET", "/readyz")).headers.get("agent-leader"), null);
  client.control.refusal = refusal("unavailable", "no quorum");
  const unavailable = await client.ask("GET", "/readyz");
  assert.equal(unavailable.status, 503);
  assert.equal(unavailable.headers.get("retry-after"), "1");
  for (const path of ["/v1/ca", "/healthz"]) {
    assert.equal((await client.ask("GET", path)).status, 200);
  }
});

Deno.test("a defect is 500, its text in the log and not in the answer", async () => {
  const client = new TestClient();
  for (const error of [new Error("secret words"), refusal("ECONNREFUSED", "secret words")]) {
    client.control.refusal = error;
    const answer = await client.ask("GET", "/v1/networks");
    assert.equal(answer.status, 500);
    assert.equal(answer.json.code, "internal");
    assert.ok(!answer.text.includes("secret"));
    assert.ok(String(client.lines.at(-1)?.fields.error).includes("secret words"));
  }
  assert.equal(client.app.counters.failed, 2);
});

Deno.test("HEAD is GET without a body, OPTIONS says what there is", async () => {
  const client = await withShop();
  const head = await client.ask("HEAD", "/v1/networks/shop");
  assert.equal(head.status, 200);
  assert.equal(head.text, "");
  assert.notEqual(head.headers.get("etag"), null);
  const options = await client.ask("OPTIONS", "/v1/networks/shop");
  assert.equal(options.status, 204);
  assert.equal(options.headers.get("allow"), "GET, PATCH, DELETE, HEAD, OPTIONS");
});

Deno.test("an unknown method is 405 with Allow", async () => {
  const client = new TestClient();
  for (const method of ["PUT", "DELETE", "PROPFIND"]) {
    const answer = await client.ask(method, "/v1/networks");
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get("allow"), "POST, GET, HEAD, OPTIONS");
  }
});

Deno.test("an unknown path is 404, and a host's own path says where it is", async () => {
  const client = new TestClient();
  for (const path of ["/", "/v1/networks/", "/v1//networks", "/v2/networks", "/v1/networks/a/b"]) {
    const answer = await client.ask("GET", path);
    assert.equal(answer.json.code, "no-such-path", path);
  }
  for (const path of ["/v1/attachments", "/v1/attachments/x", "/v1/plan", "/v1/self"]) {
    const answer = await client.ask("POST", path, { body: {} });
    assert.equal(answer.status, 404);
    assert.match(answer.json.detail, /own socket/);
  }
});

Deno.test("a path's parameter may hold anything", async () => {
  const client = new TestClient();
  for (
    const text of [
      "%00",
      "%FF",
      "a%2Fb",
      "é",
      "__proto__",
      "constructor",
      "x".repeat(4096),
    ]
  ) {
    const answer = await client.ask("GET", `/v1/networks/${text}`);
    assert.equal(answer.status, 404, text);
    assert.ok(answer.text.length < 1024);
  }
});

Deno.test("each write and each denial is one log line", async () => {
  const client = await withShop();
  client.lines.length = 0;
  await client.ask("GET", "/v1/networks");
  await client.ask("DELETE", "/v1/networks/shop");
  await client.ask("DELETE", "/v1/networks/shop", { as: client.worker });
  const peer = "192.0.2.99";
  const principal = `manager:${client.control.managerId}`;
  const route = "DELETE /v1/networks/{network}";
  assert.deepEqual(client.lines.map(({ level, fields }) => ({ level, ...fields })), [
    { level: "info", principal, peer, route, target: "shop", status: 204 },
    {
      level: "warn",
      principal: `worker:${client.control.workerId}`,
      peer,
      route,
      target: "shop",
      status: 403,
      code: "not-permitted",
    },
  ]);
});
