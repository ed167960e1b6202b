import assert from "node:assert/strict";
import { jsonDigest } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";
import { Spread } from "./spread.ts";
import { crank, eventually, HandClock } from "./testing_clock.ts";
import { Follower } from "./testing_follower.ts";
import { KeyMember, pairOnBank, told } from "./testing_members.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test(
  "what one member tells, the others hear together, and a repetition nobody",
  sanitized,
  async () => {
    const { clock, cluster, one, two, id } = await pairOnBank();
    await using _ = cluster;
    await one.report();
    await two.report();
    const follower = await Follower.open(cluster, two);
    await follower.next();
    assert.deepEqual(follower.installed(), []);
    // From here on somebody reads: whoever begins to is given the newest at once.
    assert(await follower.isQuiet());
    await one.report([told(id, [1])]);
    assert(await follower.isQuiet());
    clock.pass(20);
    await follower.next();
    assert.deepEqual(follower.installed(), [[one.id, [1]]]);
    const { digest, ...content } = follower.newest ?? assert.fail();
    assert.equal(digest, jsonDigest(JSON.parse(JSON.stringify(content))));
    assert(await follower.isQuiet());
    await one.report([told(id, [1])]);
    // Nor what concerns the leader alone.
    await one.report([told(id, [1], { oldestSending: null })]);
    clock.pass(500);
    assert(await follower.isQuiet());
    for (let upTo = 1; upTo <= 100; upTo++) await one.report([told(id, [1], { upTo })]);
    assert(await follower.isQuiet());
    clock.pass(20);
    assert.equal((await follower.next()).installed[0]?.upTo, 100);
    clock.pass(500);
    assert(await follower.isQuiet());
  },
);

Deno.test(
  "what is spread is of live epochs and attached nodes, and not of a node that is none",
  sanitized,
  async () => {
    const { clock, cluster, one, two, last, id } = await pairOnBank();
    await using _ = cluster;
    const stranger = await KeyMember.join(cluster, "host3");
    await stranger.report([told(id, [1])]);
    await one.report([told(id, [1])]);
    await two.report([told(id, [1, 5, 6])]);
    clock.pass(20);
    const follower = await Follower.open(cluster, one);
    await follower.next();
    const both = [[one.id, [1]], [two.id, [1]]].sort();
    assert.deepEqual(follower.installed(), both);
    await cluster.plane.writeOnce(cluster.manager, {
      kind: "endpoints.delete",
      body: { ids: [last] },
    });
    await follower.next();
    assert.deepEqual(follower.installed(), [[one.id, [1]]]);
  },
);

Deno.test("a slot is free when all have applied that its network is gone", sanitized, async () => {
  const { clock, cluster, one, two, last, id } = await pairOnBank();
  await using _ = cluster;
  const waiting = () => [...cluster.plane.state.waitingNumbers].map((one) => one.nodes);
  const ids = cluster.plane.state.endpointsOf(id).map((endpoint) => endpoint.id);
  assert(ids.includes(last));
  const [a, b] = [await Follower.open(cluster, one), await Follower.open(cluster, two)];
  await one.report();
  await two.report();
  const before = [await a.next(), await b.next()];
  await cluster.plane.writeOnce(cluster.manager, { kind: "endpoints.delete", body: { ids } });
  for (const follower of [a, b]) await follower.until(({ retained }) => retained.length === 1);
  await cluster.plane.writeOnce(cluster.manager, { kind: "network.delete", body: { id } });
  const isGone = ({ goneUpTo }: Projection) => goneUpTo > 0;
  const [gone, alsoGone] = [await a.until(isGone), await b.until(isGone)];
  assert.equal(gone.goneUpTo, cluster.plane.state.revision);
  await one.report(null, { applied: gone.digest });
  // Not yet that, nor anything that was never sent.
  for (const applied of [before[1]?.digest ?? null, gone.digest.replace(/^./, "_"), null]) {
    await two.report(null, { applied });
  }
  clock.pass(5_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(waiting(), [[one.id, two.id].sort()]);
  await two.report(null, { applied: alsoGone.digest });
  clock.pass(20);
  await eventually(() => waiting().length === 0);
  await a.until(({ goneUpTo }) => goneUpTo === 0);
});

Deno.test("a number waits for no node that is no member any more", sanitized, async () => {
  const { clock, cluster, one, two } = await pairOnBank();
  await using _ = cluster;
  const follower = await Follower.open(cluster, one);
  await follower.next();
  await cluster.plane.writeOnce(cluster.manager, { kind: "node.remove", body: { id: two.id } });
  assert.deepEqual(
    [...cluster.plane.state.waitingNumbers].map(({ kind, nodes }) => [kind, nodes]),
    [
      ["index", [one.id]],
    ],
  );
  const { digest } = await follower.until(({ goneUpTo }) => goneUpTo > 0);
  await one.report(null, { applied: digest });
  await crank(clock, () => [...cluster.plane.state.waitingNumbers].length === 0);
});

Deno.test("the more it takes to tell all, the less often all are told", () => {
  const clock = new HandClock();
  const told: string[] = [];
  const spread = new Spread(clock, (ids) => {
    told.push([...ids].join());
    // So long it takes.
    clock.pass(100);
  });
  spread.add(["a"]);
  spread.add(["b", "a"]);
  clock.pass(20);
  assert.deepEqual(told, ["a,b"]);
  spread.add(["c"]);
  clock.pass(399);
  assert.deepEqual(told, ["a,b"]);
  clock.pass(1);
  assert.deepEqual(told, ["a,b", "c"]);
  spread.add(["d"]);
  spread.close();
  spread.add(["e"]);
  assert.equal(clock.timers, 0);
});
