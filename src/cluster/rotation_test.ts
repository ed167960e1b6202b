import assert from "node:assert/strict";
import type { Id } from "../base/mod.ts";
import { RefusedError } from "./mod.ts";
import { crank, eventually, HandClock } from "./testing_clock.ts";
import { KeyMember, keysOf, liveEpochs, told } from "./testing_members.ts";
import { TestPlane } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const HOUR_MS = 3_600_000;

async function setUp(rotationIntervalMs?: number) {
  const clock = new HandClock();
  const cluster = await TestPlane.found({ clock });
  const network = await cluster.encrypted("bank", rotationIntervalMs);
  const [one, two] = [
    await KeyMember.join(cluster, "host1"),
    await KeyMember.join(cluster, "host2"),
  ];
  await cluster.endpoint(network.id, one.id);
  const last = await cluster.endpoint(network.id, two.id);
  const live = () => liveEpochs(cluster, network.id);
  const report = async (installed: readonly number[], members = [one, two]) => {
    for (const member of members) await member.report([told(network.id, installed)]);
  };
  return { clock, cluster, id: network.id, one, two, last, live, report };
}

/** Time passes, in which the leader would have done something. */
async function idle(clock: HandClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    clock.pass(500);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function rotate(cluster: TestPlane, networkId: Id, more: object = {}) {
  return cluster.plane.rotateNetwork({ ...cluster.origin(), networkId, ...more });
}

Deno.test(
  "a network has a new key each interval, and the old one goes when all have moved",
  sanitized,
  async () => {
    const { clock, cluster, live, report, one, two } = await setUp(60_000);
    await using _ = cluster;
    await report([1]);
    await idle(clock, 50_000);
    assert.deepEqual(live(), [1]);
    await crank(clock, () => live().length === 2);
    assert.deepEqual(live(), [2, 1]);
    await report([1, 2], [one]);
    await idle(clock, 5_000);
    // The other one still sends with the old.
    assert.deepEqual(live(), [2, 1]);
    await report([1, 2], [two]);
    await crank(clock, () => live().length === 1);
    assert.deepEqual(live(), [2]);
  },
);

Deno.test("the cluster's interval counts where a network has none", sanitized, async () => {
  const { clock, cluster, live, report } = await setUp();
  await using _ = cluster;
  await report([1]);
  clock.pass(11 * HOUR_MS);
  await idle(clock, 3_000);
  assert.deepEqual(live(), [1]);
  await cluster.plane.writeOnce(cluster.manager, {
    kind: "cluster.update",
    body: { settings: { keyRotationIntervalMs: HOUR_MS } },
  });
  await crank(clock, () => live()[0] === 2);
});

Deno.test(
  "a network that nobody is on keeps its key, and costs the log nothing",
  sanitized,
  async () => {
    const clock = new HandClock();
    await using cluster = await TestPlane.found({ clock });
    const { id } = await cluster.encrypted("bank", 5_000);
    const { revision } = cluster.plane.state;
    await idle(clock, 30_000);
    assert.deepEqual(liveEpochs(cluster, id), [1]);
    assert.equal(cluster.plane.state.revision, revision);
  },
);

Deno.test("who is silent holds an epoch until its limit, and no longer", sanitized, async () => {
  const { clock, cluster, live, report, one, id } = await setUp();
  await using _ = cluster;
  await cluster.plane.writeOnce(cluster.manager, {
    kind: "cluster.update",
    body: { settings: { epochLimitMs: 20_000 } },
  });
  await report([1]);
  await rotate(cluster, id);
  await report([1, 2], [one]);
  await idle(clock, 18_000);
  assert.deepEqual(live(), [2, 1]);
  await crank(clock, () => live().length === 1);
});

Deno.test(
  "a removed node is followed by a new key at once, and holds nothing back",
  sanitized,
  async () => {
    const { clock, cluster, live, report, one, two, id } = await setUp();
    await using _ = cluster;
    await report([1]);
    await cluster.plane.writeOnce(cluster.manager, { kind: "node.remove", body: { id: two.id } });
    // Not at the next tick: at once.
    clock.pass(25);
    await eventually(() => live()[0] === 2);
    assert.equal(keysOf(cluster, id).rotation, "by-interval");
    await report([1, 2], [one]);
    await crank(clock, () => live().length === 1);
  },
);

Deno.test("nodes that need another epoch get one, in ten seconds one", sanitized, async () => {
  const { clock, cluster, live, one, two, id } = await setUp();
  await using _ = cluster;
  await one.report([told(id, [1], { wantsAfter: 1 })]);
  await two.report([told(id, [1], { wantsAfter: 1 })]);
  await crank(clock, () => live()[0] === 2);
  // Who still wants what has begun gets nothing more.
  await one.report([told(id, [1], { wantsAfter: 1 })]);
  await idle(clock, 3_000);
  assert.deepEqual(live(), [2, 1]);
  await one.report([told(id, [1, 2], { wantsAfter: 2, oldestSending: 1 })]);
  await idle(clock, 4_000);
  assert.deepEqual(live(), [2, 1]);
  await crank(clock, () => live()[0] === 3);
  // Nothing was ended for it.
  assert.deepEqual(live(), [3, 2, 1]);
  // What says nothing that there is cannot ask.
  await one.report([told(id, [1, 2, 3], { wantsAfter: 9, oldestSending: 1 })]);
  await idle(clock, 15_000);
  assert.deepEqual(live(), [3, 2, 1]);
});

Deno.test(
  "with six live epochs the next one waits, and a person is told for whom",
  sanitized,
  async () => {
    const { clock, cluster, live, report, one, two, id } = await setUp();
    await using _ = cluster;
    await report([1]);
    for (let epoch = 2; epoch <= 6; epoch++) assert.ok((await rotate(cluster, id)).ok);
    await one.report([told(id, [1, 2, 3, 4, 5, 6])]);
    await assert.rejects(rotate(cluster, id), (error) => {
      assert.ok(error instanceof RefusedError);
      assert.equal(error.code, "rotation-waiting");
      assert.match(
        error.message,
        /bank cannot go to epoch 7 yet: epoch 1 is still in use on host2\./,
      );
      assert.deepEqual(error.details, {
        epoch: 7,
        inUse: 1,
        nodes: [two.id],
        hostnames: ["host2"],
      });
      return true;
    });
    await report([1, 2, 3, 4, 5, 6]);
    await crank(clock, () => live().length === 1);
    // The first epoch and the eighth have a tag in common; the seventh is free.
    assert.ok((await rotate(cluster, id)).ok);
    await report([1, 6, 7]);
    await crank(clock, () => live().length === 1);
    await assert.rejects(
      rotate(cluster, id),
      /epoch 8 yet: epoch 1 is still in use on host1, host2\. Wait/,
    );
    await report([7]);
    assert.ok((await rotate(cluster, id)).ok);
    assert.equal(live()[0], 8);
  },
);

Deno.test(
  "a request that was answered is answered the same, whatever waits now",
  sanitized,
  async () => {
    const { cluster, report, id } = await setUp();
    await using _ = cluster;
    await report([1]);
    const request = { requestId: "mine", from: null, bodyHash: "body" };
    const first = await rotate(cluster, id, request);
    for (let epoch = 3; epoch <= 6; epoch++) await rotate(cluster, id);
    await assert.rejects(rotate(cluster, id), /cannot go to epoch 7/);
    assert.deepEqual(await rotate(cluster, id, request), first);
  },
);

Deno.test("what is no encrypted network has no next key", sanitized, async () => {
  const { cluster } = await setUp();
  await using _ = cluster;
  const plain = await cluster.network("plain");
  const codeOf = async (networkId: Id) => {
    const outcome = await rotate(cluster, networkId);
    return outcome.ok ? "ok" : outcome.rejection.code;
  };
  assert.equal(await codeOf(plain.id), "not-encrypted");
  assert.equal(await codeOf(cluster.plane.newId()), "not-found");
});

Deno.test("a new leader goes on where the old one stopped", sanitized, async () => {
  const { clock, cluster, live, report, one, two, id } = await setUp(60_000);
  await using _ = cluster;
  await report([1]);
  await rotate(cluster, id);
  await report([1, 2], [one]);
  await cluster.restart();
  // It knows of nobody yet, and takes silence for no answer.
  await idle(clock, 5_000);
  assert.deepEqual(live(), [2, 1]);
  await report([1, 2], [one, two]);
  await crank(clock, () => live().length === 1);
  await crank(clock, () => live()[0] === 3);
});

Deno.test("who leads no more begins nothing more", sanitized, async () => {
  const { clock, cluster, live, report } = await setUp(5_000);
  await using _ = cluster;
  await report([1]);
  cluster.plane.close();
  assert.equal(clock.timers, 0);
  await assert.rejects(report([1, 2]), { code: "unavailable" });
  assert.equal(clock.timers, 0);
  clock.pass(60_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(live(), [1]);
});

Deno.test(
  "one who has left holds up no epoch when it has told that it sends to nobody",
  sanitized,
  async () => {
    const { clock, cluster, live, report, one, two, last, id } = await setUp();
    await using _ = cluster;
    await report([1]);
    await cluster.plane.writeOnce(cluster.manager, {
      kind: "endpoints.delete",
      body: { ids: [last] },
    });
    await rotate(cluster, id);
    await report([1, 2], [one]);
    await two.report([told(id, [1], { oldestSending: null })]);
    await crank(clock, () => live().length === 1);
    assert.deepEqual(keysOf(cluster, id).formerHolders, [two.id]);
    // Its old SAs are in the way of the epoch with their tag, until they are gone.
    for (let epoch = 3; epoch <= 7; epoch++) await rotate(cluster, id);
    await report([2, 7], [one]);
    await crank(clock, () => live().length === 1);
    await assert.rejects(rotate(cluster, id), /epoch 8 yet: epoch 1 is still in use on host2/);
    await two.report([]);
    assert.ok((await rotate(cluster, id)).ok);
  },
);
