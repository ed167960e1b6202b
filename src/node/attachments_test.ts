// needs: root
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_plane.ts";
import { NamedNamespace, Sleeper } from "../machine/testing_namespaces.ts";
import { HostError } from "./mod.ts";
import { type Meddle, type TestHost, TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

async function setUp(): Promise<{ manager: TestManager; host: TestHost }> {
  const manager = await TestManager.start();
  // The first projection is acknowledged: the next comes at once.
  const acknowledged = Promise.withResolvers<void>();
  manager.meddle = async (request, _principal, next) => {
    const { received } = request.method === "POST" ? await request.clone().json() : {};
    const answer = await next();
    if (typeof received === "string") acknowledged.resolve();
    return answer;
  };
  const host = await manager.join("one");
  await manager.cluster.network("shop");
  await host.agent.ready;
  await acknowledged.promise;
  manager.meddle = (_request, _principal, next) => next();
  return { manager, host };
}

function refusal(code: string, field?: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof HostError, String(error));
    assert.deepEqual([error.code, error.field], [code, field], error.message);
    return true;
  };
}

/** Holds requests to a path back until the test lets them go on. */
function hold(
  path: string,
): { readonly meddle: Meddle; readonly held: () => number; release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let held = 0;
  return {
    meddle: async (request, _principal, next) => {
      if (new URL(request.url).pathname !== path) return await next();
      held++;
      await promise;
      return await next();
    },
    held: () => held,
    release: resolve,
  };
}

/** As {@linkcode hold}; `told` settles when the leader has heard that something is gone. */
function holdUntilTold(path: string) {
  const held = hold(path);
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const meddle: Meddle = async (request, principal, next) => {
    if (new URL(request.url).pathname !== "/v1/self/report") {
      return await held.meddle(request, principal, next);
    }
    const { gone } = await request.clone().json();
    const answer = await next();
    if (gone.length > 0) resolve();
    return answer;
  };
  return { ...held, meddle, told };
}

/** Waits until whatever was to be looked at before now has been looked at. */
async function looked(host: TestHost): Promise<void> {
  using named = new NamedNamespace();
  const control = { netns: named.path, networks: [{ network: "shop" }], lease: true };
  const lease = host.agent.openLease((await host.attach(control)).id);
  lease.close();
  await lease.ended;
}

/** Answers that never arrive: the request was done, and the connection ends. */
function lose(path: string): Meddle {
  return async (request, _principal, next) => {
    const answer = await next();
    if (new URL(request.url).pathname !== path) return answer;
    const body = new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) });
    return new Response(body, { status: answer.status });
  };
}

/** Nothing is left of any attachment, on either side. */
async function nothingIsLeft({ manager, host }: { manager: TestManager; host: TestHost }) {
  await eventually(() => manager.plane.state.endpoints.size === 0);
  await eventually(() => host.overlay.interfaces.size === 0);
  assert.deepEqual(host.agent.attachments(), []);
}

Deno.test("all networks or none", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  const networks = [{ network: "shop" }, { network: "nowhere" }];
  await assert.rejects(
    host.attach({ pid: web.pid, networks }),
    refusal("not-found", "/networks/1/network"),
  );
  await nothingIsLeft({ manager, host });
  await manager.cluster.network("bank");
  const made = await host.attach({
    pid: web.pid,
    networks: [{ network: "bank", interface: "eth0" }, { network: "shop" }],
  });
  assert.deepEqual(
    made.interfaces.map(({ networkName, interface: name }) => [networkName, name]),
    [["bank", "eth0"], ["shop", "eth1"]],
  );
});

Deno.test(
  "names of interfaces are chosen once, and a taken one is refused",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    await using web = await Sleeper.start();
    const attach = (...names: (string | undefined)[]) =>
      host.attach({
        pid: web.pid,
        networks: names.map((name) => ({ network: "shop", interface: name })),
      });
    await assert.rejects(attach("lo"), refusal("interface-taken", "/networks/0/interface"));
    await assert.rejects(attach("x", "x"), refusal("interface-taken", "/networks/1/interface"));
    await nothingIsLeft({ manager, host });
  },
);

Deno.test("an endpoint that was reserved for it is taken, and stays", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  const { state } = manager.plane;
  const network = state.networkByName("shop");
  assert(network !== undefined);
  const reserved = await manager.cluster.endpoint(network.id, host.record.nodeId, "web");
  await eventually(() => host.agent.projection()?.networks.length === 1);
  await using web = await Sleeper.start();
  // The leader is asked for the second one alone, but the field is that of the client's request.
  await assert.rejects(
    host.attach({
      pid: web.pid,
      name: "web",
      networks: [{ network: "shop" }, { network: "nowhere", ip: "10.64.0.9" }],
    }),
    refusal("not-found", "/networks/1/network"),
  );
  const made = await host.attach({ pid: web.pid, name: "web", networks: [{ network: "shop" }] });
  assert.equal(made.interfaces[0]?.endpointId, reserved);
  await host.agent.detach(made.id);
  assert.deepEqual([...state.endpoints.keys()], [reserved]);
  assert.equal(host.overlay.interfaces.size, 0);
});

Deno.test("what the kernel refuses is undone, with the kernel's own words", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  host.overlay.refusesAll = "RTNETLINK says no";
  await assert.rejects(host.attach({ pid: web.pid, networks: [{ network: "shop" }] }), (error) => {
    assert(error instanceof HostError);
    assert.deepEqual([error.code, error.message], ["kernel-refused", "RTNETLINK says no"]);
    return true;
  });
  host.overlay.refusesAll = null;
  await nothingIsLeft({ manager, host });
});

Deno.test(
  "a workload that is attached is refused, and goes on undisturbed",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    await using web = await Sleeper.start();
    await using inside = await Sleeper.start(`/proc/${web.pid}/ns/net`);
    const networks = [{ network: "shop" }];
    const made = await host.attach({ pid: web.pid, networks });
    await assert.rejects(
      host.attach({ pid: web.pid, networks }),
      refusal("already-attached", "/pid"),
    );
    await assert.rejects(
      host.attach({ pid: inside.pid, networks }),
      refusal("already-attached", "/pid"),
    );
    await assert.rejects(
      host.attach({ netns: `/proc/${web.pid}/ns/net`, networks }),
      refusal("already-attached", "/netns"),
    );
    // The process that was named ends; the workload does not.
    await web.end();
    await host.overlay.settled();
    assert.deepEqual(host.agent.attachments().map(({ id }) => id), [made.id]);
    await inside.end();
    await nothingIsLeft({ manager, host });
  },
);

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

Deno.test(
  "a workload is attached again while its last attachment is still leaving",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    await using web = await Sleeper.start();
    const request = {
      pid: web.pid,
      name: "web",
      networks: [{ network: "shop", ip: "10.64.0.77", interface: "eth0" }],
    };
    const made = await host.attach(request);
    // The leader takes no reports: it still has the endpoint when the workload wants its name again.
    manager.meddle = (request, _principal, next) =>
      new URL(request.url).pathname === "/v1/self/report"
        ? Promise.resolve(new Response(null, { status: 503 }))
        : next();
    await host.agent.detach(made.id);
    assert.equal(manager.plane.state.endpoints.size, 1);
    manager.meddle = (_request, _principal, next) => next();
    const again = await host.attach(request);
    assert.equal(again.interfaces[0]?.ip, "10.64.0.77");
    assert.deepEqual([...manager.plane.state.endpoints.keys()], [again.interfaces[0]?.endpointId]);
  },
);

Deno.test("an endpoint that is deleted at the leader ends the attachment", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await manager.cluster.network("bank");
  await using web = await Sleeper.start();
  const made = await host.attach({
    pid: web.pid,
    networks: [{ network: "shop" }, { network: "bank" }],
    lease: true,
  });
  const { ended } = host.agent.openLease(made.id);
  const [first, second] = made.interfaces.map(({ endpointId }) => endpointId);
  const remove = (id = "") =>
    manager.plane.writeOnce(manager.cluster.manager, {
      kind: "endpoints.delete",
      body: { ids: [id] },
    });
  await remove(first);
  await eventually(() => host.overlay.interfaces.size === 1);
  assert.deepEqual(host.agent.attachments()[0]?.interfaces.map(({ endpointId }) => endpointId), [
    second,
  ]);
  await remove(second);
  await ended;
  await nothingIsLeft({ manager, host });
});

Deno.test("a namespace at a path is attached until it is gone", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  using named = new NamedNamespace();
  const request = { netns: named.path, networks: [{ network: "shop" }] };
  await host.attach(request);
  await assert.rejects(host.attach(request), refusal("already-attached", "/netns"));
  // Another namespace in its place, before anybody has noticed, is the same workload.
  named.delete();
  named.make();
  await assert.rejects(host.attach(request), refusal("already-attached", "/netns"));
  named.delete();
  await host.overlay.settled();
  await nothingIsLeft({ manager, host });
});

Deno.test(
  "a lease on a process ends with the last process, and not with its closing",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    await using web = await Sleeper.start();
    const made = await host.attach({ pid: web.pid, networks: [{ network: "shop" }], lease: true });
    const lease = host.agent.openLease(made.id);
    lease.close();
    lease.close();
    await using second = await Sleeper.start(`/proc/${web.pid}/ns/net`);
    await web.end();
    await host.overlay.settled();
    assert.equal(host.agent.attachments().length, 1);
    await second.end();
    await lease.ended;
    await nothingIsLeft({ manager, host });
  },
);

Deno.test(
  "a lease on a path ends when it is closed and no process is left",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    using named = new NamedNamespace();
    const request = { netns: named.path, networks: [{ network: "shop" }], lease: true };
    const { id } = await host.attach(request);
    const isAttached = () => host.agent.attachments().some((one) => one.id === id);
    // Nobody is in it yet, nor when the first has ended: it is open.
    const one = host.agent.openLease(id);
    const first = await Sleeper.start(named.path);
    await first.end();
    await looked(host);
    assert(isAttached());
    // Closed, but somebody is in it; then opened again, by one who has lost the answer.
    const second = await Sleeper.start(named.path);
    one.close();
    await looked(host);
    assert(isAttached());
    const [other, third] = [host.agent.openLease(id), host.agent.openLease(id)];
    await second.end();
    await looked(host);
    assert(isAttached());
    other.close();
    await looked(host);
    assert(isAttached());
    third.close();
    await one.ended;
    await nothingIsLeft({ manager, host });
  },
);

Deno.test("leases end with the agent, attachments do not", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  await using web = await Sleeper.start();
  using named = new NamedNamespace();
  const networks = [{ network: "shop" }];
  const process = await host.attach({ pid: web.pid, networks, lease: true });
  const path = await host.attach({ netns: named.path, networks, lease: true });
  const leases = [process, path].map(({ id }) => host.agent.openLease(id));
  await host.stop();
  for (const { ended } of leases) await ended;
  host.start();
  await host.agent.ready;
  // Nobody can hold the lease on the path any more, and nobody is in it.
  await eventually(() => manager.plane.state.endpoints.size === 1);
  assert.deepEqual(host.agent.attachments().map(({ id }) => id), [process.id]);
});
