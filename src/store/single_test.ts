import assert from "node:assert/strict";
import { encodeUtf8, newId } from "../base/mod.ts";
import { createStore, DataLostError, openSingleStore, StoreFailedError } from "./mod.ts";
import { openAlone as open, random, Recorder, run, withStore } from "./testing_store.ts";

Deno.test("what was proposed is there after opening again, in order", async () => {
  await withStore(async (directory) => {
    const first = new Recorder();
    const store = open(directory, first);
    const answers = await Promise.all(
      ["a", "b", "c"].map((text) => store.propose(encodeUtf8(text))),
    );
    assert.deepEqual(answers, [1, 2, 3]);
    await store.close();

    const second = new Recorder();
    const again = open(directory, second);
    assert.deepEqual(second.entries, ["a", "b", "c"]);
    assert.equal(await again.propose(encodeUtf8("d")), 4);
    await again.close();
  });
});

Deno.test("a snapshot takes the place of the entries in it", async () => {
  await withStore(async (directory) => {
    const store = open(directory, new Recorder(), 10);
    const texts = Array.from({ length: 57 }, (_, index) => `${index}-${"x".repeat(20_000)}`);
    for (const text of texts) await store.propose(encodeUtf8(text));
    await store.close();

    const restored = new Recorder();
    const again = open(directory, restored, 10);
    assert.deepEqual(restored.entries, texts);
    await again.propose(encodeUtf8("after"));
    await again.close();
    const last = new Recorder();
    await open(directory, last).close();
    assert.equal(last.entries.length, 58);
  });
});

Deno.test("watchers hear of a batch before its proposers do", async () => {
  await withStore(async (directory) => {
    const store = open(directory, new Recorder());
    const order: string[] = [];
    const stop = store.watch((results) => order.push(`watched ${results}`));
    await Promise.all([
      store.propose(encodeUtf8("a")).then((answer) => order.push(`answered ${answer}`)),
      store.propose(encodeUtf8("b")).then((answer) => order.push(`answered ${answer}`)),
    ]);
    stop();
    await store.propose(encodeUtf8("c"));
    assert.deepEqual(order, ["watched 1,2", "answered 1", "answered 2"]);
    await store.close();
  });
});

Deno.test("a log that ends before what was acknowledged is refused", async () => {
  await withStore(async (directory) => {
    const store = open(directory, new Recorder());
    for (const text of ["a", "b", "c"]) await store.propose(encodeUtf8(text));
    await store.close();
    const floor = await Deno.readFile(`${directory}/floor`);

    const other = open(directory, new Recorder());
    await other.propose(encodeUtf8("d"));
    await other.close();
    const newer = await Deno.readFile(`${directory}/floor`);
    await Deno.writeFile(`${directory}/floor`, floor);
    await open(directory, new Recorder()).close(); // an older floor is no loss

    await Deno.writeFile(`${directory}/floor`, newer);
    await Deno.remove(`${directory}/log.db`);
    for (const tail of ["-wal", "-shm"]) {
      await Deno.remove(`${directory}/log.db${tail}`).catch(() => {});
    }
    assert.throws(() => open(directory, new Recorder()), DataLostError);
  });
});

Deno.test("a flipped byte anywhere in the files loses no acknowledged entry in silence", async () => {
  await withStore(async (directory) => {
    const texts = Array.from({ length: 40 }, (_, index) => `entry ${index}`);
    const parent = `${directory}-child`;
    await Deno.mkdir(parent);
    const store = open(directory, new Recorder());
    for (const text of texts) await store.propose(encodeUtf8(text));
    // The files as a crash would leave them: with a write-ahead log that was not folded in.
    const files = new Map<string, Uint8Array>();
    for (const name of ["log.db", "log.db-wal", "floor", "data.key"]) {
      files.set(name, await Deno.readFile(`${directory}/${name}`));
    }
    await store.close();

    let noticed = 0;
    const wal = files.get("log.db-wal");
    assert.ok(wal !== undefined && wal.length > 10_000);
    for (let offset = 100; offset < wal.length; offset += 1499) {
      for (const [name, bytes] of files) await Deno.writeFile(`${parent}/${name}`, bytes);
      const damaged = wal.slice();
      damaged[offset] = (damaged[offset] ?? 0) ^ 0x10;
      await Deno.writeFile(`${parent}/log.db-wal`, damaged);
      await Deno.remove(`${parent}/log.db-shm`).catch(() => {});
      const machine = new Recorder();
      try {
        await open(parent, machine).close();
        assert.deepEqual(machine.entries, texts, `byte ${offset}`);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        noticed++;
      }
    }
    assert.ok(noticed > 0, "no damage was noticed at all");
    await Deno.remove(parent, { recursive: true });
  });
});

Deno.test("on a full disk nothing more is acknowledged, and nothing acknowledged is lost", async () => {
  const parent = await Deno.makeTempDir();
  await run("mount", "-t", "tmpfs", "-o", "size=1m", "none", parent);
  try {
    const directory = `${parent}/store`;
    createStore({ directory, incarnation: newId(random), random });
    const failures: StoreFailedError[] = [];
    const store = openSingleStore<number>({
      directory,
      machine: new Recorder(),
      random,
      onFailure: (error) => failures.push(error),
    });
    let acknowledged = 0;
    const writeUntilRefused = async () => {
      for (;; acknowledged++) await store.propose(random.bytes(1000).fill(65));
    };
    await assert.rejects(writeUntilRefused(), StoreFailedError);
    await assert.rejects(store.propose(encodeUtf8("b")), StoreFailedError);
    await assert.rejects(store.read(), StoreFailedError);
    assert.equal(failures.length, 1);
    assert.ok(acknowledged > 50);
    await store.close();

    await run("mount", "-o", "remount,size=8m", parent);
    const machine = new Recorder();
    await open(directory, machine).close();
    assert.ok(machine.entries.length >= acknowledged);
  } finally {
    await run("umount", parent);
    await Deno.remove(parent);
  }
});

Deno.test("killed at any moment, a store has every entry it acknowledged, in order", async () => {
  await withStore(async (directory) => {
    let acknowledged = 0;
    for (let round = 0; round < 8; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          new URL("./testing_child.ts", import.meta.url).pathname,
          directory,
          String(acknowledged + 1),
        ],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const wanted = 1 + random.below(120);
      let text = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.split("\n").length > wanted) child.kill("SIGKILL");
      }
      await child.status;
      const numbers = text.split("\n").slice(0, -1).map(Number);
      assert.ok(numbers.length >= wanted);

      const machine = new Recorder();
      await open(directory, machine).close();
      const kept = machine.entries.map(Number);
      const last = numbers.at(-1) ?? 0;
      assert.ok(kept.length >= last, `acknowledged ${last}, kept ${kept.length}`);
      kept.forEach((number, index) => assert.equal(number, index + 1));
      acknowledged = kept.length;
    }
  });
});
