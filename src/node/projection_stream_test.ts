// needs: root
import assert from "node:assert/strict";
import { encodeFrame, encodeUtf8, type JsonObject } from "../base/mod.ts";
import { eventually, HandClock, keepingLogger, realClock } from "../cluster/testing_plane.ts";
import { StreamFrame } from "../state/mod.ts";
import { systemRandom } from "../sys/mod.ts";
import { Dialer } from "../tls/mod.ts";
import { LeaderLink } from "./leader_link.ts";
import { type Membership, ProjectionStream } from "./projection_stream.ts";
import { type Meddle, type TestHost, TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const PATH = "/v1/self/projection";

/** Streams that the test writes itself. */
class Script {
  readonly #controllers: ReadableStreamDefaultController<Uint8Array>[] = [];

  readonly meddle: Meddle = (request, _principal, next) => {
    if (new URL(request.url).pathname !== PATH) return next();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void this.#controllers.push(controller),
    });
    return Promise.resolve(new Response(body));
  };

  get streams(): number {
    return this.#controllers.length;
  }

  send(stream: number, bytes: Uint8Array): void {
    try {
      this.#controllers[stream]?.enqueue(bytes);
    } catch {
      // The node has closed it.
    }
  }

  end(stream: number): void {
    this.#controllers[stream]?.close();
  }

  projection(
    stream: number,
    revision: number,
    header: JsonObject = {},
    incarnation = "first",
  ): void {
    const digest = `digest-${revision}`;
    const projection = { v: 1, incarnation, digest, networks: [] };
    this.send(
      stream,
      encodeFrame({
        kind: StreamFrame.projection,
        header: { stateTimeMs: 1, revision, digest, part: 0, parts: 1, managers: [], ...header },
        body: encodeUtf8(JSON.stringify(projection)),
      }),
    );
  }
}

/** A projection stream by itself, with a host's identity. */
function listen(host: TestHost, clock = new HandClock(), membership: Membership = "member") {
  const { identity, trust } = host.identity.readTls();
  const dialer = new Dialer({ identity, trust, clock: realClock });
  const { managers } = host.record;
  const logger = keepingLogger(host.lines);
  const ports = { clock: realClock, random: systemRandom, logger };
  const link = new LeaderLink({ dialer, managers, ...ports });
  const heard = { applied: [] as string[], received: 0, up: 0, down: 0, removed: 0, asked: 0 };
  const stream = new ProjectionStream({
    link,
    ...ports,
    clock,
    onProjection: ({ digest }) => heard.applied.push(digest),
    onReceived: () => void heard.received++,
    onManagers: () => {},
    onStateTime: () => {},
    onConnected: (state) => void heard[state]++,
    askMembership: () => {
      heard.asked++;
      return Promise.resolve(membership);
    },
    onRemoved: () => void heard.removed++,
  });
  return {
    stream,
    heard,
    clock,
    [Symbol.dispose]() {
      stream.close();
      link.close();
      dialer.closeAll();
    },
  };
}

/** A manager whose streams are scripted, and one host that does not listen by itself. */
async function setUp() {
  const manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  await host.stop();
  const script = new Script();
  manager.meddle = script.meddle;
  return { manager, host, script };
}

async function crank(clock: HandClock, condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.pass(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test(
  "a stream that takes another's place leaves no gap and brings nothing old",
  sanitized,
  async () => {
    const { manager, host, script } = await setUp();
    await using _ = manager;
    using listening = listen(host);
    const { stream, heard } = listening;
    await eventually(() => heard.up === 1);
    script.projection(0, 10);
    await eventually(() => heard.applied.length === 1);
    await stream.replace();
    assert.equal(script.streams, 2);
    // The old one speaks until the new one does.
    script.projection(0, 12);
    await eventually(() => heard.applied.length === 2);
    // The new one's first was made before that: it opens the window, and that is all.
    script.projection(1, 11);
    await eventually(() => heard.received === 3);
    assert.equal(stream.received, "digest-11");
    script.projection(0, 14);
    script.projection(1, 13);
    await eventually(() => heard.received === 4);
    assert.deepEqual(heard.applied, ["digest-10", "digest-12", "digest-13"]);
    assert.equal(heard.down, 0);
    assert(stream.connected);
  },
);

Deno.test("what has been applied is not applied again, but acknowledged", sanitized, async () => {
  const { manager, host, script } = await setUp();
  await using _ = manager;
  using listening = listen(host);
  const { heard } = listening;
  await eventually(() => heard.up === 1);
  script.projection(0, 10);
  script.projection(0, 10);
  await eventually(() => heard.received === 2);
  assert.deepEqual(heard.applied, ["digest-10"]);
  // A restored cluster counts anew.
  script.projection(0, 3, {}, "second");
  await eventually(() => heard.received === 3);
  assert.deepEqual(heard.applied, ["digest-10", "digest-3"]);
});

Deno.test("a stream that ends is opened again, as often as need be", sanitized, async () => {
  const { manager, host, script } = await setUp();
  await using _ = manager;
  using listening = listen(host);
  const { heard, clock } = listening;
  for (let stream = 0; stream < 3; stream++) {
    await crank(clock, () => heard.up === stream + 1);
    script.projection(stream, stream);
    await eventually(() => heard.received === stream + 1);
    script.end(stream);
    await eventually(() => heard.down === stream + 1);
  }
});

Deno.test("a stream that is silent for seven seconds is dead", sanitized, async () => {
  const { manager, host, script } = await setUp();
  await using _ = manager;
  using listening = listen(host);
  const { heard, clock } = listening;
  await eventually(() => heard.up === 1);
  clock.pass(6_000);
  const heartbeat = { kind: StreamFrame.heartbeat, header: {}, body: new Uint8Array() };
  script.send(0, encodeFrame(heartbeat));
  script.projection(0, 1);
  await eventually(() => heard.received === 1);
  clock.pass(6_999);
  assert(listening.stream.connected);
  clock.pass(1);
  await eventually(() => heard.down === 1);
  assert(host.lines.some(({ fields }) => String(fields.reason).includes("7000 ms")));
});

Deno.test(
  "what is no stream of projections ends it, and it is tried again",
  sanitized,
  async () => {
    const { manager, host, script } = await setUp();
    await using _ = manager;
    using listening = listen(host);
    const { heard, clock } = listening;
    const nonsense: ((stream: number) => void)[] = [
      (stream) => script.send(stream, encodeUtf8("HTTP is not what this is")),
      (stream) => script.projection(stream, 1, { part: 1, parts: 2 }),
      (stream) => script.projection(stream, 1, { digest: "another" }),
      (stream) => script.projection(stream, 1, { managers: "all of them" }),
    ];
    for (const [stream, speak] of nonsense.entries()) {
      await crank(clock, () => heard.up === stream + 1);
      speak(stream);
      await eventually(() => heard.down === stream + 1);
    }
    assert.deepEqual(heard.applied, []);
  },
);

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

Deno.test(
  "before the manager's certificate ends the stream is opened anew",
  sanitized,
  async () => {
    const { manager, host, script } = await setUp();
    await using _ = manager;
    using listening = listen(host);
    const { heard, clock } = listening;
    await eventually(() => heard.up === 1);
    const halfAMinute = async () => {
      for (let times = 0; times < 6; times++) {
        script.projection(0, ++revision);
        await eventually(() => stream.received === `digest-${revision}`);
        clock.pass(5_000);
      }
    };
    const { stream } = listening;
    let revision = 0;
    // 80 of 90 days: it may not have been renewed yet.
    clock.jump(80 * 86_400_000);
    await halfAMinute();
    assert.equal(script.streams, 1);
    clock.jump(86_400_000 + 60_000);
    await halfAMinute();
    await eventually(() => script.streams === 2);
    script.projection(1, ++revision);
    await eventually(() => stream.received === `digest-${revision}`);
    assert.equal(heard.down, 0);
  },
);
