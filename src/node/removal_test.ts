// needs: root
import assert from "node:assert/strict";
import { crank, eventually, HandClock } from "../cluster/testing_clock.ts";
import { type Meddle, TestManager } from "./testing_cluster.ts";
import { listen, PATH, sanitized, setUp } from "./testing_stream.ts";

function refuse(status: number, body: string): Meddle {
  return (request, _principal, next) =>
    new URL(request.url).pathname === PATH
      ? Promise.resolve(new Response(body, { status }))
      : next();
}

const NOT_PERMITTED = JSON.stringify({ code: "not-permitted" });

Deno.test("only the cluster's own word, three times, is a removal", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  manager.meddle = refuse(403, NOT_PERMITTED);
  using listening = listen(host, new HandClock(), "removed");
  const { heard, clock } = listening;
  await eventually(() => heard.asked === 1);
  assert.equal(heard.removed, 0);
  await crank(clock, () => heard.removed === 1);
  assert.equal(heard.asked, 3);
});

Deno.test("nothing else is a removal", sanitized, async () => {
  const { manager, host } = await setUp();
  await using _ = manager;
  const refusals: [number, string][] = [
    [403, "Forbidden"],
    [403, JSON.stringify({ code: "busy" })],
    [401, "{}"],
    [500, NOT_PERMITTED],
    [503, JSON.stringify({ code: "unavailable" })],
  ];
  let next = 0;
  manager.meddle = (request, principal, go) => {
    const [status, body] = refusals[next % refusals.length] ?? [500, ""];
    if (new URL(request.url).pathname === PATH) next++;
    return refuse(status, body)(request, principal, go);
  };
  using listening = listen(host, new HandClock(), "removed");
  const { heard, clock } = listening;
  await crank(clock, () => next >= 3 * refusals.length);
  assert.deepEqual([heard.asked, heard.removed], [0, 0]);
});

Deno.test(
  "one who is refused a stream, but given a certificate, is a member",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    manager.meddle = refuse(403, NOT_PERMITTED);
    for (const membership of ["member", "unknown"] as const) {
      using listening = listen(host, new HandClock(), membership);
      const { heard, clock } = listening;
      await crank(clock, () => heard.asked >= 6);
      assert.equal(heard.removed, 0);
    }
  },
);

Deno.test("a node that is removed hears so, within seconds", sanitized, async () => {
  await using manager = await TestManager.start();
  const host = await manager.join("one");
  const other = await manager.join("two");
  await host.agent.ready;
  await other.agent.ready;
  await manager.remove(host.record.nodeId);
  await eventually(() => host.removed === 1);
  assert.equal(other.removed, 0);
  assert(other.agent.status().connected);
});

Deno.test("a manager that is away removes nobody, and is found again", sanitized, async () => {
  await using manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  const port = await manager.stopListening();
  await eventually(() => !host.agent.status().connected);
  await manager.cluster.restart();
  await manager.listen(port);
  await eventually(() => host.agent.status().connected);
  assert.equal(host.removed, 0);
  assert(host.agent.status().ready);
});
