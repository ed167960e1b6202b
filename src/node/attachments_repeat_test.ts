// needs: root
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_clock.ts";
import { NamedNamespace, Sleeper } from "../machine/testing_namespaces.ts";
import {
  hold,
  holdUntilTold,
  lose,
  nothingIsLeft,
  refusal,
  sanitized,
  setUp,
} from "./testing_attachments.ts";

/** A workload, and the claim that nothing is left of it and it can be attached again. */
async function attempted() {
  const { manager, host } = await setUp();
  const web = await Sleeper.start();
  const request = { pid: web.pid, name: "web", networks: [{ network: "shop" }] };
  return {
    manager,
    host,
    request,
    async [Symbol.asyncDispose]() {
      manager.meddle = (_request, _principal, next) => next();
      await nothingIsLeft({ manager, host });
      const made = await host.attach(request);
      await host.agent.detach(made.id);
      await nothingIsLeft({ manager, host });
      await manager[Symbol.asyncDispose]();
      await web.end();
    },
  };
}

Deno.test("a client that is gone before anything is asked leaves nothing", sanitized, async () => {
  await using attempt = await attempted();
  const { host, request } = attempt;
  const made = host.attach(request, { signal: AbortSignal.abort() });
  await assert.rejects(made, refusal("unavailable"));
});

Deno.test("a client that goes while the leader is asked leaves nothing", sanitized, async () => {
  await using attempt = await attempted();
  const { manager, host, request } = attempt;
  const client = new AbortController();
  const { meddle, held, told, release } = holdUntilTold("/v1/endpoints");
  manager.meddle = meddle;
  const made = host.attach(request, { signal: client.signal });
  const refused = assert.rejects(made, refusal("unavailable"));
  await eventually(() => held() === 1);
  client.abort();
  await refused;
  await told;
  // Only now does the leader do what it was asked; nobody waits for it any more.
  release();
  await eventually(() => manager.plane.state.endpoints.size === 1);
});

Deno.test(
  "a client that goes while the projection is awaited leaves nothing",
  sanitized,
  async () => {
    await using attempt = await attempted();
    const { manager, host, request } = attempt;
    const client = new AbortController();
    const reports = hold("/v1/self/report");
    manager.meddle = reports.meddle;
    // One projection is outstanding, so the next does not come before a report.
    const { id } = await manager.cluster.network("other");
    const outstanding = await manager.cluster.endpoint(id, host.record.nodeId);
    await eventually(() => host.agent.projection()?.networks.length === 1);
    const made = host.attach(request, { signal: client.signal });
    const refused = assert.rejects(made, refusal("unavailable"));
    await eventually(() => manager.plane.state.endpoints.size === 2);
    client.abort();
    await refused;
    reports.release();
    await manager.plane.writeOnce(manager.cluster.manager, {
      kind: "endpoints.delete",
      body: { ids: [outstanding] },
    });
  },
);

Deno.test("a client that goes while the kernel works leaves nothing", sanitized, async () => {
  await using attempt = await attempted();
  const { host, request } = attempt;
  const client = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  host.overlay.gate = promise;
  const made = host.attach(request, { signal: client.signal });
  const refused = assert.rejects(made, refusal("unavailable"));
  await eventually(() => host.agent.attachments().length === 1);
  client.abort();
  await refused;
  host.overlay.gate = null;
  resolve();
});

Deno.test("a client that goes when all is done changes nothing", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  const client = new AbortController();
  const request = { pid: web.pid, networks: [{ network: "shop" }] };
  const made = await host.attach(request, { signal: client.signal });
  client.abort();
  await host.overlay.settled();
  assert.deepEqual(host.agent.attachments(), [made]);
});

Deno.test("a lost answer is asked for again, and done once", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  let lost = 0;
  const losing = lose("/v1/endpoints");
  manager.meddle = (request, principal, next) =>
    lost++ === 0 ? losing(request, principal, next) : next();
  const made = await host.attach({ pid: web.pid, networks: [{ network: "shop" }] });
  assert.deepEqual([...manager.plane.state.endpoints.keys()], [made.interfaces[0]?.endpointId]);
});

Deno.test("the same request twice is one attachment, also after a restart", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  const request = { pid: web.pid, networks: [{ network: "shop" }] };
  const order = { requestId: "a-key-of-the-client" };
  const [first, second] = await Promise.all([
    host.attach(request, order),
    host.attach(request, order),
  ]);
  assert.deepEqual(second, first);
  assert.equal(manager.plane.state.endpoints.size, 1);
  const other = { ...request, name: "other" };
  await assert.rejects(host.attach(other, order), refusal("request-reused"));
  await host.stop();
  host.start();
  await host.agent.ready;
  assert.equal((await host.attach(request, order)).id, first.id);
  await assert.rejects(host.attach(other, order), refusal("request-reused"));
  // When it is gone the key may be used again.
  await host.agent.detach(first.id);
  assert.notEqual((await host.attach(request, order)).id, first.id);
});

Deno.test("an agent that ends while it asks forgets nothing", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  const { meddle, held, told, release } = holdUntilTold("/v1/endpoints");
  manager.meddle = meddle;
  const request = { pid: web.pid, name: "web", networks: [{ network: "shop" }] };
  const refused = assert.rejects(host.attach(request), refusal("unavailable"));
  await eventually(() => held() === 1);
  await host.stop();
  await refused;
  host.start();
  await host.agent.ready;
  assert.deepEqual(host.agent.attachments(), []);
  // The request comes through after the new agent has told that it is gone.
  await told;
  release();
  await eventually(() => manager.plane.state.endpoints.size === 1);
  await nothingIsLeft({ manager, host });
  await host.attach(request);
});

Deno.test("an agent that starts again goes on with what is there", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using stays = await Sleeper.start();
  await using ends = await Sleeper.start();
  using named = new NamedNamespace();
  const networks = [{ network: "shop" }];
  const kept = [
    await host.attach({ pid: stays.pid, networks, lease: true }),
    await host.attach({ netns: named.path, networks }),
  ];
  await host.attach({ pid: ends.pid, networks });
  await host.stop();
  await ends.end();
  host.start();
  await host.agent.ready;
  const ids = (views: readonly { readonly id: string }[]) => views.map(({ id }) => id).sort();
  await eventually(() => manager.plane.state.endpoints.size === 2);
  assert.deepEqual(ids(host.agent.attachments()), ids(kept));
  assert.equal(host.overlay.interfaces.size, 2);
  await stays.end();
  await eventually(() => manager.plane.state.endpoints.size === 1);
});

Deno.test("an agent that ends while something leaves lets it go later", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  const request = { pid: web.pid, name: "web", networks: [{ network: "shop" }] };
  const made = await host.attach(request);
  const reports = hold("/v1/self/report");
  manager.meddle = reports.meddle;
  const detached = host.agent.detach(made.id);
  await eventually(() => host.overlay.interfaces.size === 0 && reports.held() > 0);
  await host.stop();
  await detached;
  assert.equal(manager.plane.state.endpoints.size, 1);
  manager.meddle = (_request, _principal, next) => next();
  reports.release();
  host.start();
  await nothingIsLeft({ manager, host });
});
