import assert from "node:assert/strict";
import type { Workload } from "./cluster.ts";
import type { EncryptedScene } from "./encrypted_scene.ts";
import { Flow } from "./flow.ts";

const NETWORKS = ["red", "blue", "plain"] as const;
type Name = (typeof NETWORKS)[number];

/** Every order of some things. */
function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((first) =>
    permutations(items.filter((item) => item !== first)).map((rest) => [first, ...rest])
  );
}

/** Two encrypted networks and a plain one on a pair of hosts: one goes, and the others lose nothing. */
export async function orders(
  t: Deno.TestContext,
  scene: EncryptedScene,
): Promise<void> {
  for (const name of NETWORKS) {
    for (const { lab } of pairOf(scene)) {
      await lab.exec("ip", "netns", "add", `${name}-${lab.name}`);
    }
  }
  for (const order of permutations(NETWORKS)) {
    await t.step(order.join(", then "), () => removeInOrder(scene, order));
  }
}

async function removeInOrder(scene: EncryptedScene, order: readonly Name[]): Promise<void> {
  const { manager } = scene;
  const there = new Map<Name, { readonly workloads: readonly Workload[]; readonly flow: Flow }>();
  try {
    for (const name of NETWORKS) {
      await manager.createNetwork(name, { encrypted: name !== "plain" });
      const workloads = await Promise.all(
        pairOf(scene).map((host) => host.attachWorkload(`${name}-${host.name}`, [name])),
      );
      there.set(name, { workloads, flow: await Flow.start(workloads) });
    }
    for (const name of order) {
      const { workloads, flow } = there.get(name) ?? assert.fail(`${name} is there`);
      there.delete(name);
      await flow.lostNothing();
      for (const workload of workloads) await workload.detach();
      await manager.socket.delete(`/v1/networks/${name}`);
      for (const { flow } of there.values()) await flow.goesOn();
    }
  } finally {
    for (const { flow } of there.values()) flow.end();
  }
  scene.ledger.check();
}

function pairOf({ hosts }: EncryptedScene) {
  return hosts.slice(0, 2);
}
