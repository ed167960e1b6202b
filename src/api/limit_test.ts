import assert from "node:assert/strict";
import { CLUSTER_ROUTES, requestOf, TestClient } from "./testing_client.ts";

Deno.test("beyond 256 requests in flight there is 429 with Retry-After, and then none is left", async () => {
  const client = new TestClient();
  const gate = Promise.withResolvers<void>();
  client.control.gate = gate.promise;
  const peer = { principal: client.manager, address: "192.0.2.99" };
  const flood = Array.from(
    { length: 10_000 },
    () => client.app.fetch(requestOf("GET", "/v1/networks", {}), peer),
  );
  assert.equal(client.app.counters.inFlight, 256);
  gate.resolve();
  const answers = await Promise.all(flood);
  const busy = answers.filter(({ status }) => status === 429);
  assert.equal(busy.length, 10_000 - 256);
  assert.ok(busy.every(({ headers }) => headers.get("retry-after") === "1"));
  assert.equal(answers.filter(({ status }) => status === 200).length, 256);
  assert.equal(client.app.counters.inFlight, 0);
  assert.equal(client.app.counters.busy, 10_000 - 256);
});

Deno.test("an open stream does not count as a request in flight", async () => {
  const client = new TestClient({ maxInFlight: 1 });
  const open = async () => {
    const request = requestOf("GET", "/v1/self/projection", {});
    return await client.app.fetch(request, { principal: client.worker, address: "192.0.2.99" });
  };
  const streams = [await open(), await open()];
  assert.deepEqual(streams.map(({ status }) => status), [200, 200]);
  assert.equal(client.app.counters.inFlight, 0);
  assert.equal(client.control.openStreams, 2);
  for (const stream of streams) await stream.body?.cancel();
  assert.equal(client.control.openStreams, 0);
});

Deno.test("a request that is refused leaves room for the next", async () => {
  const client = new TestClient({ maxInFlight: 1 });
  for (const { method, path } of CLUSTER_ROUTES) {
    if (path === "/v1/self/projection") continue;
    await client.ask(method, path, { as: { kind: "anonymous" } });
    assert.equal(client.app.counters.inFlight, 0);
  }
  assert.equal(client.app.counters.busy, 0);
});
