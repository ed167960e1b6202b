// needs: root
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_clock.ts";
import { Sleeper } from "../machine/testing_namespaces.ts";
import { TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test("a host joins, is ready and is alive", sanitized, async () => {
  await using manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  const { connected, ready, leaderAddress, role } = host.agent.status();
  assert.deepEqual({ connected, ready, leaderAddress, role }, {
    connected: true,
    ready: true,
    leaderAddress: manager.address,
    role: "worker",
  });
  const { liveness } = await manager.plane.read();
  await eventually(() => liveness(host.record.nodeId).alive);
});

Deno.test("a workload is attached, seen by the leader, and detached", sanitized, async () => {
  await using manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  const network = await manager.cluster.network("shop");
  await using web = await Sleeper.start();
  const made = await host.attach({ pid: web.pid, networks: [{ network: "shop" }], name: "web" });
  const [first] = made.interfaces;
  assert(first !== undefined);
  assert.deepEqual([first.interface, first.networkName, first.ip], ["eth0", "shop", "10.64.0.2"]);
  assert.deepEqual(host.agent.attachments(), [made]);
  const { liveness, state } = await manager.plane.read();
  await eventually(() => liveness(host.record.nodeId).attached.has(first.endpointId));
  assert.equal(state.endpoints.get(first.endpointId)?.networkId, network.id);
  await host.agent.detach(made.id);
  assert.equal(host.overlay.interfaces.size, 0);
  assert.equal(state.endpoints.size, 0);
  assert.deepEqual(host.agent.attachments(), []);
});
