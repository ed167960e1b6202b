import assert from "node:assert/strict";
import fc from "fast-check";
import { newId, present } from "../base/mod.ts";
import { type Entry, type Membership, MemoryStorage, type Ready } from "../raft/mod.ts";
import { LogDatabase } from "./database.ts";
import { RaftDisk, SNAPSHOT_PART_BYTES } from "./disk.ts";
import { DataLostError } from "./errors.ts";
import { Floor } from "./floor.ts";
import { createStore } from "./mod.ts";
import { Sealer } from "./seal.ts";
import { random, withDirectory } from "./testing_store.ts";

const membership: Membership = { voters: ["a"], learners: ["b"] };

function openDisk(directory: string): RaftDisk {
  const floor = Floor.open(`${directory}/floor`);
  const dataKey = Deno.readFileSync(`${directory}/data.key`);
  const sealer = new Sealer(dataKey, random);
  const database = new LogDatabase(`${directory}/log.db`, sealer, floor.incarnation);
  try {
    return new RaftDisk(database, floor);
  } catch (error) {
    database.close();
    floor.close();
    throw error;
  }
}

function withDisk(body: (directory: string) => void): Promise<void> {
  return withDirectory((parent) => {
    const directory = `${parent}/store`;
    createStore({ directory, incarnation: newId(random), random, memberId: "a" });
    body(directory);
    return Promise.resolve();
  });
}

const nothing: Ready = {
  early: [],
  chunks: [],
  snapshot: null,
  entries: [],
  hardState: null,
  mustSync: false,
  messages: [],
  committed: [],
  reads: [],
  lostReads: [],
};

/** What a member might do, in numbers that are brought into range when it is done. */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("append"), back: fc.nat(3), count: fc.nat(5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("commit"), back: fc.nat(3), count: fc.nat(5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("receive"), back: fc.nat(3), count: fc.nat(5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("compact"), back: fc.nat(3), count: fc.nat(5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("reopen"), back: fc.nat(3), count: fc.nat(5) }),
  },
);

/** The same member twice: on the disk, and in memory. */
class Twins {
  readonly directory: string;
  readonly memory = new MemoryStorage({ voters: ["a"], learners: [] });
  disk: RaftDisk;
  #serial = 0;
  #term = 1;

  constructor(directory: string) {
    this.directory = directory;
    this.disk = openDisk(directory);
  }

  append(back: number, count: number): void {
    const { lastIndex, snapshot } = this.#ends();
    const from = Math.max(snapshot + 1, lastIndex + 1 - back);
    if (from <= lastIndex) this.#term++;
    const entries = Array.from({ length: count }, (_, offset): Entry => ({
      index: from + offset,
      term: this.#term,
      kind: offset === 0 ? "noop" : "data",
      data: random.bytes(1 + random.below(200)),
    }));
    this.save({ ...nothing, entries });
  }

  save(ready: Ready): void {
    this.#serial++;
    const { lastIndex } = this.#ends();
    const last = ready.entries.at(-1)?.index ?? ready.snapshot?.index ?? lastIndex;
    const commit = Math.max(this.memory.snapshot().index, ready.snapshot?.index ?? 0, last - 3);
    const hardState = { term: this.#term, vote: "a", commit, serial: this.#serial };
    const whole = { ...ready, hardState, mustSync: true };
    this.disk.save(whole);
    this.memory.save(whole);
  }

  receive(beyond: number, parts: number): void {
    const index = this.#ends().lastIndex + 1 + beyond;
    const meta = { term: ++this.#term, index, membership };
    const chunks = Array.from({ length: parts + 1 }, (_, part) => ({
      meta,
      offset: part * 700,
      data: random.bytes(700),
    }));
    for (const chunk of chunks.slice(0, parts)) {
      this.disk.save({ ...nothing, chunks: [chunk] });
      this.memory.save({ ...nothing, chunks: [chunk] });
    }
    this.save({ ...nothing, chunks: chunks.slice(parts), snapshot: meta });
  }

  compact(back: number, keepEntries: number): void {
    const { lastIndex, snapshot } = this.#ends();
    const index = lastIndex - back;
    if (index <= snapshot) return;
    const meta = { term: this.memory.term(index), index, membership };
    const bytes = new Uint8Array(SNAPSHOT_PART_BYTES + 5000).fill(random.below(256));
    for (let offset = 0; offset < bytes.length; offset += SNAPSHOT_PART_BYTES) {
      const part = bytes.subarray(offset, offset + SNAPSHOT_PART_BYTES);
      assert.ok(this.disk.writePart(meta, offset, part));
    }
    assert.ok(this.disk.finishSnapshot(meta, keepEntries));
    this.memory.saveSnapshot(meta, bytes, { keepEntries });
  }

  reopen(): void {
    this.disk.close();
    this.disk = openDisk(this.directory);
  }

  compare(): void {
    const { disk, memory } = this;
    assert.deepEqual(disk.hardState(), memory.hardState());
    assert.equal(disk.floor, memory.hardState().serial);
    assert.deepEqual(disk.snapshot(), memory.snapshot());
    assert.deepEqual(disk.base(), memory.base());
    assert.equal(disk.lastIndex(), memory.lastIndex());
    for (let index = memory.base().index; index <= memory.lastIndex(); index++) {
      assert.equal(disk.term(index), memory.term(index), `term of ${index}`);
    }
    const first = memory.base().index + 1;
    if (first <= memory.lastIndex()) {
      const [from, to] = [first, memory.lastIndex()];
      for (const maxBytes of [1, 500, 1e9]) {
        assert.deepEqual(disk.entries(from, to, maxBytes), memory.entries(from, to, maxBytes));
      }
    }
    assert.deepEqual(Array.from(disk.snapshotBytes()), Array.from(memory.snapshotBytes()));
    const length = memory.snapshotBytes().length;
    let read = 0;
    for (let done = false; !done;) {
      const part = present(disk.snapshotPart(memory.snapshot(), read, 100_000), "a part");
      assert.deepEqual(part.data, memory.snapshotBytes().subarray(read, read + part.data.length));
      assert.ok(part.data.length > 0 || part.done);
      read += part.data.length;
      done = part.done;
    }
    assert.equal(read, length);
    assert.equal(disk.snapshotPart({ term: 0, index: 10 ** 9 }, 0, 1), null);
  }

  #ends(): { lastIndex: number; snapshot: number } {
    return { lastIndex: this.memory.lastIndex(), snapshot: this.memory.snapshot().index };
  }
}

Deno.test("a disk holds what the storage in memory holds, also after it was opened again", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 25 }),
      (steps) =>
        withDisk((directory) => {
          const twins = new Twins(directory);
          for (const { do: action, back, count } of steps) {
            if (action === "append") twins.append(back, count);
            else if (action === "receive") twins.receive(back, count);
            else if (action === "compact") twins.compact(back, count);
            else if (action === "reopen") twins.reopen();
            else twins.save(nothing);
            twins.compare();
          }
          twins.disk.close();
        }),
    ),
    { numRuns: 8 },
  );
});

Deno.test("every transaction that promises something is synced, also after one that need not be", () =>
  withDisk((directory) => {
    const floor = Floor.open(`${directory}/floor`);
    const sealer = new Sealer(Deno.readFileSync(`${directory}/data.key`), random);
    const database = new LogDatabase(`${directory}/log.db`, sealer, floor.incarnation);
    const synchronous = () => database.database.prepare("PRAGMA synchronous").get()?.synchronous;
    const FULL = 2;
    assert.equal(synchronous(), FULL);
    database.transactionWithoutSync(() => assert.equal(synchronous(), 1));
    assert.equal(synchronous(), FULL);
    assert.throws(() => database.transactionWithoutSync(() => database.run("nonsense")));
    assert.equal(synchronous(), FULL);
    database.close();
    floor.close();
  }));

Deno.test("entries that are no longer in memory are read from the disk", () =>
  withDisk((directory) => {
    const disk = openDisk(directory);
    for (let index = 1; index <= 30; index++) {
      const data = new Uint8Array(500_000).fill(index);
      const hardState = { term: 1, vote: "a", commit: 0, serial: index };
      const entries: Entry[] = [{ index, term: 1, kind: "data", data }];
      disk.save({ ...nothing, entries, hardState, mustSync: true });
    }
    const taken = disk.entries(2, 30, 1_200_000);
    assert.deepEqual(taken.map(({ index, data }) => [index, data[0]]), [[2, 2], [3, 3]]);
    for (let from = 1; from <= 30;) {
      const [first, ...more] = disk.entries(from, 30, 2_000_000);
      assert.equal(first?.index, from);
      from += 1 + more.length;
    }
    disk.close();
  }));

Deno.test("a snapshot of a member's own and one that a leader sends do not get in each other's way", () =>
  withDisk((directory) => {
    const twins = new Twins(directory);
    twins.append(0, 5);
    const own = { term: 1, index: 3, membership };
    const theirs = { term: 2, index: 40, membership };
    const chunk = (offset: number, fill: number) => ({
      meta: theirs,
      offset,
      data: new Uint8Array(100).fill(fill),
    });
    twins.disk.save({ ...nothing, chunks: [chunk(0, 1)] });
    assert.ok(twins.disk.writePart(own, 0, new Uint8Array(50).fill(9)));
    twins.disk.save({ ...nothing, chunks: [chunk(100, 2)] });
    assert.ok(twins.disk.finishSnapshot(own, 0));
    assert.deepEqual(twins.disk.snapshotBytes(), new Uint8Array(50).fill(9));
    assert.ok(twins.disk.writePart({ ...own, index: 4 }, 0, new Uint8Array(50)));
    const hardState = { term: 2, vote: null, commit: 40, serial: 9 };
    twins.disk.save({
      ...nothing,
      chunks: [chunk(200, 3)],
      snapshot: theirs,
      hardState,
      mustSync: true,
    });
    assert.ok(!twins.disk.writePart({ ...own, index: 4 }, 50, new Uint8Array(50)));
    assert.ok(!twins.disk.finishSnapshot({ ...own, index: 4 }, 0));
    twins.reopen();
    assert.equal(twins.disk.snapshotBytes().length, 300);
    assert.deepEqual(twins.disk.base(), { term: 2, index: 40 });
    twins.disk.close();
  }));

Deno.test("a row that is missing, or of another place, is a loss and not a shorter log", async () => {
  const edits = [
    "DELETE FROM entry WHERE position = (SELECT max(position) FROM entry)",
    "DELETE FROM entry WHERE position = 2",
    "DELETE FROM entry WHERE position = 1",
    "DELETE FROM hard_state",
    "DELETE FROM snapshot",
    "UPDATE entry SET term = 2 WHERE position = 5",
    "UPDATE entry SET kind = 1 WHERE position = 3",
    "UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE position = 3) WHERE position = 2",
    "UPDATE entry SET sealed = zeroblob(100) WHERE position = 4",
  ];
  for (const edit of edits) {
    await withDisk((directory) => {
      const twins = new Twins(directory);
      twins.append(0, 5);
      twins.disk.close();
      openDisk(directory).close();
      const floor = Floor.open(`${directory}/floor`);
      const sealer = new Sealer(Deno.readFileSync(`${directory}/data.key`), random);
      const database = new LogDatabase(`${directory}/log.db`, sealer, floor.incarnation);
      database.run(edit);
      database.close();
      floor.close();
      assert.throws(() => openDisk(directory), DataLostError, edit);
    });
  }
});
