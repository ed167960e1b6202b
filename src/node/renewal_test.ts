// needs: root
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { Clock } from "../base/mod.ts";
import { crank, eventually, HandClock, realClock, WallClock } from "../cluster/testing_clock.ts";
import { type Meddle, type TestHost, TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const DAY_MS = 86_400_000;
const PATH = "/v1/self/certificate";

const straight: Meddle = (_request, _principal, next) => next();

/** Does the requests for a certificate, and loses the answers. */
function losing(): { readonly meddle: Meddle; readonly csrs: string[] } {
  const csrs: string[] = [];
  return {
    csrs,
    meddle: async (request, _principal, next) => {
      if (new URL(request.url).pathname !== PATH) return await next();
      csrs.push((await request.clone().json()).csr);
      const { status } = await next();
      return new Response(
        new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) }),
        { status },
      );
    },
  };
}

function serial(host: TestHost): string {
  return new X509Certificate(host.identity.readTls().certificate).serialNumber;
}

Deno.test("a certificate is renewed between 50 and 80 % of its life", sanitized, async () => {
  await using manager = await TestManager.start();
  const clock = new HandClock();
  const host = await manager.join("one", { clock });
  await host.agent.ready;
  const before = serial(host);
  clock.jump(44 * DAY_MS);
  clock.pass(120_000);
  assert.equal(serial(host), before);
  // A clock that was set, or a machine that has slept, is noticed within half a minute.
  clock.jump(28 * DAY_MS);
  clock.pass(30_000);
  await eventually(() => serial(host) !== before);
  const node = manager.plane.state.nodes.get(host.record.nodeId);
  assert.equal(node?.certificates.length, 2);
  assert.equal(host.identity.readPending(), null);
});

/** A real clock, but for the wall clock's date and for timers over 20 s: those go by hand. */
function longClock() {
  const timers = new Set<() => void>();
  let aheadMs = 0;
  const clock: Clock = {
    ...realClock,
    nowMs: () => Date.now() + aheadMs,
    schedule: (delayMs, callback) => {
      if (delayMs < 20_000) return realClock.schedule(delayMs, callback);
      timers.add(callback);
      return () => void timers.delete(callback);
    },
  };
  return {
    clock,
    jump: (ms: number) => void (aheadMs += ms),
    fire: () => {
      for (const timer of [...timers]) {
        timers.delete(timer);
        timer();
      }
    },
  };
}

Deno.test(
  "the new certificate is shown, and the stream replaced without a gap",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const { clock, jump, fire } = longClock();
    const host = await manager.join("one", { clock });
    await host.agent.ready;
    // That the boot key counts has the same projection desired once more.
    await eventually(() => host.overlay.status.bootKey !== null);
    const before = host.overlay.desired.length;
    let streams = 0;
    let wasDown = false;
    manager.meddle = (request, _principal, next) => {
      if (request.url.endsWith("/v1/self/projection")) streams++;
      wasDown ||= !host.agent.status().connected;
      return next();
    };
    jump(72 * DAY_MS);
    fire();
    await eventually(() => streams === 1);
    const { id } = await manager.cluster.network("shop");
    await manager.cluster.endpoint(id, host.record.nodeId);
    await eventually(() => host.agent.projection()?.networks.length === 1);
    assert(!wasDown && host.agent.status().connected);
    assert(!host.lines.some(({ message }) => message.includes("down")));
    // Each projection was desired once, though two streams brought it.
    const desired = host.overlay.desired.slice(before - 1);
    assert.equal(new Set(desired).size, desired.length);
  },
);

Deno.test(
  "after a lost answer the same key is asked for, also by another process",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const clock = new HandClock();
    const host = await manager.join("one", { clock });
    await host.agent.ready;
    const before = serial(host);
    const { meddle, csrs } = losing();
    manager.meddle = meddle;
    clock.jump(72 * DAY_MS);
    await crank(clock, () => csrs.length >= 3);
    await host.stop();
    assert.equal(serial(host), before);
    host.start();
    const asked = csrs.length;
    await crank(clock, () => csrs.length > asked);
    assert.equal(new Set(csrs).size, 1);
    manager.meddle = straight;
    await crank(clock, () => serial(host) !== before);
    // The key in use was never pushed out by keys that nobody uses.
    const node = manager.plane.state.nodes.get(host.record.nodeId);
    assert.equal(node?.certificates.length, 2);
  },
);

/** A host whose certificate has run out by everybody's clock. */
async function expired(manager: TestManager, clock: WallClock): Promise<TestHost> {
  const { plane, cluster } = manager;
  await plane.writeOnce(cluster.manager, {
    kind: "cluster.update",
    body: { settings: { certificateValidityMs: 30_000 } },
  });
  clock.jump(-240_000);
  const host = await manager.join("one", { joinClock: clock });
  clock.jump(240_000);
  return host;
}

Deno.test(
  "a node whose certificate has run out gets a new one, and was never removed",
  sanitized,
  async () => {
    const clock = new WallClock();
    await using manager = await TestManager.start({ clock });
    const kinds = new Set<string>();
    let refused = 0;
    manager.meddle = async (request, principal, next) => {
      const { pathname } = new URL(request.url);
      kinds.add(`${principal.kind} ${pathname}`);
      // No certificate at first: that no stream is granted meanwhile proves nothing.
      if (pathname === PATH && refused < 5) return new Response(null, { status: 500 });
      const answer = await next();
      if (pathname.endsWith("/projection") && answer.status === 403) refused++;
      return answer;
    };
    const host = await expired(manager, clock);
    const before = serial(host);
    await eventually(() => host.agent.status().connected);
    await host.agent.ready;
    assert.notEqual(serial(host), before);
    assert(kinds.has(`recovering ${PATH}`));
    assert(kinds.has("node /v1/self/projection"));
    assert.equal(host.removed, 0);
  },
);

Deno.test(
  "an answer that was lost until its certificate ran out locks nobody out",
  sanitized,
  async () => {
    const managerClock = new WallClock();
    await using manager = await TestManager.start({ clock: managerClock });
    const clock = new HandClock();
    const host = await manager.join("one", { clock });
    await host.agent.ready;
    await manager.plane.writeOnce(manager.cluster.manager, {
      kind: "cluster.update",
      body: { settings: { certificateValidityMs: 30_000 } },
    });
    const before = serial(host);
    const { meddle, csrs } = losing();
    manager.meddle = meddle;
    // What is issued now has run out already when the next try comes.
    managerClock.jump(-240_000);
    clock.jump(72 * DAY_MS);
    await crank(clock, () => csrs.length >= 1);
    await host.stop();
    clock.jump(-72 * DAY_MS);
    managerClock.jump(240_000);
    manager.meddle = straight;
    clock.jump(72 * DAY_MS);
    host.start();
    await crank(clock, () => serial(host) !== before);
    const lost = serial(host);
    // It is taken up, though it has run out, for its key is on record; and renewed with another key.
    clock.jump(-72 * DAY_MS);
    await crank(clock, () => serial(host) !== lost);
    await eventually(() => host.agent.status().connected);
    assert.equal(host.removed, 0);
  },
);

Deno.test("a pending key that cannot be read is no pending key", sanitized, async () => {
  await using manager = await TestManager.start();
  const clock = new HandClock();
  const host = await manager.join("one", { clock });
  await host.agent.ready;
  const before = serial(host);
  Deno.writeTextFileSync(`${host.directory}/tls/pending.json`, '{"privateKey":');
  clock.jump(72 * DAY_MS);
  await crank(clock, () => serial(host) !== before);
});

Deno.test(
  "the only manager heals by itself when its certificate has run out",
  sanitized,
  async () => {
    const clock = new WallClock();
    clock.jump(-240_000);
    await using manager = await TestManager.start({
      clock,
      settings: { certificateValidityMs: 30_000 },
    });
    clock.jump(240_000);
    // Nobody can talk to it, itself included.
    const own = manager.own();
    const before = serial(own);
    await eventually(() => own.agent.status().connected);
    await own.agent.ready;
    assert.notEqual(serial(own), before);
    const worker = await manager.join("one");
    await worker.agent.ready;
  },
);
