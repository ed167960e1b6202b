// needs: root
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_clock.ts";
import { Sleeper } from "../machine/testing_namespaces.ts";
import { HostError } from "./mod.ts";
import { nothingIsLeft, refusal, sanitized, setUp } from "./testing_attachments.ts";

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
