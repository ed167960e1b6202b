import assert from "node:assert/strict";
import { crank, HandClock } from "../cluster/testing_clock.ts";
import { keepingLogger, testRandom } from "../cluster/testing_plane.ts";
import { Dialer } from "../tls/mod.ts";
import { eventually, listen, TestCluster } from "../tls/test_cluster.ts";
import { LeaderLink } from "./leader_link.ts";
import { NodeError } from "./mod.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

type Answer = () => Response | Promise<Response>;

/** Managers that answer as the test says, and a node that looks for the leader among them. */
async function setUp(count: number) {
  const cluster = await TestCluster.create();
  const { identity } = await cluster.card("worker");
  const answers: Answer[] = [];
  const asked: number[] = [];
  const listeners = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      answers.push(() => new Response(`${index}`));
      return await listen(cluster, (await cluster.card("manager")).identity, {
        handle: () => {
          asked.push(index);
          return answers[index]?.() ?? new Response(null, { status: 500 });
        },
      });
    }),
  );
  const clock = new HandClock();
  const dialer = new Dialer({ identity, trust: cluster.trust, clock });
  const link = new LeaderLink({
    dialer,
    managers: listeners.map(({ address }, index) => ({ id: `${index}`, address })),
    clock,
    random: { ...testRandom, below: (limit) => limit === count ? 0 : testRandom.below(limit) },
    logger: keepingLogger(),
  });
  return {
    link,
    clock,
    asked,
    addresses: listeners.map(({ address }) => address),
    answer: (index: number, answer: Answer) => answers[index] = answer,
    stop: (index: number) => listeners[index]?.close(),
    ask: (deadlineMs = 10_000, signal = new AbortController().signal) =>
      link.request({ method: "GET", path: "/", deadlineMs, signal }),
    async [Symbol.asyncDispose]() {
      link.close();
      dialer.closeAll();
      for (const listener of listeners) await listener.close();
    },
  };
}

function elsewhere(leader?: string): Answer {
  return () =>
    new Response("another leads", {
      status: 421,
      ...(leader === undefined ? {} : { headers: { "agent-leader": leader } }),
    });
}

/** What becomes of a promise while the clock goes on. */
async function during<T>(clock: HandClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = promise.finally(() => isSettled = true);
  settled.catch(() => {});
  await crank(clock, () => isSettled);
  return await settled;
}

const unavailable = (error: unknown) => error instanceof NodeError && error.code === "unavailable";

Deno.test("the leader is found in one hop, and asked at once from then on", sanitized, async () => {
  await using test = await setUp(3);
  test.answer(0, elsewhere(test.addresses[2]));
  assert.equal((await test.ask()).text(), "2");
  assert.equal((await test.ask()).text(), "2");
  assert.deepEqual(test.asked, [0, 2, 2]);
  assert.equal(test.link.leaderAddress, test.addresses[2]);
});

Deno.test("a manager that is down is passed over", sanitized, async () => {
  await using test = await setUp(3);
  await test.ask();
  await test.stop(0);
  test.answer(1, elsewhere(test.addresses[0]));
  const { status } = await during(test.clock, test.ask());
  assert.equal(status, 200);
  assert.equal(test.asked.at(-1), 2);
});

Deno.test(
  "managers who name each other are asked with pauses, and not for ever",
  sanitized,
  async () => {
    await using test = await setUp(2);
    test.answer(0, elsewhere(test.addresses[1]));
    test.answer(1, elsewhere(test.addresses[0]));
    await assert.rejects(during(test.clock, test.ask(3_000)), unavailable);
    // 50, 100, 200, 400, 800 and 1000 ms, and a hop between each two.
    assert(test.asked.length <= 24, `${test.asked.length} requests`);
  },
);

Deno.test("nobody leads: that is said when the time is over", sanitized, async () => {
  await using test = await setUp(2);
  test.answer(0, elsewhere());
  test.answer(1, elsewhere());
  await assert.rejects(during(test.clock, test.ask(2_000)), (error) => {
    assert(unavailable(error));
    return true;
  });
  assert.deepEqual([...new Set(test.asked)].sort(), [0, 1]);
});

Deno.test("a manager that swallows requests does not take all the time", sanitized, async () => {
  await using test = await setUp(2);
  const { promise, resolve } = Promise.withResolvers<Response>();
  test.answer(0, () => promise);
  const answer = test.ask();
  await eventually(() => test.asked.length === 1);
  assert.equal((await during(test.clock, answer)).text(), "1");
  resolve(new Response());
});

Deno.test("while the managers elect one, they are asked until one leads", sanitized, async () => {
  await using test = await setUp(2);
  const electing = () => new Response("", { status: 503 });
  test.answer(0, electing);
  test.answer(1, electing);
  const answer = test.ask();
  await crank(test.clock, () => test.asked.length >= 4);
  test.answer(1, () => new Response("1"));
  assert.equal((await during(test.clock, answer)).text(), "1");
});

Deno.test("any other answer is the leader's, whatever it says", sanitized, async () => {
  await using test = await setUp(1);
  for (const status of [200, 403, 409, 500]) {
    test.answer(0, () => new Response("it", { status }));
    assert.equal((await test.ask()).status, status);
  }
});

Deno.test("a request that is given up ends at once, in a pause too", sanitized, async () => {
  await using test = await setUp(1);
  test.answer(0, elsewhere());
  const client = new AbortController();
  const answer = test.ask(10_000, client.signal);
  const gaveUp = assert.rejects(answer, { name: "AbortError" });
  await eventually(() => test.asked.length === 1);
  client.abort();
  await gaveUp;

  const last = test.ask();
  const stopped = assert.rejects(last, unavailable);
  await eventually(() => test.asked.length === 2);
  test.link.close();
  await stopped;
  assert.equal(test.asked.length, 2);
});

Deno.test(
  "who speaks for another incarnation is asked for streams alone, and only when nobody else is left",
  sanitized,
  async () => {
    await using test = await setUp(2);
    const open = async () => {
      const request = { method: "GET", path: "/", deadlineMs: 10_000 } as const;
      const { stream, address } = await test.link.openStream(request);
      stream.close();
      return test.addresses.indexOf(address);
    };
    assert.equal((await test.ask()).text(), "0");
    test.link.shun(test.addresses[0] ?? "");
    assert.equal((await test.ask()).text(), "1");
    test.answer(1, elsewhere(test.addresses[0]));
    const asked = test.asked.length;
    await assert.rejects(during(test.clock, test.ask()), unavailable);
    assert(!test.asked.slice(asked).includes(0), "not even when another names it");
    test.link.shun(test.addresses[1] ?? "");
    await assert.rejects(test.ask(), /speaks for an earlier incarnation/);
    assert.equal(await open(), 0);
    test.link.setManagers(test.addresses.map((address, index) => ({ id: `${index}`, address })));
    assert.equal((await test.ask()).text(), "0");
  },
);
