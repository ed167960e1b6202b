import assert from "node:assert/strict";
import { type BootKeyFacts, decideBootKey, mayInstall, type PublishedBootKey } from "./mod.ts";

const kept: BootKeyFacts = {
  stored: { bootId: "boot-1", incarnation: "life-1" },
  journal: "intact",
  bootId: "boot-1",
  incarnation: "life-1",
  reportNumber: 7,
  seenBefore: null,
};

Deno.test("a boot key is kept while one kernel runs with it and the journal tells of it", () => {
  const table: readonly [Partial<BootKeyFacts>, string][] = [
    [{}, "keep"],
    [{ seenBefore: 6 }, "keep"],
    [{ seenBefore: 0 }, "keep"],
    // A copy has sent its seventh before; a restored machine did so in a former life.
    [{ seenBefore: 7 }, "copied-or-restored"],
    [{ seenBefore: 70 }, "copied-or-restored"],
    [{ stored: null }, "no-key"],
    [{ stored: null, journal: "missing" }, "no-key"],
    [{ bootId: "boot-2" }, "rebooted"],
    [{ journal: "missing" }, "journal-missing"],
    [{ journal: "damaged" }, "journal-damaged"],
    [{ incarnation: "life-2" }, "new-incarnation"],
  ];
  for (const [change, expected] of table) {
    const decision = decideBootKey({ ...kept, ...change });
    assert.equal(decision.kind === "keep" ? "keep" : decision.reason, expected);
  }
});

Deno.test("nothing is installed before the managers have this very key", () => {
  const own: PublishedBootKey = { key: "a", bootId: "boot-1", incarnation: "life-1" };
  assert.ok(mayInstall(own, { ...own }));
  assert.ok(!mayInstall(own, null));
  assert.ok(!mayInstall(own, { ...own, key: "b" }));
  assert.ok(!mayInstall(own, { ...own, bootId: "boot-2" }));
  assert.ok(!mayInstall(own, { ...own, incarnation: "life-2" }));
});
