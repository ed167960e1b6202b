// needs: root
import assert from "node:assert/strict";
import { crank, eventually, HandClock } from "../cluster/testing_clock.ts";
import { HostError } from "./mod.ts";
import { type Meddle, TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

const NETWORK = { name: "shop" };

function post(path: string, body: unknown, headers: Record<string, string> = {}): Request {
  return new Request(`http://agent${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/** The first answer to a path never arrives. */
function losingOne(path: string): Meddle {
  let lost = false;
  return async (request, _principal, next) => {
    const answer = await next();
    if (new URL(request.url).pathname !== path || lost) return answer;
    lost = true;
    return new Response(
      new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) }),
      { status: answer.status },
    );
  };
}

Deno.test(
  "what the host's root wants of the cluster is the leader's to answer",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const own = manager.own();
    const worker = await manager.join("one");
    const made = await own.agent.forward(post("/v1/networks", NETWORK));
    assert.equal(made.status, 201);
    assert.match(made.headers.get("location") ?? "", /^\/v1\/networks\//);
    assert(made.headers.get("etag"));
    const { id } = await made.json();
    const read = await own.agent.forward(new Request(`http://agent/v1/networks/${id}`));
    assert.equal((await read.json()).name, "shop");
    // The worker's root is the worker: no header makes more of it.
    const refused = await worker.agent.forward(post("/v1/networks", { name: "bank" }));
    assert.equal(refused.status, 403);
    assert.equal((await refused.json()).code, "not-permitted");
    const gone = await own.agent.forward(
      new Request(`http://agent/v1/networks/${id}`, { method: "DELETE" }),
    );
    assert.deepEqual([gone.status, await gone.text()], [204, ""]);
  },
);

Deno.test(
  "a write whose answer was lost is done once, named by the client or not",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const own = manager.own();
    manager.meddle = losingOne("/v1/networks");
    const made = await own.agent.forward(post("/v1/networks", NETWORK));
    assert.equal(made.status, 201);
    manager.meddle = losingOne("/v1/networks");
    const keyed = await own.agent.forward(
      post("/v1/networks", { name: "bank" }, { "idempotency-key": "k" }),
    );
    assert.equal(keyed.status, 201);
    assert.equal(manager.plane.state.networks.size, 2);
  },
);

Deno.test(
  "before any leader was heard, and after hours of silence, a write is a new one",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const clock = new HandClock();
    const own = manager.own({ clock });
    // Sent before the stream is up: it has no time of the state's to go by.
    assert(!own.agent.status().connected);
    assert.equal((await own.agent.forward(post("/v1/networks", NETWORK))).status, 201);
    await own.agent.ready;
    assert.equal((await own.agent.forward(post("/v1/networks", { name: "bank" }))).status, 201);
  },
);

Deno.test("where no leader answers, that is what the client hears", sanitized, async () => {
  await using manager = await TestManager.start();
  const clock = new HandClock();
  const own = manager.own({ clock });
  await own.agent.ready;
  await manager.stopListening();
  const answer = own.agent.forward(post("/v1/networks", NETWORK));
  let refusal: unknown = null;
  answer.catch((error) => refusal = error);
  await crank(clock, () => refusal !== null);
  assert(refusal instanceof HostError);
  assert.equal(refusal.code, "unavailable");
  assert.match(refusal.message, /Try again$/);
});

Deno.test("a client that goes away is no defect", sanitized, async () => {
  await using manager = await TestManager.start();
  const own = manager.own();
  await own.agent.ready;
  const client = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  manager.meddle = async (request, _principal, next) => {
    if (!request.url.endsWith("/v1/networks")) return await next();
    asked++;
    await promise;
    return await next();
  };
  const request = new Request(post("/v1/networks", NETWORK), { signal: client.signal });
  const refused = assert.rejects(own.agent.forward(request), { code: "unavailable" });
  await eventually(() => asked === 1);
  client.abort();
  await refused;
  resolve();
});
