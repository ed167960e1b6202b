import assert from "node:assert/strict";
import { newId } from "../base/mod.ts";
import { DataLostError } from "./errors.ts";
import { Floor, isBefore } from "./floor.ts";

const incarnation = newId({ bytes: (length) => new Uint8Array(length).fill(7), below: () => 0 });

async function withPath(body: (path: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    body(`${directory}/floor`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function damage(path: string, offset: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  Deno.writeFileSync(path, bytes);
}

Deno.test("positions are ordered by term, then by index", () => {
  assert.ok(isBefore({ term: 1, index: 9 }, { term: 2, index: 1 }));
  assert.ok(isBefore({ term: 2, index: 1 }, { term: 2, index: 2 }));
  assert.ok(!isBefore({ term: 2, index: 2 }, { term: 2, index: 2 }));
  assert.ok(!isBefore({ term: 3, index: 1 }, { term: 2, index: 2 }));
});

Deno.test("a floor keeps its last position and the incarnation", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    for (let index = 1; index <= 5; index++) floor.raise({ term: 1, index });
    floor.close();
    const again = Floor.open(path);
    assert.deepEqual(again.position, { term: 1, index: 5 });
    assert.equal(again.incarnation, incarnation);
    again.close();
    assert.throws(() => Floor.create(path, incarnation), Deno.errors.AlreadyExists);
  }));

Deno.test("a torn write leaves the position before it", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    floor.raise({ term: 1, index: 1 });
    floor.raise({ term: 1, index: 2 });
    floor.close();
    damage(path, 4096 + 36); // the second raise is the third record: slot 1
    const again = Floor.open(path);
    assert.deepEqual(again.position, { term: 1, index: 1 });
    again.close();
  }));

Deno.test("with both slots damaged it is data loss, not a fresh start", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    floor.raise({ term: 1, index: 1 });
    floor.close();
    damage(path, 36);
    damage(path, 4096 + 36);
    assert.throws(() => Floor.open(path), DataLostError);
  }));
