import assert from "node:assert/strict";
import { Presence } from "./presence.ts";
import { HandClock } from "./testing_clock.ts";
import { factsOf, reportOf } from "./testing_plane.ts";

Deno.test("a node is alive while it reports and its stream is open", () => {
  const clock = new HandClock();
  const presence = new Presence(clock);
  assert.deepEqual(presence.of("a", false), {
    alive: false,
    lastSeenAtMs: null,
    lastError: null,
    ipsec: null,
    attached: new Set(),
  });
  // A stream that has just been opened, before the first report.
  assert.equal(presence.of("a", true).alive, true);
  const seenAtMs = clock.nowMs();
  presence.record("a", reportOf(factsOf("a"), { lastError: "no VXLAN", attached: ["e"] }));
  clock.pass(9_999);
  assert.deepEqual(presence.of("a", true), {
    alive: true,
    lastSeenAtMs: seenAtMs,
    lastError: "no VXLAN",
    ipsec: null,
    attached: new Set(["e"]),
  });
  assert.equal(presence.of("a", false).alive, false);
  clock.pass(1);
  assert.equal(presence.of("a", true).alive, false);
});

Deno.test("setting the wall clock makes nobody dead or alive", () => {
  const clock = new HandClock();
  const presence = new Presence(clock);
  presence.record("a", reportOf(factsOf("a")));
  clock.jump(3_600_000);
  assert.equal(presence.of("a", true).alive, true);
  clock.pass(10_000);
  clock.jump(-7_200_000);
  assert.equal(presence.of("a", true).alive, false);
});

Deno.test("who was removed was never seen", () => {
  const presence = new Presence(new HandClock());
  presence.record("a", reportOf(factsOf("a")));
  presence.forget("a");
  assert.equal(presence.of("a", false).lastSeenAtMs, null);
});
