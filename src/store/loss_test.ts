import assert from "node:assert/strict";
import { DataLostError, StoreFailedError } from "./mod.ts";
import { ELECTION_TIMING, eventually, type TestManager, TestManagers } from "./testing_managers.ts";
import { damage, run, withDirectory } from "./testing_store.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const FILES = ["log.db", "log.db-wal", "floor"];

/** The files as a crash would leave them. */
function copyFiles(manager: TestManager): Map<string, Uint8Array> {
  return new Map(FILES.map((name) => [name, Deno.readFileSync(`${manager.directory}/${name}`)]));
}

function putFiles(manager: TestManager, files: ReadonlyMap<string, Uint8Array>): void {
  for (const name of Deno.readDirSync(manager.directory)) {
    if (name.name.startsWith("log.db")) Deno.removeSync(`${manager.directory}/${name.name}`);
  }
  for (const [name, bytes] of files) Deno.writeFileSync(`${manager.directory}/${name}`, bytes);
}

async function followerOf(managers: TestManagers): Promise<TestManager> {
  await managers.converged();
  const leader = await managers.leader();
  const follower = managers.all.find((manager) => manager !== leader);
  assert.ok(follower !== undefined);
  return follower;
}

/** It refuses in words, the others go on, and the host comes back as a new member. */
async function assertReplaced(managers: TestManagers, lost: TestManager): Promise<void> {
  await assert.rejects(lost.start(), (error) => {
    assert.ok(error instanceof DataLostError, String(error));
    assert.match(error.message, /Remove this manager from the cluster|Remove it from the/);
    return true;
  });
  await managers.write("without it");
  const { store } = await managers.leader();
  await store.remove(lost.id);
  const joined = await managers.join();
  await managers.converged();
  assert.deepEqual(joined.machine.entries, store.isLeader ? joined.machine.entries : []);
}

Deno.test(
  "a follower whose log went back behind its floor refuses, and joins as a new one",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3);
    const follower = await followerOf(managers);
    const old = copyFiles(follower);
    for (let number = 0; number < 10; number++) await managers.write(`later ${number}`);
    await managers.converged();
    await follower.stop();
    const floor = Deno.readFileSync(`${follower.directory}/floor`);
    putFiles(follower, new Map([...old, ["floor", floor]]));
    await assertReplaced(managers, follower);
  },
);

Deno.test("a write-ahead log that was cut short, or damaged, is refused", sanitized, async () => {
  await using managers = await TestManagers.create(3);
  const follower = await followerOf(managers);
  for (let number = 0; number < 10; number++) await managers.write(`write ${number}`);
  await managers.converged();
  const whole = copyFiles(follower);
  await follower.stop();
  const wal = whole.get("log.db-wal");
  assert.ok(wal !== undefined && wal.length > 50_000);
  // The last commit is of the commit index alone at most: further back something was promised.
  for (const cut of [wal.slice(0, wal.length - 40_000), wal.slice(0, 5000), new Uint8Array()]) {
    putFiles(follower, new Map([...whole, ["log.db-wal", cut]]));
    await assert.rejects(follower.start(), DataLostError);
  }
  const flipped = wal.slice();
  flipped[wal.length - 40_000] = (flipped[wal.length - 40_000] ?? 0) ^ 1;
  putFiles(follower, new Map([...whole, ["log.db-wal", flipped]]));
  await assert.rejects(follower.start(), DataLostError);
  putFiles(follower, whole);
  await follower.start();
  await managers.converged();
});

Deno.test("a database with a damaged page is refused in words", sanitized, async () => {
  await using managers = await TestManagers.create(3);
  const follower = await followerOf(managers);
  for (let number = 0; number < 50; number++) {
    await managers.write(`write ${number} ${"x".repeat(500)}`);
  }
  await managers.converged();
  await follower.stop();
  const path = `${follower.directory}/log.db`;
  let whole = Deno.readFileSync(path);
  let refused = 0;
  const inRows = Array.from({ length: whole.length / 4096 }, (_, page) => page * 4096 + 2000);
  // The file's magic, and the kind of its first page: what SQLite itself finds.
  for (const offset of [5, 100, ...inRows]) {
    damage(path, offset);
    try {
      await follower.start();
    } catch (error) {
      assert.ok(error instanceof DataLostError, String(error));
      assert.match(error.message, /is damaged|the disk has lost data/);
      refused++;
      putFiles(follower, new Map([["log.db", whole]]));
      continue;
    }
    // That byte was nobody's: nothing is missing.
    await managers.converged();
    await follower.stop();
    whole = Deno.readFileSync(path);
  }
  assert.ok(refused > 3, `${refused} of ${whole.length / 4096} pages`);
  await follower.start();
  await managers.converged();
});

Deno.test(
  "a member that was put back as a whole is told by the leader, and takes no more part",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3);
    const follower = await followerOf(managers);
    const old = copyFiles(follower);
    for (let number = 0; number < 10; number++) await managers.write(`later ${number}`);
    await managers.converged();
    await follower.stop();
    putFiles(follower, old);
    await follower.start();
    await eventually(() => follower.failures.length > 0, () => "the leader tells it");
    const [failure] = follower.failures;
    assert.ok(failure instanceof DataLostError);
    assert.match(failure.message, /has acknowledged entry \d+ .* its disk has lost data/);
    await assert.rejects(follower.store.read(), DataLostError);
    await managers.write("the others go on");
    assert.ok(!follower.machine.entries.includes("the others go on"));
  },
);

Deno.test(
  "a follower whose disk is full stops, says why, and the others go on",
  sanitized,
  async () => {
    await withDirectory(async (parent) => {
      await run("mount", "-t", "tmpfs", "-o", "size=3m", "none", parent);
      try {
        await using managers = await TestManagers.create(2);
        const small = await managers.join(parent);
        const filler = "x".repeat(50_000);
        for (let number = 0; number < 120; number++) await managers.write(`${number} ${filler}`);
        await eventually(() => small.failures.length > 0, () => "its disk is full");
        const [failure] = small.failures;
        assert.ok(failure instanceof StoreFailedError);
        assert.match(failure.message, /The disk refused a write \(.*(full|space)/);
        assert.equal(small.failures.length, 1);
        await assert.rejects(small.store.propose(new Uint8Array(1)), StoreFailedError);
        const others = managers.all.filter((manager) => manager !== small);
        await managers.converged(others);
        await small.stop();

        await run("mount", "-o", "remount,size=64m", parent);
        await small.start();
        await managers.converged();
        await small.stop();
      } finally {
        await run("umount", parent);
      }
    });
  },
);

Deno.test(
  "a leader whose disk is full stops, and loses nothing that it acknowledged",
  sanitized,
  async () => {
    await withDirectory(async (parent) => {
      await run("mount", "-t", "tmpfs", "-o", "size=3m", "none", parent);
      try {
        await using managers = await TestManagers.create(2, { timing: ELECTION_TIMING });
        const small = await managers.join(parent);
        await (await managers.leader()).store.transferLeadership(small.id);
        await managers.leader([small]);
        const others = managers.all.filter((manager) => manager !== small);
        const filler = "x".repeat(50_000);
        for (let number = 0; number < 120; number++) {
          const among = small.failures.length > 0 ? others : managers.all;
          await managers.write(`${number} ${filler}`, among).catch((error) => {
            // What was asked of it as its disk filled up: nobody was told that it is done.
            assert.ok(error instanceof StoreFailedError, String(error));
          });
        }
        assert.equal(small.failures.length, 1);
        await managers.converged(others);
        await small.stop();
      } finally {
        await run("umount", parent);
      }
    });
  },
);
