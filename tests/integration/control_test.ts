// needs: root
import assert from "node:assert/strict";
import { eventually } from "../../src/cluster/testing_clock.ts";
import { Sleeper } from "../../src/machine/testing_namespaces.ts";
import { type TestHost, TestManager } from "../../src/node/testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const HOSTS = 6;
const WORKLOADS_PER_HOST = 3;

/** Whether every host has in its kernel exactly what the state says of it, and knows all others. */
function hasConverged(manager: TestManager, hosts: readonly TestHost[]): boolean {
  const { state } = manager.plane;
  return hosts.every((host) => {
    const own = state.endpointsOnNode(host.record.nodeId).map(({ id }) => id);
    const networks = state.networksOfNode(host.record.nodeId);
    const wanted = networks.flatMap((id) => state.endpointsOf(id)).map(({ id }) => id);
    const known = host.agent.projection()?.networks.flatMap(({ endpoints }) => endpoints) ?? [];
    return isSame(own, [...host.overlay.interfaces.keys()]) &&
      isSame(wanted, known.map(({ id }) => id));
  });
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return JSON.stringify([...some].sort()) === JSON.stringify([...others].sort());
}

Deno.test(
  "hosts attach at once, the manager and an agent end in between, and all agree at the end",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const names = ["red", "blue"];
    for (const name of names) await manager.cluster.network(name);
    const hosts = await Promise.all(
      Array.from({ length: HOSTS }, (_, index) => manager.join(`host-${index}`)),
    );
    for (const host of hosts) await host.agent.ready;
    const sleepers = await Promise.all(
      hosts.flatMap(() => Array.from({ length: WORKLOADS_PER_HOST }, () => Sleeper.start())),
    );
    try {
      const attaching = hosts.flatMap((host, index) =>
        sleepers.slice(index * WORKLOADS_PER_HOST, (index + 1) * WORKLOADS_PER_HOST)
          .map(({ pid }, place) =>
            host.attach({ pid, networks: [{ network: names[place % names.length] ?? "" }] })
          )
      );
      // The manager goes while they ask, and comes back with what it had acknowledged.
      await eventually(() => manager.plane.state.endpoints.size > 0);
      const port = await manager.stopListening();
      await manager.cluster.restart();
      await manager.listen(port);
      await Promise.all(attaching);
      const { state } = manager.plane;
      assert.equal(state.endpoints.size, HOSTS * WORKLOADS_PER_HOST);
      await eventually(() => hasConverged(manager, hosts));

      // Some end while the manager is away, some while their agent is.
      const [first, second] = hosts;
      assert(first !== undefined && second !== undefined);
      await manager.stopListening();
      await sleepers[0]?.end();
      await first.overlay.settled();
      await second.stop();
      await sleepers[WORKLOADS_PER_HOST]?.end();
      await manager.listen(port);
      second.start();
      await eventually(() => state.endpoints.size === HOSTS * WORKLOADS_PER_HOST - 2);
      await eventually(() => hasConverged(manager, hosts));

      const [removed, ...others] = hosts.toReversed();
      assert(removed !== undefined);
      await manager.remove(removed.record.nodeId);
      await eventually(() => removed.removed === 1);
      await eventually(() => hasConverged(manager, others));
      assert(others.every((host) => host.removed === 0 && host.agent.status().ready));
    } finally {
      for (const sleeper of sleepers) await sleeper.end();
    }
  },
);
