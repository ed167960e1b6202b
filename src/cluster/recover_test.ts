import assert from "node:assert/strict";
import { decodeUtf8 } from "../base/mod.ts";
import { openStore, salvageStore, type StateMachine } from "../store/mod.ts";
import { type Applied, NOTHING_INSTALLED, project } from "../state/mod.ts";
import { ClusterMachine, recoverStore, RefusedError } from "./mod.ts";
import { realClock } from "./testing_clock.ts";
import { TestPlanes } from "./testing_managers.ts";
import { keepingLogger, testRandom } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const ports = { clock: realClock, random: testRandom };

/** Opens a store by itself, as the agent does when it starts. */
async function stateIn(directory: string, memberId: string) {
  const machine = new ClusterMachine();
  const store = openStore<Applied>({
    directory,
    machine,
    memberId,
    ...ports,
    transport: { listen: () => {}, send: () => {}, setPeers: () => {} },
    logger: keepingLogger(),
    onFailure: (error) => {
      throw error;
    },
  });
  const { isLeader } = store;
  const { voters } = store.status();
  await store.close();
  return { state: machine.state, isLeader, voters };
}

Deno.test(
  "one of three managers goes on alone, with all that its disk has, and with other keys",
  sanitized,
  async () => {
    await using planes = await TestPlanes.found();
    await planes.join("host2");
    await planes.join("host3");
    await planes.voters(3);
    const leader = await planes.leader();
    const principal = { kind: "node", id: leader.id, role: "manager" } as const;
    const { plane } = leader;
    const networkId = plane.newId();
    const origin = { principal, requestId: plane.newId(), from: null, bodyHash: "shop" };
    const network = { id: networkId, name: "shop", labels: {}, allowedNodes: "any" } as const;
    await plane.createNetwork({ ...origin, network: { ...network, encryption: {} } });
    for (const { id, facts } of [...plane.state.nodes.values()]) {
      const able = { ...facts, encryption: "ok" };
      await plane.writeOnce(principal, { kind: "node.describe", body: { id, facts: able } });
    }
    await plane.writeOnce(principal, {
      kind: "endpoints.create",
      body: {
        endpoints: planes.all.map(({ id }) => ({ id: plane.newId(), networkId, nodeId: id })),
      },
    });
    const survivor = planes.all.find((one) => one !== leader);
    assert(survivor !== undefined);
    const secretOf = (state: typeof plane.state) =>
      project(state, survivor.id, NOTHING_INSTALLED)?.networks[0]?.encryption?.epochs[0];
    while (survivor.machine.state.revision < plane.state.revision) {
      await new Promise((go) => setTimeout(go, 5));
    }
    const before = survivor.machine.state;
    const old = { revision: before.revision, secret: secretOf(before), of: before.incarnation };
    for (const one of planes.all) await one.store.close();

    const place = planes.all.indexOf(survivor) + 1;
    const [from, to] = [`${planes.directory}/host${place}`, `${planes.directory}/new`];
    const looked = recoverStore({ ...ports, from, to: null, nodeId: survivor.id });
    const made = recoverStore({ ...ports, from, to, nodeId: survivor.id });
    assert.notEqual(looked.incarnation.id, made.incarnation.id);
    assert.deepEqual({ ...made, incarnation: null }, { ...looked, incarnation: null });
    const others = [1, 2, 3].filter((number) => number !== place).map((number) => `host${number}`);
    assert.deepEqual(made.discarded, { managers: others, endpoints: 2, tokens: 2 });
    assert.equal(made.kept.revision, old.revision);
    assert.deepEqual([made.kept.nodes, made.kept.networks, made.kept.endpoints], [1, 1, 1]);
    assert.equal(made.rekeyed, 1);

    // A snapshot of the new life, and nothing of the old one that would be sent to new managers.
    const found: string[] = [];
    const machine: StateMachine<void> = {
      apply: () => void found.push("an entry"),
      encodeSnapshot: () => new Uint8Array(),
      restoreSnapshot: (bytes) => void found.push(decodeUtf8(bytes)),
    };
    salvageStore({ directory: to, memberId: survivor.id, machine, random: testRandom });
    assert.equal(found.length, 1);
    assert(found[0]?.includes(made.incarnation.id));
    assert(old.secret !== undefined && !found[0]?.includes(old.secret.secret));
    const { state, isLeader, voters } = await stateIn(to, survivor.id);
    assert.deepEqual([isLeader, voters], [true, [survivor.id]]);
    assert.deepEqual([state.generation, state.incarnation], [1, made.incarnation.id]);
    assert.equal(state.revision, old.revision + 1);
    assert.notEqual(state.incarnation, old.of);
    assert.equal(secretOf(state)?.epoch, 2);
    assert.notEqual(secretOf(state)?.secret, old.secret?.secret);
    // The old store is as it was, and what was recovered can be recovered again.
    assert.equal((await stateIn(from, survivor.id)).state.incarnation, old.of);
    const again = recoverStore({ ...ports, from: to, to: null, nodeId: survivor.id });
    assert.equal(again.incarnation.generation, 2);
  },
);

Deno.test("who is no manager of what its disk has recovers nothing", sanitized, async () => {
  await using planes = await TestPlanes.found();
  const [one] = planes.all;
  assert(one !== undefined);
  await one.store.close();
  const [from, to] = [`${planes.directory}/host1`, `${planes.directory}/new`];
  assert.throws(
    () => recoverStore({ ...ports, from, to, nodeId: one.plane.newId() }),
    (error) => error instanceof RefusedError && error.code === "not-found",
  );
  assert.throws(() => Deno.statSync(to), Deno.errors.NotFound);
});
