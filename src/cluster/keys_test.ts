import assert from "node:assert/strict";
import type { Id } from "../base/mod.ts";
import type { Command } from "../state/mod.ts";
import { KeyDuty, type KeyLedger } from "./key_duty.ts";
import { RefusedError } from "./mod.ts";
import { crank } from "./testing_clock.ts";
import { Follower } from "./testing_follower.ts";
import { KeyMember, keysOf, liveEpochs, pairOnBank, told } from "./testing_members.ts";
import { keepingLogger, type LogLine, reportOf, testRandom } from "./testing_plane.ts";
import { TestReader } from "./testing_reader.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test("a boot key is in the log before what came with it counts", sanitized, async () => {
  const { cluster, one, id } = await pairOnBank();
  await using _ = cluster;
  await one.report([told(id, [1])]);
  const { bootKey } = cluster.plane.state.nodes.get(one.id) ?? assert.fail();
  assert.deepEqual(
    [bootKey?.publicKey, bootKey?.bootId, bootKey?.reportNumber],
    [one.publicKey, "boot-1", 1],
  );
  const { revision } = cluster.plane.state;
  await one.report([told(id, [1])]);
  assert.equal(cluster.plane.state.revision, revision, "the same key is not written again");
  const members = (await cluster.plane.read()).members(id);
  const own = members.find(({ nodeId }) => nodeId === one.id);
  assert.deepEqual(own?.report, { installed: [1], oldestSending: 1 });
});

Deno.test("the answer names the highest report that was seen before", sanitized, async () => {
  const { cluster, one } = await pairOnBank();
  await using _ = cluster;
  const seen = async (number: number) => {
    one.number = number - 1;
    return (await one.report()).seenBefore;
  };
  assert.deepEqual([await seen(10), await seen(11), await seen(40)], [0, 10, 11]);
  // A copy of the machine, or one that was restored, does not know of 40.
  assert.deepEqual([await seen(12), await seen(41)], [40, 40]);
  await cluster.restart();
  // What the log has of it: the report that brought the key.
  assert.deepEqual([await seen(42), await seen(43)], [10, 42]);
});

Deno.test("a report that comes late, or from a copy, changes nothing", sanitized, async () => {
  const { cluster, one, id } = await pairOnBank();
  await using _ = cluster;
  one.number = 9;
  await one.report([told(id, [1])]);
  const publicKey = one.publicKey;
  one.reboot();
  one.number = 4;
  await one.report([told(id, [])]);
  assert.equal(cluster.plane.state.nodes.get(one.id)?.bootKey?.publicKey, publicKey);
  const [own] = (await cluster.plane.read()).members(id).filter(({ nodeId }) => nodeId === one.id);
  assert.deepEqual(own?.report?.installed, [1]);
  // The log knows, too, though a new leader has heard nothing.
  await cluster.restart();
  one.publicKey = publicKey;
  one.bootId = "boot-1";
  one.number = 6;
  await one.report([told(id, [])]);
  const silent = (await cluster.plane.read()).members(id).filter(({ nodeId }) => nodeId === one.id);
  assert.deepEqual(silent.map(({ report }) => report), [null]);
});

Deno.test(
  "what was told under another boot key, or in another incarnation, counts for nothing",
  sanitized,
  async () => {
    const { cluster, one, two, id } = await pairOnBank();
    await using _ = cluster;
    const installed = async () => {
      const members = (await cluster.plane.read()).members(id);
      return members.find(({ nodeId }) => nodeId === one.id)?.report?.installed ?? null;
    };
    await one.report([told(id, [1])]);
    one.reboot();
    // It has a new key, and has not looked at its SAs yet: what it had is gone with the kernel.
    await one.report(null);
    assert.equal(await installed(), null);
    await one.report([told(id, [1])]);
    assert.deepEqual(await installed(), [1]);
    await one.report(null);
    assert.deepEqual(await installed(), [1], "the same process goes on");
    const bootKey = {
      publicKey: one.publicKey,
      bootId: one.bootId,
      incarnation: cluster.plane.newId(),
    };
    await one.report([told(id, [])], { bootKey });
    assert.deepEqual(await installed(), [1]);
    await one.report([], { bootKey: null });
    assert.equal(await installed(), null);
    await one.report([told(id, [1])]);
    assert.deepEqual(await installed(), [1]);
    // Committed from elsewhere, as by a copy of the machine.
    await cluster.plane.writeOnce({ kind: "node", id: one.id, role: "worker" }, {
      kind: "node.publish-key",
      body: {
        id: one.id,
        incarnation: cluster.plane.state.incarnation,
        bootKey: { publicKey: two.publicKey, bootId: "boot-9", reportNumber: 1000 },
      },
    });
    assert.equal(await installed(), null);
  },
);

Deno.test(
  "a key that is refused is proposed once a minute, and said to be",
  sanitized,
  async () => {
    const { clock, cluster, one, id } = await pairOnBank();
    await using _ = cluster;
    await one.report([told(id, [1])]);
    one.bootId = "another boot with the same key";
    const refusals = () =>
      cluster.lines.filter(({ message }) => message.includes("refused")).length;
    for (let times = 0; times < 4; times++) await one.report([told(id, [])]);
    assert.equal(refusals(), 1);
    clock.pass(60_000);
    await one.report();
    assert.equal(refusals(), 2);
  },
);

Deno.test("what cannot be done now is tried again, and said once", sanitized, async () => {
  const { clock, cluster, one, two, id } = await pairOnBank();
  await using _ = cluster;
  await cluster.plane.writeOnce(cluster.manager, { kind: "node.remove", body: { id: two.id } });
  await crank(clock, () => liveEpochs(cluster, id)[0] === 2);
  await one.report([told(id, [2])]);
  await crank(clock, () => liveEpochs(cluster, id).length === 1);
  // Another leader's duty over the same state, whose log fails.
  const proposed: string[] = [];
  let fails = true;
  const ledger: KeyLedger = {
    state: cluster.plane.state,
    stateTimeMs: () => cluster.plane.stateTimeMs() + 365 * 24 * 3_600_000,
    writeOwn: async (command: Command) => {
      proposed.push(command.kind);
      await Promise.resolve();
      if (fails) throw new RefusedError({ code: "unknown-command", message: "no leader" });
    },
  };
  const lines: LogLine[] = [];
  const duty = new KeyDuty(ledger, {
    members: () => [],
    wantsAfter: () => false,
    free: () => null,
  }, { clock, random: testRandom, logger: keepingLogger(lines) });
  duty.begin();
  await crank(clock, () => proposed.length >= 3);
  assert.equal(new Set(proposed).size, 1);
  const warnings = () => lines.filter(({ level }) => level === "warn");
  assert.deepEqual(warnings().map(({ fields }) => fields.reason), ["no leader"]);
  fails = false;
  const { length } = proposed;
  await crank(clock, () => proposed.length > length);
  duty.close();
  assert.equal(warnings().length, 1);
});

Deno.test("no secret is in a log line, an answer or a view", sanitized, async () => {
  const { cluster, one, two, id } = await pairOnBank();
  await using _ = cluster;
  await one.report([told(id, [1])]);
  const outcomes = [await cluster.plane.rotateNetwork({ ...cluster.origin(), networkId: id })];
  const secrets = new Set<string>();
  for (const member of [one, two]) {
    const { networks } = await (await Follower.open(cluster, member)).next();
    for (const { secret } of networks[0]?.encryption?.epochs ?? []) secrets.add(secret);
  }
  assert.equal(secrets.size, 2);
  const view = await cluster.plane.read();
  const shown = JSON.stringify([
    cluster.lines,
    outcomes,
    view.members(id),
    keysOf(cluster, id),
    await one.report(),
  ]);
  const stranger: Id = (await KeyMember.join(cluster, "host3")).id;
  const stream = await TestReader.open(cluster, stranger);
  const others = JSON.stringify(await stream.projection());
  for (const secret of secrets) {
    assert.ok(!shown.includes(secret));
    assert.ok(!others.includes(secret));
  }
  await cluster.plane.report(stranger, reportOf(one.member.facts));
});
