import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { concatBytes, decodeBase32, encodeUtf8, newId, sha256 } from "../base/mod.ts";
import { DataLostError } from "./mod.ts";
import { LogDatabase } from "./database.ts";
import { Floor } from "./floor.ts";
import { FOUNDER, migrate, nameFounder } from "./migration.ts";
import { Sealer } from "./seal.ts";
import { openAlone, random, Recorder, withDirectory } from "./testing_store.ts";

/** Writes a store as version 1 of the format was: entries 1 … 10 in a snapshot, 11 … 20 after it. */
function writeVersionOne(directory: string, options: { readonly floorIndex: number }): void {
  Deno.mkdirSync(directory);
  const incarnation = newId(random);
  const dataKey = random.bytes(32);
  Deno.writeFileSync(`${directory}/data.key`, dataKey);
  const floor = new Uint8Array(64);
  const view = new DataView(floor.buffer);
  view.setBigUint64(0, 12n);
  floor.set(decodeBase32(incarnation), 8);
  view.setBigUint64(24, 1n);
  view.setBigUint64(32, BigInt(options.floorIndex));
  floor.set(sha256(floor.subarray(0, 48)).subarray(0, 16), 48);
  Deno.writeFileSync(`${directory}/floor`, concatBytes(floor, new Uint8Array(4096 + 64 - 64)));

  const database = new DatabaseSync(`${directory}/log.db`);
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE format (version INTEGER NOT NULL) STRICT;
    CREATE TABLE entry (
      position INTEGER PRIMARY KEY, term INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
    CREATE TABLE snapshot (
      position INTEGER PRIMARY KEY, term INTEGER NOT NULL, parts INTEGER NOT NULL) STRICT;
    CREATE TABLE snapshot_part (
      position INTEGER NOT NULL, part INTEGER NOT NULL, sealed BLOB NOT NULL,
      PRIMARY KEY (position, part)) STRICT, WITHOUT ROWID;
    INSERT INTO format VALUES (1);
    INSERT INTO snapshot VALUES (10, 1, 1);
  `);
  const sealer = new Sealer(dataKey, random);
  const seal = (data: Uint8Array, place: string) =>
    sealer.seal(data, encodeUtf8(`${incarnation}/${place}`));
  const kept = JSON.stringify(Array.from({ length: 10 }, (_, index) => `entry ${index + 1}`));
  database.prepare("INSERT INTO snapshot_part VALUES (10, 0, ?)")
    .run(seal(encodeUtf8(kept), "snapshot/0/1/10"));
  for (let index = 11; index <= 20; index++) {
    database.prepare("INSERT INTO entry VALUES (?, 1, ?)")
      .run(index, seal(encodeUtf8(`entry ${index}`), `entry/1/${index}`));
  }
  database.close();
}

const all = Array.from({ length: 20 }, (_, index) => `entry ${index + 1}`);

Deno.test("a store of version 1 opens with all that is in it, and goes on", () =>
  withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    writeVersionOne(directory, { floorIndex: 20 });
    for (const expected of [20, 21]) {
      const machine = new Recorder();
      const store = openAlone(directory, machine);
      assert.deepEqual(machine.entries.slice(0, 20), all);
      assert.equal(machine.entries.length, expected);
      await store.propose(encodeUtf8("more"));
      await store.close();
    }
  }));

Deno.test("a store of version 1 that lost its end is refused, and left as it is", () =>
  withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    writeVersionOne(directory, { floorIndex: 21 });
    assert.throws(() => openAlone(directory, new Recorder()), (error) => {
      assert.ok(error instanceof DataLostError);
      assert.match(error.message, /ends at entry 20, and entry 21 was acknowledged/);
      return true;
    });
    await Promise.resolve();
    const database = new DatabaseSync(`${directory}/log.db`);
    assert.equal(database.prepare("SELECT version FROM format").get()?.version, 1);
    database.close();
  }));

Deno.test("a store of version 1 whose database is gone is refused; one never opened is empty", () =>
  withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    writeVersionOne(directory, { floorIndex: 20 });
    Deno.removeSync(`${directory}/log.db`);
    assert.throws(() => openAlone(directory, new Recorder()), DataLostError);

    writeVersionOne(`${parent}/fresh`, { floorIndex: 0 });
    Deno.removeSync(`${parent}/fresh/log.db`);
    const machine = new Recorder();
    const store = openAlone(`${parent}/fresh`, machine);
    assert.equal(await store.propose(encodeUtf8("first")), 1);
    await store.close();
  }));

Deno.test("the founder of a store of version 1 gets its name once", () =>
  withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    writeVersionOne(directory, { floorIndex: 20 });
    await Promise.resolve();
    const floor = Floor.open(`${directory}/floor`);
    const dataKey = Deno.readFileSync(`${directory}/data.key`);
    const path = `${directory}/log.db`;
    const database = new LogDatabase(path, new Sealer(dataKey, random), floor.incarnation);
    migrate(database, floor, path);
    assert.deepEqual(database.readSnapshot()?.membership?.voters, [FOUNDER]);
    nameFounder(database, "a");
    nameFounder(database, "b");
    assert.deepEqual(database.readSnapshot()?.membership?.voters, ["a"]);
    assert.equal(database.readHardState().vote, "a");
    database.close();
    floor.close();
  }));
