import assert from "node:assert/strict";
import { NotLeaderError, OutcomeUnknownError } from "./mod.ts";
import { Proposals } from "./proposals.ts";

Deno.test("a proposal is done when its index and its term are applied", async () => {
  const proposals = new Proposals<string>();
  const first = proposals.wait({ term: 2, index: 7 });
  const second = proposals.wait({ term: 2, index: 8 });
  proposals.applied({ term: 2, index: 6 }, "of nobody");
  proposals.applied({ term: 2, index: 7 }, "first");
  proposals.applied({ term: 2, index: 8 }, "second");
  assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
  assert.equal(proposals.size, 0);
});

Deno.test("an entry of another term in a proposal's place means that it was not done", async () => {
  const proposals = new Proposals<string>();
  const replaced = proposals.wait({ term: 2, index: 7 });
  proposals.applied({ term: 3, index: 7 }, "another term's");
  await assert.rejects(replaced, NotLeaderError);
  const passed = proposals.wait({ term: 2, index: 8 });
  proposals.passed({ term: 3, index: 8 });
  await assert.rejects(passed, NotLeaderError);
});

Deno.test("who has lost the leadership knows of no proposal what becomes of it", async () => {
  const proposals = new Proposals<string>();
  const kept = proposals.wait({ term: 4, index: 9 });
  proposals.abandonAllBut(4);
  assert.equal(proposals.size, 1);
  proposals.abandonAllBut(null);
  await assert.rejects(kept, OutcomeUnknownError);
  const older = proposals.wait({ term: 4, index: 9 });
  proposals.abandonAllBut(6);
  await assert.rejects(older, OutcomeUnknownError);
});
