import assert from "node:assert/strict";
import { newId, sha256 } from "../base/mod.ts";
import { DataLostError } from "./errors.ts";
import { Floor } from "./floor.ts";

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

Deno.test("a floor keeps its last serial and the incarnation", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    for (let serial = 1; serial <= 5; serial++) floor.raise(serial);
    floor.close();
    const again = Floor.open(path);
    assert.equal(again.serial, 5);
    assert.equal(again.incarnation, incarnation);
    again.close();
    assert.throws(() => Floor.create(path, incarnation), Deno.errors.AlreadyExists);
  }));

Deno.test("a torn write leaves the serial before it", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    floor.raise(1);
    floor.raise(2);
    floor.close();
    damage(path, 4096 + 36); // the second raise is the third record: slot 1
    const again = Floor.open(path);
    assert.equal(again.serial, 1);
    again.close();
  }));

Deno.test("with both slots damaged it is data loss, not a fresh start", () =>
  withPath((path) => {
    const floor = Floor.create(path, incarnation);
    floor.raise(1);
    floor.close();
    damage(path, 36);
    damage(path, 4096 + 36);
    assert.throws(() => Floor.open(path), DataLostError);
  }));

Deno.test("a floor of version 0 says where the log ended, until it is raised", () =>
  withPath((path) => {
    Floor.create(path, incarnation).close();
    const bytes = Deno.readFileSync(path);
    const view = new DataView(bytes.buffer);
    const slot = 4096; // the first record has sequence 1
    view.setBigUint64(slot + 24, 1n);
    view.setBigUint64(slot + 32, 42n);
    view.setBigUint64(slot + 40, 0n);
    bytes.set(sha256(bytes.subarray(slot, slot + 48)).subarray(0, 16), slot + 48);
    Deno.writeFileSync(path, bytes);
    const floor = Floor.open(path);
    assert.deepEqual(floor.legacy, { term: 1, index: 42 });
    assert.equal(floor.serial, 0);
    floor.raise(1);
    floor.close();
    const again = Floor.open(path);
    assert.equal(again.legacy, null);
    assert.equal(again.serial, 1);
    again.close();
  }));
