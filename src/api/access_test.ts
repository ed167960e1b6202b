import assert from "node:assert/strict";
import { formatPrincipal, type Json } from "../base/mod.ts";
import { bytesText, factsOf, principalsOf, refusal, SETTINGS } from "./testing_control.ts";
import { CLUSTER_ROUTES, TestClient } from "./testing_client.ts";

const WRITE = "manager admin";

/** Who may call what, written by hand and not taken from the code. `worker*`: for itself only. */
const EXPECTED: Readonly<Record<string, string>> = {
  "GET /v1/cluster": WRITE,
  "PATCH /v1/cluster": WRITE,
  "POST /v1/cluster/backup": "manager",
  "GET /v1/ca": "anonymous worker manager admin",
  "POST /v1/join": "anonymous worker manager admin",
  "GET /healthz": "anonymous worker manager admin",
  "GET /readyz": "worker manager admin",
  "POST /v1/networks": WRITE,
  "GET /v1/networks": WRITE,
  "GET /v1/networks/{network}": WRITE,
  "PATCH /v1/networks/{network}": WRITE,
  "POST /v1/networks/{network}/rotate": WRITE,
  "POST /v1/networks/{network}/check": WRITE,
  "GET /v1/networks/{network}/check": WRITE,
  "DELETE /v1/networks/{network}": WRITE,
  "POST /v1/networks/{network}/endpoints": "worker* manager admin",
  "POST /v1/endpoints": "worker* manager admin",
  "GET /v1/networks/{network}/endpoints": WRITE,
  "GET /v1/endpoints/{endpoint}": WRITE,
  "DELETE /v1/endpoints/{endpoint}": "worker* manager admin",
  "GET /v1/managers": WRITE,
  "GET /v1/nodes": WRITE,
  "GET /v1/nodes/{node}": WRITE,
  "PATCH /v1/nodes/{node}": WRITE,
  "DELETE /v1/nodes/{node}": "worker* manager admin",
  "POST /v1/tokens": WRITE,
  "GET /v1/tokens": WRITE,
  "GET /v1/tokens/{token}": WRITE,
  "DELETE /v1/tokens/{token}": WRITE,
  "GET /v1/self/projection": "worker manager",
  "POST /v1/self/report": "worker manager",
  "POST /v1/self/check": "worker manager",
  "POST /v1/self/certificate": "worker manager recovering",
  "GET /openapi.json": "worker manager admin",
};

interface Scene {
  readonly client: TestClient;
  readonly networkId: string;
  /** On the calling worker. */
  readonly ownEndpointId: string;
  /** On another worker. */
  readonly otherEndpointId: string;
  readonly tokenId: string;
}

async function setScene(): Promise<Scene> {
  const client = new TestClient();
  const { control } = client;
  const made = async (path: string, body: Json) => {
    const answer = await client.ask("POST", path, { body });
    assert.equal(answer.status, 201, answer.text);
    return answer.json.id;
  };
  const networkId = await made("/v1/networks", { name: "shop" });
  await made("/v1/networks", { name: "empty" });
  await made("/v1/networks", { name: "bank", encrypted: true });
  await client.ask("POST", "/v1/networks/bank/check");
  const path = "/v1/networks/shop/endpoints";
  return {
    client,
    networkId,
    ownEndpointId: await made(path, { node: control.workerId }),
    otherEndpointId: await made(path, { node: control.otherWorkerId }),
    tokenId: await made("/v1/tokens", {}),
  };
}

/** A request of each route that would be done for one who may; about the calling worker or another. */
function requestFor(route: string, scene: Scene, whose: "own" | "other") {
  const { control } = scene.client;
  const node = whose === "own" ? control.workerId : control.otherWorkerId;
  const endpoint = whose === "own" ? scene.ownEndpointId : scene.otherEndpointId;
  const [method = "", pattern = ""] = route.split(" ");
  const path = pattern
    .replace("{network}/rotate", "bank/rotate")
    .replace("{network}/check", "bank/check")
    .replace("{network}", method === "DELETE" ? "empty" : "shop")
    .replace("{endpoint}", endpoint)
    .replace("{node}", node)
    .replace("{token}", scene.tokenId);
  const bodies: Readonly<Record<string, Json>> = {
    "PATCH /v1/cluster": { settings: { keyRotationIntervalMs: 60_000 } },
    "POST /v1/join": {
      v: 1,
      secret: "unknown",
      csr: bytesText("csr"),
      facts: { ...factsOf("host9", 9) },
      probe: bytesText("0123456789abcdef"),
      nowMs: 1,
    },
    "POST /v1/networks": { name: "another" },
    "PATCH /v1/networks/{network}": { labels: { tier: "front" } },
    "POST /v1/networks/{network}/endpoints": { node },
    "POST /v1/endpoints": { endpoints: [{ network: "shop", node }] },
    "PATCH /v1/nodes/{node}": { labels: { rack: "a" } },
    "POST /v1/tokens": {},
    "POST /v1/self/report": {
      v: 1,
      received: null,
      applied: null,
      attached: [],
      gone: [],
      lastError: null,
      number: 1,
      bootKey: null,
      epochs: [],
      ipsec: null,
      facts: { ...factsOf("host2", 2) },
    },
    "POST /v1/self/check": {
      v: 1,
      networkId: "wwwwwwwwwwwwwwwwwwwwwwwwwe",
      checkId: "wwwwwwwwwwwwwwwwwwwwwwwwwe",
      problem: null,
      neededMtuBytes: 1500,
      refused: [],
      peers: [],
    },
    "POST /v1/self/certificate": { v: 1, csr: bytesText("csr") },
  };
  return { method, path, body: bodies[route] };
}

Deno.test("the table of who may call what names every route", () => {
  assert.deepEqual(
    CLUSTER_ROUTES.map(({ method, path }) => `${method} ${path}`).sort(),
    Object.keys(EXPECTED).sort(),
  );
});

for (const [route, allowed] of Object.entries(EXPECTED)) {
  for (const caller of ["anonymous", "worker", "manager", "admin", "recovering"]) {
    const words = allowed.split(" ");
    const cases = words.includes("worker*") && caller === "worker"
      ? [["own", "may"], ["other", "may not"]] as const
      : [["other", words.includes(caller) ? "may" : "may not"]] as const;
    for (const [whose, verdict] of cases) {
      const about = words.includes("worker*") && caller === "worker" ? ` (${whose})` : "";
      Deno.test(`${caller} ${verdict} ${route}${about}`, async () => {
        const scene = await setScene();
        const { client } = scene;
        const principal = principalsOf(client.control)[caller];
        assert.ok(principal !== undefined);
        const { method, path, body } = requestFor(route, scene, whose);
        const revision = client.control.state.revision;
        client.lines.length = 0;
        const answer = await client.ask(method, path, { body, as: principal });
        if (verdict === "may") {
          // The join has no good token here, and that is another refusal.
          const code = answer.json?.code;
          assert.ok(answer.status < 400 || code === "token-unknown", answer.text);
          return;
        }
        assert.equal(answer.status, caller === "anonymous" ? 401 : 403);
        assert.equal(
          answer.json.code,
          caller === "anonymous" ? "not-authenticated" : "not-permitted",
        );
        assert.equal(answer.headers.has("www-authenticate"), caller === "anonymous");
        assert.ok(answer.json.detail.startsWith(`${formatPrincipal(principal)} may not `));
        assert.equal(client.control.state.revision, revision, "nothing has changed");
        assert.equal(client.app.counters.denied, 1);
        const [line] = client.lines;
        assert.equal(line?.level, "warn");
        assert.equal(line?.fields.principal, formatPrincipal(principal));
        assert.equal(line?.fields.peer, "192.0.2.99");
        assert.equal(line?.fields.route, route);
      });
    }
  }
}

Deno.test("a denial comes before the body is read", async () => {
  const client = new TestClient();
  const answer = await client.ask("POST", "/v1/networks", {
    rawBody: "no JSON",
    as: { kind: "anonymous" },
  });
  assert.equal(answer.status, 401);
});

Deno.test("only who leads says that somebody is nobody: another manager names the leader", async () => {
  const client = new TestClient();
  client.control.refusal = refusal("not-leader", "host3 leads", {
    leaderAddress: "192.0.2.3:7443",
  });
  const recovering = { kind: "recovering", id: client.control.workerId } as const;
  for (const principal of [recovering, { kind: "anonymous" } as const]) {
    const answer = await client.ask("GET", "/v1/nodes", { as: principal });
    assert.equal(answer.status, 421);
    assert.equal(answer.headers.get("agent-leader"), "192.0.2.3:7443");
  }
});

Deno.test("a worker creates endpoints on itself when it names no node", async () => {
  const client = new TestClient();
  await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  const body = { endpoints: [{ network: "shop" }] };
  const answer = await client.ask("POST", "/v1/endpoints", { body, as: client.worker });
  assert.equal(answer.status, 201);
  assert.equal(answer.json.endpoints[0].nodeId, client.control.workerId);
});

Deno.test("one of several endpoints on another node refuses a worker all of them", async () => {
  const client = new TestClient();
  await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  const endpoints = [{ network: "shop" }, { network: "shop", node: "host3" }];
  const answer = await client.ask("POST", "/v1/endpoints", {
    body: { endpoints },
    as: client.worker,
  });
  assert.equal(answer.status, 403);
  assert.equal(client.control.state.endpoints.size, 0);
});

Deno.test("an administrator has to say on which node an endpoint is", async () => {
  const client = new TestClient();
  await client.ask("POST", "/v1/networks", { body: { name: "shop" } });
  const answer = await client.ask("POST", "/v1/networks/shop/endpoints", {
    body: {},
    as: { kind: "admin", id: client.control.newId() },
  });
  assert.equal(answer.status, 422);
  assert.equal(answer.json.field, "/node");
});

Deno.test("a network that does not allow a worker's node refuses its endpoints", async () => {
  const client = new TestClient();
  const allowedNodes = { ids: [client.control.managerId] };
  await client.ask("POST", "/v1/networks", { body: { name: "shop", allowedNodes } });
  const answer = await client.ask("POST", "/v1/endpoints", {
    body: { endpoints: [{ network: "shop" }] },
    as: client.worker,
  });
  assert.equal(answer.status, 403);
  assert.equal(answer.json.code, "node-not-allowed");
  assert.equal(answer.json.field, "/endpoints/0/node");
});

Deno.test("the settings that the tests stand on are the cluster's", async () => {
  const answer = await new TestClient().ask("GET", "/v1/cluster");
  assert.deepEqual(answer.json.settings, SETTINGS);
});
