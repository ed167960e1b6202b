import assert from "node:assert/strict";
import type { Frame, Id } from "../base/mod.ts";
import { type Projection, StreamFrame } from "../state/mod.ts";
import { HandClock } from "./testing_clock.ts";
import { TestReader } from "./testing_reader.ts";
import { reportOf, type TestMember, TestPlane } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

async function setUp(clock = new HandClock()) {
  const cluster = await TestPlane.found({ clock });
  const member = await cluster.member("worker");
  const network = await cluster.network("shop");
  const acknowledge = (received: string | null) =>
    cluster.plane.report(member.id, reportOf(member.facts, { received }));
  const isConnected = async () => (await cluster.plane.read()).liveness(member.id).alive;
  return { cluster, clock, member, network, acknowledge, isConnected };
}

function addresses(projection: Projection): number {
  return projection.networks.flatMap(({ endpoints }) => endpoints).length;
}

async function endpoints(cluster: TestPlane, network: Id, { id }: TestMember, count: number) {
  for (let made = 0; made < count; made++) await cluster.endpoint(network, id);
}

Deno.test("one projection is outstanding at a time, and the latest wins", sanitized, async () => {
  const { cluster, member, network, acknowledge } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  const first = await stream.projection();
  assert.equal(addresses(first), 0);
  await endpoints(cluster, network.id, member, 3);
  assert(await stream.isQuiet());
  // What is no acknowledgement of it opens nothing.
  await acknowledge(null);
  await acknowledge("another");
  assert(await stream.isQuiet());
  await acknowledge(first.digest);
  const second = await stream.projection();
  assert.equal(addresses(second), 3);
  await acknowledge(second.digest);
  assert(await stream.isQuiet());
});

Deno.test(
  "a change comes at once when the window is open, and only to whom it concerns",
  sanitized,
  async () => {
    const { cluster, member, network, acknowledge } = await setUp();
    await using _ = cluster;
    const other = await cluster.member("other");
    const [stream, others] = [
      await TestReader.open(cluster, member.id),
      await TestReader.open(cluster, other.id),
    ];
    await acknowledge((await stream.projection()).digest);
    const { digest: received } = await others.projection();
    await cluster.plane.report(other.id, reportOf(other.facts, { received }));
    await cluster.endpoint(network.id, member.id);
    assert.equal(addresses(await stream.projection()), 1);
    assert(await others.isQuiet());
  },
);

Deno.test(
  "heartbeats come every two seconds, but never behind something unread",
  sanitized,
  async () => {
    const { cluster, clock, member } = await setUp();
    await using _ = cluster;
    const stream = await TestReader.open(cluster, member.id);
    // The projection has not been read: half a minute adds nothing to it.
    clock.pass(20_000);
    await stream.projection();
    assert(await stream.isQuiet());
    clock.pass(2_000);
    const heartbeat = await stream.next();
    assert.equal(heartbeat?.kind, StreamFrame.heartbeat);
    assert.equal(heartbeat?.header.stateTimeMs, clock.nowMs());
  },
);

Deno.test(
  "what comes last on two streams opens the windows of both, be the one that brought it gone",
  sanitized,
  async () => {
    const { cluster, member, network, acknowledge } = await setUp();
    await using _ = cluster;
    const old = await TestReader.open(cluster, member.id);
    const first = await old.projection();
    await acknowledge(first.digest);
    const fresh = await TestReader.open(cluster, member.id);
    await cluster.endpoint(network.id, member.id);
    // The fresh one was opened before the change, so that only the old one could send it.
    assert.equal((await fresh.projection()).digest, first.digest);
    const second = await old.projection();
    old.goAway();
    await acknowledge(second.digest);
    assert.equal((await fresh.projection()).digest, second.digest);
    await acknowledge(second.digest);
    await cluster.endpoint(network.id, member.id);
    assert.equal(addresses(await fresh.projection()), 2);
  },
);

Deno.test("one who acknowledges and never reads makes nothing pile up", sanitized, async () => {
  const { cluster, member, network, acknowledge } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  const { digest } = await stream.projection();
  await acknowledge(digest);
  const seen = await TestReader.open(cluster, member.id);
  for (let times = 0; times < 5; times++) {
    await cluster.endpoint(network.id, member.id);
    await acknowledge((await seen.projection()).digest);
  }
  // Of five, only the first was ever put in: then the newest, when that has been read.
  assert.equal(addresses(await stream.projection()), 1);
  assert.equal(addresses(await stream.projection()), 5);
});

Deno.test("a node that does not acknowledge for half a minute is cut off", sanitized, async () => {
  const { cluster, clock, member, acknowledge, isConnected } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  clock.pass(29_999);
  await acknowledge("something else");
  assert(await isConnected());
  clock.pass(1);
  assert(!await isConnected());
  await stream.projection();
  let last: Frame | null;
  do last = await stream.next(); while (last !== null);
  assert.equal(clock.timers, 0);
});

Deno.test("one that reports stays for as long as it likes", sanitized, async () => {
  const { cluster, clock, member, acknowledge, isConnected } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  const { digest } = await stream.projection();
  for (let times = 0; times < 30; times++) {
    await acknowledge(digest);
    clock.pass(3_000);
  }
  assert(await isConnected());
});

Deno.test(
  "a node has two streams while one takes the other's place, never three",
  sanitized,
  async () => {
    const { cluster, clock, member, network, acknowledge, isConnected } = await setUp();
    await using _ = cluster;
    const old = await TestReader.open(cluster, member.id);
    const { digest } = await old.projection();
    await acknowledge(digest);
    const fresh = await TestReader.open(cluster, member.id);
    assert.equal((await fresh.projection()).digest, digest);
    await acknowledge(digest);
    await cluster.endpoint(network.id, member.id);
    assert.equal(addresses(await old.projection()), 1);
    assert.equal(addresses(await fresh.projection()), 1);
    old.goAway();
    assert.equal(await old.next(), null);
    assert(await isConnected());
    const [third, fourth] = [
      await TestReader.open(cluster, member.id),
      await TestReader.open(cluster, member.id),
    ];
    assert.equal(await fresh.next(), null);
    for (const stream of [third, fourth]) stream.goAway();
    assert(!await isConnected());
    assert.equal(clock.timers, 0);
  },
);

Deno.test("a stream of one who has gone already, or is removed, ends", sanitized, async () => {
  const { cluster, clock, member } = await setUp();
  await using _ = cluster;
  const gone = await cluster.plane.openStream(member.id, AbortSignal.abort());
  for await (const _ of gone) assert.fail("nothing comes");
  const stream = await TestReader.open(cluster, member.id);
  await stream.projection();
  await cluster.plane.writeOnce(cluster.manager, {
    kind: "node.remove",
    body: { id: member.id },
  });
  assert.equal(await stream.next(), null);
  assert.equal(clock.timers, 0);
});

Deno.test("a projection longer than a frame comes in parts", sanitized, async () => {
  const { cluster, member, network, acknowledge } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  await acknowledge((await stream.projection()).digest);
  const name = (index: number) => `${"n".repeat(50)}-${index}`;
  // The first is small; all that comes before its acknowledgement is one large projection.
  for (let batch = 0; batch < 40; batch++) {
    const endpoints = Array.from({ length: 5 }, (_, index) => ({
      id: cluster.plane.newId(),
      networkId: network.id,
      nodeId: member.id,
      name: name(batch * 5 + index),
    }));
    await cluster.plane.writeOnce(cluster.manager, {
      kind: "endpoints.create",
      body: { endpoints },
    });
  }
  const networks = await Promise.all(Array.from({ length: 12 }, (_, index) => {
    return cluster.network(`net-${index}`);
  }));
  for (const { id } of networks) {
    for (let batch = 0; batch < 4; batch++) {
      const endpoints = Array.from({ length: 60 }, (_, index) => ({
        id: cluster.plane.newId(),
        networkId: id,
        nodeId: member.id,
        name: name(batch * 60 + index),
      }));
      await cluster.plane.writeOnce(cluster.manager, {
        kind: "endpoints.create",
        body: { endpoints },
      });
    }
  }
  await acknowledge((await stream.projection()).digest);
  const frame = await stream.next();
  assert(frame !== null && Number(frame.header.parts) > 1);
  stream.frames.unshift(frame);
  assert.equal(addresses(await stream.projection()), 200 + 12 * 240);
});

Deno.test("who the managers are is told though nothing else has changed", sanitized, async () => {
  const { cluster, member, acknowledge } = await setUp();
  await using _ = cluster;
  const stream = await TestReader.open(cluster, member.id);
  const { digest } = await stream.projection();
  await acknowledge(digest);
  const second = await cluster.member("second", "manager");
  const frame = await stream.next();
  assert.equal(frame?.header.digest, digest);
  const { managers } = frame?.header ?? {};
  assert(Array.isArray(managers));
  assert.deepEqual(
    managers.map((one) => one.id).sort(),
    [
      cluster.founded.nodeId,
      second.id,
    ].sort(),
  );
});
