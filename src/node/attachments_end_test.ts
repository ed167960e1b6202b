// needs: root
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_clock.ts";
import { NamedNamespace, Sleeper } from "../machine/testing_namespaces.ts";
import { looked, nothingIsLeft, refusal, sanitized, setUp } from "./testing_attachments.ts";

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
