import assert from "node:assert/strict";
import { decodeUtf8, type Id, type Json } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";
import { createHostApp, type HostApp, hostAppRoutes } from "./host_app.ts";
import { MAX_BODY_BYTES } from "./input.ts";
import type { AttachRequest, HostControl, Lease } from "./ports.ts";
import { type Asked, checkAnswer, type LogLine, requestOf, testLogger } from "./testing_client.ts";
import { hashOf, refusal, TestControl } from "./testing_control.ts";
import type { Attachment, HostStatus, ManagerFollowed, PlanView } from "./host_types.ts";

const ROUTES = hostAppRoutes("0.0.0");

interface TestLease {
  readonly ended: PromiseWithResolvers<void>;
  /** Settles when the client's end was seen. */
  readonly looked: PromiseWithResolvers<void>;
  closed: number;
}

class TestHost implements HostControl {
  readonly control = new TestControl();
  readonly made: Attachment[] = [];
  readonly asked: AttachRequest[] = [];
  readonly forwarded: Request[] = [];
  readonly leases = new Map<Id, TestLease>();
  newest: Projection | null = null;
  refusal: Error | null = null;

  newId(): Id {
    return this.control.newId();
  }

  attach(asked: AttachRequest): Promise<Attachment> {
    if (this.refusal !== null) return Promise.reject(this.refusal);
    this.asked.push(asked);
    const { request } = asked;
    const made: Attachment = {
      id: this.newId(),
      netns: request.netns ?? null,
      pid: request.pid ?? null,
      name: request.name ?? null,
      lease: request.lease ?? false,
      interfaces: [{
        endpointId: this.newId(),
        networkId: this.newId(),
        networkName: "shop",
        interface: "eth0",
        ip: "10.64.0.2",
        prefixLength: 24,
        mac: "02:00:0a:40:00:02",
        mtuBytes: 1450,
      }],
      createdAt: "2026-01-31T12:00:00.000Z",
    };
    this.made.push(made);
    return Promise.resolve(made);
  }

  openLease(id: Id): Lease {
    const lease: TestLease = {
      ended: Promise.withResolvers<void>(),
      looked: Promise.withResolvers<void>(),
      closed: 0,
    };
    this.leases.set(id, lease);
    const close = () => {
      lease.closed++;
      lease.looked.resolve();
    };
    return { ended: lease.ended.promise, close };
  }

  attachments(): readonly Attachment[] {
    return this.made;
  }

  detach(id: Id): Promise<void> {
    const index = this.made.findIndex((one) => one.id === id);
    if (index < 0) return Promise.reject(refusal("not-found", `There is no attachment ${id}`));
    this.made.splice(index, 1);
    return Promise.resolve();
  }

  plan(): Promise<PlanView> {
    return Promise.resolve({ operations: ["create link vxlan4096"] });
  }

  status(): HostStatus {
    return {
      nodeId: this.control.workerId,
      clusterId: this.control.state.clusterId,
      incarnation: null,
      role: "worker",
      hostname: "host2",
      agentVersion: "0.1.0",
      controlAddress: "192.0.2.2:7443",
      vtepAddress: "192.0.2.2",
      connected: true,
      leaderAddress: null,
      encryption: "ok",
      certificateNotAfter: "2026-01-31T12:00:00.000Z",
      applied: hashOf("projection"),
      ready: true,
      lastError: null,
      manager: null,
      ipsec: null,
      counters: { repairs: 0 },
    };
  }

  projection(): Projection | null {
    return this.newest;
  }

  follow(address: string): Promise<ManagerFollowed> {
    if (this.refusal !== null) return Promise.reject(this.refusal);
    return Promise.resolve({ id: this.newId(), address: `${address}:7443` });
  }

  forward(request: Request): Promise<Response> {
    if (this.refusal !== null) return Promise.reject(this.refusal);
    this.forwarded.push(request);
    return Promise.resolve(Response.json({ forwarded: true }));
  }
}

class HostClient {
  readonly host = new TestHost();
  readonly lines: LogLine[] = [];
  readonly app: HostApp = createHostApp(this.host, {
    logger: testLogger(this.lines),
    agentVersion: "0.0.0",
  });

  async ask(method: string, path: string, asked: Asked = {}) {
    const response = await this.app.fetch(requestOf(method, path, asked));
    return await checkAnswer(response, ROUTES, method, path);
  }
}

Deno.test("a workload is attached, listed and detached", async () => {
  const client = new HostClient();
  const body = { pid: 7, networks: [{ network: "shop" }], name: "web" };
  const made = await client.ask("POST", "/v1/attachments", {
    body,
    headers: { "idempotency-key": "mine" },
  });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.headers.get("location"), `/v1/attachments/${made.json.id}`);
  const [asked] = client.host.asked;
  assert.deepEqual(asked?.request, body);
  assert.deepEqual([asked?.requestId, asked?.origin], ["mine", "client"]);
  assert.equal((await client.ask("GET", "/v1/attachments")).json.items.length, 1);
  assert.equal((await client.ask("DELETE", `/v1/attachments/${made.json.id}`)).status, 204);
  assert.equal((await client.ask("DELETE", `/v1/attachments/${made.json.id}`)).status, 404);
});

Deno.test("an unnamed attachment gets an id that was drawn", async () => {
  const client = new HostClient();
  await client.ask("POST", "/v1/attachments", {
    body: { netns: "/run/netns/web", networks: [{ network: "shop" }] },
  });
  const [asked] = client.host.asked;
  assert.equal(asked?.requestId.length, 26);
  assert.equal(asked?.origin, "drawn");
});

const shop = [{ network: "shop" }];
const BAD: readonly [what: string, body: Json, field: string][] = [
  ["neither netns nor pid", { networks: shop }, "/netns"],
  ["both netns and pid", { netns: "/run/netns/a", pid: 1, networks: shop }, "/pid"],
  ["a relative path", { netns: "run/netns/a", networks: shop }, "/netns"],
  ["a path with a zero", { netns: "/run/\0", networks: shop }, "/netns"],
  ["pid 0", { pid: 0, networks: shop }, "/pid"],
  ["a negative pid", { pid: -1, networks: shop }, "/pid"],
  ["a pid as text", { pid: "1", networks: shop }, "/pid"],
  ["no networks", { pid: 1, networks: [] }, "/networks"],
  [
    "17 networks",
    { pid: 1, networks: Array.from({ length: 17 }, () => ({ network: "shop" })) },
    "/networks",
  ],
  ["a bad name", { pid: 1, networks: shop, name: "-" }, "/name"],
  [
    "an interface's name that is too long",
    { pid: 1, networks: [{ network: "shop", interface: "a".repeat(16) }] },
    "/networks/0/interface",
  ],
  [
    "an interface called ..",
    { pid: 1, networks: [{ network: "shop", interface: ".." }] },
    "/networks/0/interface",
  ],
  ["a node", { pid: 1, networks: [{ network: "shop", node: "host3" }] }, "/networks/0/node"],
  ["a lease that is text", { pid: 1, networks: shop, lease: "yes" }, "/lease"],
];

for (const [what, body, field] of BAD) {
  Deno.test(`an attachment with ${what} is refused`, async () => {
    const client = new HostClient();
    const answer = await client.ask("POST", "/v1/attachments", { body });
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.json.field, field);
    assert.equal(client.host.asked.length, 0);
  });
}

for (
  const [code, status] of [
    ["process-not-found", 422],
    ["netns-not-found", 422],
    ["already-attached", 409],
    ["interface-taken", 409],
    ["kernel-refused", 503],
    ["unavailable", 503],
  ] as const
) {
  Deno.test(`${code} is answered ${status} in the host's own words`, async () => {
    const client = new HostClient();
    client.host.refusal = refusal(code, "process 7 is gone", { field: "/pid" });
    const body = { pid: 7, networks: shop };
    const answer = await client.ask("POST", "/v1/attachments", { body });
    assert.equal(answer.status, status);
    assert.equal(answer.json.detail, "process 7 is gone");
    assert.equal(answer.json.field, "/pid");
  });
}

async function openLease(client: HostClient) {
  const request = new Request("http://agent/v1/attachments", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pid: 7, networks: shop, lease: true }),
  });
  const response = await client.app.fetch(request);
  assert.equal(response.status, 201);
  assert.ok(response.body !== null);
  const reader = response.body.getReader();
  const { value } = await reader.read();
  const line = decodeUtf8(value ?? new Uint8Array());
  assert.ok(line.endsWith("\n"));
  const attachment = JSON.parse(line);
  ROUTES.find(({ operationId }) => operationId === "createAttachment")?.reply.parse(attachment);
  const lease = client.host.leases.get(attachment.id);
  assert.ok(lease !== undefined);
  return { reader, lease };
}

Deno.test("a lease's answer is open and says nothing more, and is not in flight", async () => {
  const client = new HostClient();
  const { reader, lease } = await openLease(client);
  assert.equal(client.app.counters.inFlight, 0);
  const next = reader.read();
  const settled = await Promise.race([next.then(() => "ended"), Promise.resolve("open")]);
  assert.equal(settled, "open");
  lease.ended.resolve();
  assert.equal((await next).done, true);
});

Deno.test("a lease that the client closes triggers a look", async () => {
  const client = new HostClient();
  const { reader, lease } = await openLease(client);
  assert.equal(lease.closed, 0);
  await reader.cancel();
  assert.equal(lease.closed, 1);
  assert.equal(client.host.made.length, 1, "the host decides what becomes of it");
  lease.ended.resolve();
});

Deno.test({
  name: "over a real socket: an end of either side is the lease's end",
  sanitizeOps: true,
  sanitizeResources: true,
  fn: async () => {
    const host = new HostClient();
    const directory = await Deno.makeTempDir({ prefix: "agent-api-" });
    const path = `${directory}/agent.sock`;
    const server = Deno.serve({ path, onListen: () => {} }, (request) => host.app.fetch(request));
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    try {
      const attach = async () => {
        const response = await fetch("http://agent/v1/attachments", {
          client,
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ pid: 7, networks: shop, lease: true }),
        });
        assert.ok(response.body !== null);
        const reader = response.body.getReader();
        const { value } = await reader.read();
        const { id } = JSON.parse(decodeUtf8(value ?? new Uint8Array()));
        const lease = host.host.leases.get(id);
        assert.ok(lease !== undefined);
        return { reader, lease };
      };
      const ended = await attach();
      ended.lease.ended.resolve();
      assert.equal((await ended.reader.read()).done, true);
      const closed = await attach();
      assert.equal(closed.lease.closed, 0);
      await closed.reader.cancel();
      await closed.lease.looked.promise;
      closed.lease.ended.resolve();
    } finally {
      client.close();
      await server.shutdown();
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("what is not the host's own goes to the leader as it is", async () => {
  const client = new HostClient();
  const answer = await client.ask("PATCH", "/v1/networks/shop?x=1", {
    body: { labels: null },
    headers: { "if-match": '"7"', "idempotency-key": "mine" },
  });
  assert.deepEqual(answer.json, { forwarded: true });
  const [forwarded] = client.host.forwarded;
  assert.ok(forwarded !== undefined);
  assert.equal(forwarded.method, "PATCH");
  assert.equal(new URL(forwarded.url).pathname, "/v1/networks/shop");
  assert.equal(forwarded.headers.get("if-match"), '"7"');
  assert.equal(forwarded.headers.get("content-type"), "application/json");
  assert.deepEqual(await forwarded.json(), { labels: null });
  await client.ask("GET", "/v1/nodes");
  await client.ask("DELETE", "/v1/networks/shop");
  assert.deepEqual(client.host.forwarded.map(({ method }) => method), ["PATCH", "GET", "DELETE"]);
});

Deno.test("a body too large is not forwarded", async () => {
  const client = new HostClient();
  const answer = await client.ask("POST", "/v1/networks", {
    rawBody: "x".repeat(MAX_BODY_BYTES + 1),
  });
  assert.equal(answer.status, 413);
  assert.equal(client.host.forwarded.length, 0);
});

Deno.test("what the agent itself asks of the leader is not forwarded for others", async () => {
  const client = new HostClient();
  for (const path of ["/v1/self/report", "/v1/self/certificate", "/v1/join"]) {
    const answer = await client.ask("POST", path, { body: {} });
    assert.equal(answer.status, 404, path);
  }
  assert.equal(client.host.forwarded.length, 0);
});

Deno.test("when no leader answers, that is said", async () => {
  const client = new HostClient();
  client.host.refusal = refusal("unavailable", "No manager answers");
  const answer = await client.ask("GET", "/v1/networks");
  assert.equal(answer.status, 503);
  assert.equal(answer.json.detail, "No manager answers");
});

Deno.test("status, plan, projection and health are the host's own", async () => {
  const client = new HostClient();
  assert.equal((await client.ask("GET", "/v1/self")).json.hostname, "host2");
  assert.deepEqual((await client.ask("GET", "/v1/plan")).json.operations.length, 1);
  assert.equal((await client.ask("GET", "/healthz")).json.status, "ok");
  assert.equal((await client.ask("GET", "/v1/self/projection")).status, 404);
  const { workerId, state } = client.host.control;
  client.host.newest = {
    v: 1,
    clusterId: state.clusterId,
    incarnation: state.incarnation,
    generation: 0,
    node: { id: workerId, index: 2, vtepAddress: "192.0.2.2", bootKey: null },
    networks: [{
      id: client.host.control.newId(),
      name: "shop",
      vni: 4096,
      subnet: "10.64.0.0/24",
      mtuBytes: 1416,
      port: 20005,
      encryption: {
        slot: 5,
        epochs: [{ epoch: 3, secret: hashOf("the secret") }],
        holders: [],
      },
      endpoints: [],
    }],
    retained: [],
    installed: [],
    goneUpTo: 0,
    digest: hashOf("projection"),
  };
  const shown = await client.ask("GET", "/v1/self/projection");
  assert.equal(shown.json.node.id, workerId);
  assert.deepEqual(shown.json.networks[0].encryption, { slot: 5, epochs: [3], holders: [] });
  assert.ok(!shown.text.includes(hashOf("the secret")), "no secret, not even to this host's root");
  assert.equal(client.host.forwarded.length, 0);
});

Deno.test("a host's document has its own routes and those that are forwarded", async () => {
  const client = new HostClient();
  const { json, text } = await client.ask("GET", "/openapi.json");
  const paths = Object.keys(json.paths);
  for (const path of ["/v1/attachments", "/v1/self", "/v1/plan", "/v1/networks", "/readyz"]) {
    assert.ok(paths.includes(path), path);
  }
  assert.ok(!paths.includes("/v1/self/report"));
  assert.ok(!paths.includes("/v1/join"));
  assert.ok(!text.includes("#/$defs/"));
});

Deno.test("a write on the socket is a log line", async () => {
  const client = new HostClient();
  await client.ask("POST", "/v1/attachments", { body: { pid: 7, networks: shop } });
  assert.deepEqual(client.lines, [{
    level: "info",
    message: "A request for a change was answered",
    fields: {
      principal: "local-root",
      peer: "local",
      route: "POST /v1/attachments",
      target: "",
      status: 201,
    },
  }]);
});

Deno.test("a manager that is to be followed is named by its address, and nothing else", async () => {
  const client = new HostClient();
  const path = "/v1/self/managers";
  const { status, json } = await client.ask("POST", path, { body: { address: "192.0.2.9" } });
  assert.deepEqual([status, json.address], [200, "192.0.2.9:7443"]);
  for (const body of [{}, { address: "" }, { address: "192.0.2.9", id: "me" }]) {
    assert.equal((await client.ask("POST", path, { body })).status, 422);
  }
  client.host.refusal = refusal("unavailable", "nobody answers");
  assert.equal((await client.ask("POST", path, { body: { address: "192.0.2.9" } })).status, 503);
  assert.deepEqual(client.host.forwarded, []);
});
