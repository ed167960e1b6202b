import assert from "node:assert/strict";
import { InvariantError } from "../base/mod.ts";
import { Log } from "./log.ts";
import { MemoryStorage } from "./memory_storage.ts";
import type { Ready } from "./ready.ts";
import { type Entry, NO_BYTES } from "./types.ts";

const membership = { voters: ["a"], learners: [] };

function entriesOf(from: number, ...terms: number[]): Entry[] {
  return terms.map((term, at) => ({ index: from + at, term, kind: "data", data: NO_BYTES }));
}

function ready(parts: Partial<Ready>): Ready {
  return {
    early: [],
    chunks: [],
    snapshot: null,
    entries: [],
    hardState: null,
    mustSync: true,
    messages: [],
    committed: [],
    reads: [],
    lostReads: [],
    ...parts,
  };
}

/** A log whose entries of these terms are on disk. */
function logOf(...terms: number[]): { log: Log; storage: MemoryStorage } {
  const storage = new MemoryStorage(membership);
  storage.save(ready({ entries: entriesOf(1, ...terms) }));
  return { log: new Log(storage), storage };
}

function termsOf(log: Log): (number | null)[] {
  return Array.from({ length: log.last.index }, (_, at) => log.term(at + 1));
}

Deno.test("entries are the same before and after they are saved", () => {
  const { log, storage } = logOf(1, 1);
  const entries = entriesOf(3, 2, 3);
  log.append(entries);
  assert.deepEqual(termsOf(log), [1, 1, 2, 3]);
  assert.equal(log.savedIndex, 2);
  storage.save(ready({ entries }));
  log.saved(null, entries);
  assert.deepEqual(termsOf(log), [1, 1, 2, 3]);
  assert.equal(log.savedIndex, 4);
  assert.deepEqual(log.unsaved, []);
});

Deno.test("what was overruled while it was being written does not count as saved", () => {
  const { log, storage } = logOf(1, 1);
  const written = entriesOf(3, 1, 1, 1);
  log.append(written);
  log.truncateFrom(4);
  log.append(entriesOf(4, 2));
  storage.save(ready({ entries: written }));
  log.saved(null, written);
  assert.deepEqual(termsOf(log), [1, 1, 1, 2]);
  assert.equal(log.savedIndex, 2, "entry 3 is written again, which does no harm");
  assert.deepEqual(log.unsaved, entriesOf(3, 1, 2));
  assert.deepEqual(log.last, { term: 2, index: 4 });
});

Deno.test("entries that were saved and overruled are not seen any more", () => {
  const { log } = logOf(1, 1, 1, 1);
  log.truncateFrom(2);
  assert.deepEqual(log.last, { term: 1, index: 1 });
  assert.equal(log.term(3), null);
  log.append(entriesOf(2, 2));
  assert.deepEqual(termsOf(log), [1, 2]);
});

Deno.test("a received snapshot stands for everything until it is installed, and after", () => {
  const { log, storage } = logOf(1, 1);
  const snapshot = { term: 3, index: 7, membership };
  log.restore(snapshot);
  assert.deepEqual([log.term(1), log.term(7), log.last.index, log.commit], [null, 3, 7, 7]);
  log.append(entriesOf(8, 3));
  const entries = [...log.unsaved];
  storage.save(ready({ snapshot, entries }));
  log.saved(snapshot, entries);
  assert.deepEqual([log.term(6), log.term(7), log.term(8)], [null, 3, 3]);
  assert.deepEqual([log.applied, log.savedIndex], [7, 8]);
});

Deno.test("entries come as many as fit, and at least one", () => {
  const { log } = logOf(1, 1, 1);
  log.append(entriesOf(4, 1, 1, 1));
  const indexes = (from: number, maxBytes: number) =>
    log.entries(from, 6, maxBytes).map((entry) => entry.index);
  assert.deepEqual(indexes(1, 0), [1]);
  assert.deepEqual(indexes(1, 128), [1, 2]);
  assert.deepEqual(indexes(1, 1000), [1, 2, 3], "the unsaved ones come with the next call");
  assert.deepEqual(indexes(4, 0), [4]);
  assert.deepEqual(indexes(4, 128), [4, 5]);
  assert.deepEqual(indexes(4, 1000), [4, 5, 6]);
  assert.deepEqual(indexes(7, 1000), []);
});

Deno.test("where two logs may agree at best", () => {
  const { log, storage } = logOf(1, 1, 1, 4, 4, 5, 5, 6, 6, 6);
  const table: [from: number, term: number, index: number, found: number][] = [
    [10, 6, 10, 6],
    [10, 5, 7, 5],
    [10, 3, 3, 1],
    [5, 6, 5, 4],
    [99, 4, 5, 4],
    [2, 0, 0, 0],
  ];
  for (const [from, term, index, found] of table) {
    assert.deepEqual(log.lastNotAbove(from, term), { term: found, index }, `${from} ${term}`);
  }
  storage.save(ready({ hardState: { term: 6, vote: null, commit: 6, serial: 1 } }));
  storage.saveSnapshot({ term: 5, index: 6, membership }, NO_BYTES, { keepEntries: 1 });
  assert.deepEqual(log.lastNotAbove(10, 2), { term: 0, index: 4 }, "the log does not reach there");
});

Deno.test("what figure 3 of the paper forbids stops the program", () => {
  const { log } = logOf(1, 1, 2);
  log.commitTo(2);
  const forbidden: [string, () => void][] = [
    ["committed entries go", () => log.truncateFrom(2)],
    ["the commit index goes back", () => log.commitTo(1)],
    ["what is not there is committed", () => log.commitTo(4)],
    ["a gap in the log", () => log.append(entriesOf(5, 2))],
    ["terms that go back", () => log.append(entriesOf(4, 1))],
    [
      "a snapshot that takes committed entries away",
      () => log.restore({ term: 2, index: 2, membership }),
    ],
    ["what is not committed is applied", () => log.appliedTo(3)],
  ];
  for (const [what, act] of forbidden) assert.throws(act, InvariantError, what);
  assert.deepEqual(termsOf(log), [1, 1, 2]);
});
