import assert from "node:assert/strict";
import { encodeUtf8, newId } from "../base/mod.ts";
import {
  createStore,
  DataLostError,
  openSingleStore,
  OutcomeUnknownError,
  salvageStore,
} from "./mod.ts";
import { ELECTION_TIMING, TestManagers } from "./testing_managers.ts";
import { damage, openAlone, random, Recorder, withDirectory, withStore } from "./testing_store.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test(
  "all that one of three has is salvaged: snapshot, log, and what it never heard decided",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3, {
      timing: ELECTION_TIMING,
      snapshotEvery: 10,
      keepEntries: 3,
    });
    for (let number = 0; number < 25; number++) await managers.write(`write ${number}`);
    await managers.converged();
    const one = await managers.leader();
    for (const other of managers.all) if (other !== one) one.cutFrom(other);
    await assert.rejects(one.store.propose(encodeUtf8("unheard")), OutcomeUnknownError);
    const { lastIndex } = one.store.status();
    const expected = [...one.machine.entries, "unheard"];
    await one.stop();
    const { directory, id: memberId } = one;
    for (let time = 0; time < 2; time++) {
      const machine = new Recorder();
      const found = salvageStore({ directory, memberId, machine, random });
      assert.deepEqual(machine.entries, expected);
      assert.equal(machine.restored, 1);
      assert.equal(found.last.index, lastIndex);
      assert.ok(found.uncommitted >= 1, `${found.uncommitted} uncommitted`);
    }
  },
);

Deno.test("a disk that has lost what was promised with it is no base to go on from", async () => {
  await withStore(async (directory) => {
    const store = openAlone(directory, new Recorder());
    await store.propose(encodeUtf8("a"));
    await store.close();
    const salvage = () =>
      salvageStore({ directory, memberId: "founder", machine: new Recorder(), random });
    assert.equal(salvage().uncommitted, 0);
    Deno.copyFileSync(`${directory}/log.db`, `${directory}/whole`);
    damage(`${directory}/log.db`, Deno.statSync(`${directory}/log.db`).size - 100);
    assert.throws(salvage, DataLostError);
    Deno.copyFileSync(`${directory}/whole`, `${directory}/log.db`);
    const later = openAlone(directory, new Recorder());
    for (const text of ["b", "c"]) await later.propose(encodeUtf8(text));
    await later.close();
    assert.equal(salvage().uncommitted, 0);
    Deno.copyFileSync(`${directory}/whole`, `${directory}/log.db`);
    assert.throws(salvage, /has lost writes that were promised with it/);
  });
});

Deno.test("a store can begin with a state, in as many parts as it takes", async () => {
  await withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    const begun = Array.from({ length: 30 }, (_, number) => `${number} ${"x".repeat(20_000)}`);
    const incarnation = newId(random);
    const snapshot = encodeUtf8(JSON.stringify(begun));
    createStore({ directory, incarnation, random, memberId: "one", snapshot });
    for (const next of ["a", "b"]) {
      const machine = new Recorder();
      const store = openSingleStore({ directory, machine, random, onFailure: () => {} });
      await store.propose(encodeUtf8(next));
      begun.push(next);
      assert.deepEqual(machine.entries, begun);
      assert.deepEqual(store.status().voters, ["one"]);
      await store.close();
    }
  });
});
