import assert from "node:assert/strict";
import { newId } from "../base/mod.ts";
import { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord } from "../node/mod.ts";
import { systemRandom } from "../sys/mod.ts";
import { settleStore, StoreExchange } from "./store_exchange.ts";

const RECORD: NodeRecord = {
  v: 1,
  clusterId: newId(systemRandom),
  nodeId: newId(systemRandom),
  role: "manager",
  controlAddress: "192.0.2.1:7443",
  vtepAddress: "192.0.2.1",
  managers: [
    { id: newId(systemRandom), address: "192.0.2.2:7443" },
    { id: newId(systemRandom), address: "192.0.2.3:7443" },
  ],
  incarnation: { generation: 0, id: newId(systemRandom) },
};
const INCARNATION = { generation: 1, id: newId(systemRandom) };
const RECOVERED: NodeRecord = {
  ...RECORD,
  managers: [{ id: RECORD.nodeId, address: RECORD.controlAddress }],
  incarnation: INCARNATION,
};

/** The process ends here. */
class Killed extends Error {}

/** Runs `work`, and ends it before the effect of this number; whether it was. */
function killedAt(number: number, work: () => void): boolean {
  let left = number;
  const guarded = <T extends unknown[], R>(real: (...given: T) => R) =>
    function (this: unknown, ...given: T): R {
      if (left-- === 0) throw new Killed();
      return real.apply(this, given);
    };
  const { renameSync, removeSync } = Deno;
  const { write, remove } = StateFiles.prototype;
  Object.assign(Deno, { renameSync: guarded(renameSync), removeSync: guarded(removeSync) });
  Object.assign(StateFiles.prototype, { write: guarded(write), remove: guarded(remove) });
  try {
    work();
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    Object.assign(Deno, { renameSync, removeSync });
    Object.assign(StateFiles.prototype, { write, remove });
  }
}

/** A manager's directories, with stores of which only the names matter. */
function withManager(work: (stateDir: string, begin: () => StoreExchange) => void): void {
  const stateDir = Deno.makeTempDirSync({ prefix: "agent-exchange-" });
  const directories = { stateDir, runDir: stateDir };
  try {
    work(stateDir, () => {
      for (const { name } of Deno.readDirSync(stateDir)) {
        Deno.removeSync(`${stateDir}/${name}`, { recursive: true });
      }
      new IdentityStore(new StateFiles(stateDir)).writeRecord(RECORD);
      makeStore(`${stateDir}/store`, "old");
      return new StoreExchange(directories);
    });
  } finally {
    Deno.removeSync(stateDir, { recursive: true });
  }
}

function makeStore(path: string, which: string): void {
  Deno.mkdirSync(path);
  Deno.writeTextFileSync(`${path}/log.db`, which);
}

/** Which manager there is: its store and its record are of the same incarnation, and nothing is beside them. */
function wholeManager(stateDir: string): "old" | "new" {
  const which = Deno.readTextFileSync(`${stateDir}/store/log.db`);
  const record = new IdentityStore(new StateFiles(stateDir)).readRecord();
  assert.deepEqual(record, which === "old" ? RECORD : RECOVERED);
  assert.deepEqual([...Deno.readDirSync(stateDir)].map(({ name }) => name).sort(), [
    "node.json",
    "store",
  ]);
  assert.deepEqual([...Deno.readDirSync(`${stateDir}/store`)].map(({ name }) => name), ["log.db"]);
  return which === "old" ? "old" : "new";
}

Deno.test("a recovery that is killed at any moment leaves the old manager or the new one, whole", () => {
  withManager((stateDir, begin) => {
    const found: string[] = [];
    for (let number = 0;; number++) {
      const exchange = begin();
      const isKilled = killedAt(number, () => {
        makeStore(exchange.newStore, "new");
        exchange.complete({ incarnation: INCARNATION });
        exchange.exchange();
      });
      settleStore({ stateDir, runDir: stateDir });
      found.push(wholeManager(stateDir));
      if (!isKilled) break;
    }
    // The record of the new store, then the two renames, the node's record, and what is taken away.
    assert.deepEqual(found, ["old", "old", ...Array(6).fill("new")]);
  });
});

Deno.test("what finishes a recovery may be killed as well, again and again", () => {
  withManager((stateDir, begin) => {
    for (let number = 0; number < 6; number++) {
      const exchange = begin();
      killedAt(number, () => {
        makeStore(exchange.newStore, "new");
        exchange.complete({ incarnation: INCARNATION });
        exchange.exchange();
      });
      let tries = 0;
      while (killedAt(3, () => settleStore({ stateDir, runDir: stateDir }))) {
        assert.ok(tries++ < 10, "each try comes further");
      }
      wholeManager(stateDir);
    }
  });
});

Deno.test("a new store that is not complete never counts", () => {
  withManager((stateDir, begin) => {
    const exchange = begin();
    makeStore(exchange.newStore, "new");
    Deno.renameSync(`${stateDir}/store`, `${stateDir}/store.old`);
    settleStore({ stateDir, runDir: stateDir });
    assert.equal(wholeManager(stateDir), "old");
  });
});
