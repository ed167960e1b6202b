import assert from "node:assert/strict";
import type { Id } from "../base/mod.ts";
import { type CheckOrder, type CheckReport, type ProbeSize, StreamFrame } from "../state/mod.ts";
import { HandClock } from "./testing_clock.ts";
import { KeyMember, pairOnBank, told } from "./testing_members.ts";
import { TestPlane } from "./testing_plane.ts";
import { TestReader } from "./testing_reader.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

/** What a member finds of others, all well but for what is said. */
function reportOn(
  { networkId, checkId }: CheckOrder,
  peers: readonly Id[],
  heard: readonly ProbeSize[] = ["small", "full"],
): CheckReport {
  return {
    v: 1,
    networkId,
    checkId,
    problem: null,
    neededMtuBytes: 1500,
    refused: [],
    peers: peers.map((nodeId) => ({
      nodeId,
      heard,
      answered: [],
      outPackets: 4,
      inPackets: heard.length,
      integrityFailures: 0,
      replays: 0,
      outEpochs: [1],
      inEpochs: [1],
      routeMtuBytes: 1500,
      mtuLearned: false,
    })),
  };
}

async function orderOn(stream: TestReader): Promise<CheckOrder> {
  for (;;) {
    const frame = await stream.next();
    assert(frame !== null, "the stream has ended");
    if (frame.kind !== StreamFrame.check) continue;
    const { networkId, checkId, nodeIds } = frame.header;
    return { networkId, checkId, nodeIds } as unknown as CheckOrder;
  }
}

/** Two hosts on an encrypted network that have settled, with their streams. */
async function settled() {
  const scene = await pairOnBank();
  const { cluster, one, two, id } = scene;
  const streams = [await TestReader.open(cluster, one.id), await TestReader.open(cluster, two.id)];
  for (const member of [one, two]) await member.report([told(id, [1])]);
  const of = async () => (await cluster.plane.read()).check(id);
  return { ...scene, streams, of };
}

async function finished(
  clock: HandClock,
  of: () => Promise<{ finishedAtMs: number | null } | null>,
) {
  const giveUpAtMs = performance.now() + 30_000;
  while ((await of())?.finishedAtMs === null) {
    assert(performance.now() < giveUpAtMs, "the check finishes");
    clock.pass(50);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("all hosts are asked, and what both ends found is judged", sanitized, async () => {
  const { clock, cluster, one, two, id, streams: [first, second], of } = await settled();
  await using _ = cluster;
  assert(first !== undefined && second !== undefined);
  const begun = await cluster.plane.checkNetwork(id);
  assert.deepEqual([begun.cause, begun.finishedAtMs], ["asked", null]);
  const order = await orderOn(first);
  assert.deepEqual(order, { networkId: id, checkId: begun.checkId, nodeIds: null });
  assert.deepEqual(await orderOn(second), order);
  // Who asks meanwhile waits for the same one.
  assert.equal((await cluster.plane.checkNetwork(id)).checkId, begun.checkId);
  // Of another check, or of one who has no part in it.
  await cluster.plane.checked(one.id, { ...reportOn(order, [two.id]), checkId: id });
  await cluster.plane.checked(cluster.founded.nodeId, reportOn(order, [two.id]));
  await cluster.plane.checked(one.id, reportOn(order, [two.id]));
  assert.equal((await of())?.finishedAtMs, null);
  await cluster.plane.checked(two.id, reportOn(order, [one.id], []));
  await finished(clock, of);
  const check = await of();
  assert.deepEqual([check?.directions, check?.passed], [2, 1]);
  const [fault, good] = check?.verdicts ?? [];
  assert.deepEqual([fault?.from, fault?.to, fault?.full.outcome], [one.id, two.id, "esp"]);
  assert.deepEqual([good?.from, good?.to, good?.full.outcome], [two.id, one.id, "ok"]);
  const warned = cluster.lines.filter(({ message }) => /do not get from one host/.test(message));
  assert.deepEqual(warned.map(({ fields }) => [fields?.from, fields?.to, fields?.blame]), [
    ["host1", "host2", "esp"],
    ["host1", "host2", "esp"],
  ]);
});

Deno.test("who does not answer is named, and waited for no longer", sanitized, async () => {
  const { clock, cluster, one, two, id, streams: [first], of } = await settled();
  await using _ = cluster;
  assert(first !== undefined);
  await cluster.plane.checkNetwork(id);
  await cluster.plane.checked(one.id, reportOn(await orderOn(first), [two.id], []));
  await finished(clock, of);
  const { verdicts = [], passed } = (await of()) ?? {};
  assert.equal(passed, 0);
  for (const { full } of verdicts) {
    assert.equal(full.outcome, "not-checked");
    assert.match(full.reason ?? "", /^host2 did not take part/);
  }
});

Deno.test("a network with one host on it has nothing to check", sanitized, async () => {
  const clock = new HandClock();
  await using cluster = await TestPlane.found({ clock });
  const { id } = await cluster.encrypted("bank");
  await cluster.endpoint(id, (await KeyMember.join(cluster, "host1")).id);
  await cluster.plane.checkNetwork(id);
  const of = async () => (await cluster.plane.read()).check(id);
  await finished(clock, of);
  assert.deepEqual([(await of())?.directions, (await of())?.verdicts], [0, []]);
});

Deno.test(
  "a pair that is new on a network is checked unasked, when it is ready",
  sanitized,
  async () => {
    const { clock, cluster, one, two, id, streams: [first], of } = await settled();
    await using _ = cluster;
    assert(first !== undefined);
    assert.equal(await of(), null);
    clock.pass(2_000);
    const before = await of();
    assert.equal(before?.cause, "new-pair");
    assert.deepEqual((await orderOn(first)).nodeIds?.toSorted(), [one.id, two.id].sort());
    await finished(clock, of);
    const three = await KeyMember.join(cluster, "host3");
    await three.report([]);
    await cluster.endpoint(id, three.id);
    clock.pass(5_000);
    assert.equal((await of())?.checkId, before?.checkId, "it has told nothing of its SAs yet");
    await three.report([told(id, [1])]);
    clock.pass(2_000);
    const check = await of();
    assert.equal(check?.cause, "new-pair");
    const order = await orderOn(first);
    assert.deepEqual(order, { networkId: id, checkId: check?.checkId, nodeIds: [three.id] });
    await cluster.plane.checked(one.id, reportOn(order, [three.id]));
    await cluster.plane.checked(two.id, reportOn(order, [three.id]));
    await cluster.plane.checked(three.id, reportOn(order, [one.id, two.id]));
    await finished(clock, of);
    // Only pairs with the new one.
    assert.deepEqual([(await of())?.directions, (await of())?.passed], [4, 4]);
    clock.pass(60_000);
    assert.equal((await of())?.checkId, check?.checkId, "it is new once");
  },
);
