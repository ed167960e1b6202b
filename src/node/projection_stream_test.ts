// needs: root
import assert from "node:assert/strict";
import { encodeFrame, encodeUtf8 } from "../base/mod.ts";
import { crank, eventually } from "../cluster/testing_clock.ts";
import { StreamFrame } from "../state/mod.ts";
import { listen, sanitized, setUp } from "./testing_stream.ts";

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
