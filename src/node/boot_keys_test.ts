// needs: root
import assert from "node:assert/strict";
import { decodeUtf8, encodeBase64url, encodeUtf8, SecretBytes } from "../base/mod.ts";
import { agreeKey, bootKeyPair } from "../esp/mod.ts";
import type { BootKeys } from "./mod.ts";
import {
  becomeReady,
  CLUSTER_LIFE,
  installation,
  Killed,
  NETWORK,
  OTHER_LIFE,
  projection,
  reasons,
  TestRun,
} from "./testing_boot_keys.ts";

/** The usable key, or null. */
function usable({ pair }: BootKeys): string | null {
  return pair === null ? null : encodeBase64url(pair.publicKey);
}

Deno.test("a key is given out when the managers have this very key, and have answered this process", () => {
  using run = new TestRun();
  const { keys } = run.start();
  assert.deepEqual(keys.nextReport(), { number: 1001, bootKey: null });
  keys.projected(projection(null));
  const { number, bootKey } = keys.nextReport();
  assert(bootKey !== null);
  assert.deepEqual([bootKey.bootId, bootKey.incarnation], ["boot-1", CLUSTER_LIFE]);
  // The stream is quicker than the answer.
  keys.projected(projection(bootKey.publicKey));
  assert.equal(usable(keys), null);
  keys.answered(1001, { seenBefore: 0 });
  assert.equal(usable(keys), null, "that report was made when there was no key yet");
  keys.answered(number, { seenBefore: 1001 });
  assert.equal(usable(keys), bootKey.publicKey);
  keys.projected(projection(encodeBase64url(new Uint8Array(32))));
  assert.equal(usable(keys), null, "the managers have another one");
});

Deno.test("a restarted agent takes up its key, and asks before it uses it", () => {
  using run = new TestRun();
  const first = run.ready().keys;
  first.record([installation(1), installation(2)]);
  const { keys } = run.start();
  assert.equal(usable(keys), null);
  const publicKey = usable(first);
  keys.projected(projection(publicKey));
  assert.equal(usable(keys), null, "no manager has answered this process");
  const { number, bootKey } = keys.nextReport();
  assert.equal(bootKey?.publicKey, publicKey);
  keys.answered(number, { seenBefore: number - 1 });
  const seed = new SecretBytes(new Uint8Array(32).fill(7));
  const peer = bootKeyPair(seed).publicKey;
  assert(keys.pair !== null && first.pair !== null);
  assert(agreeKey(keys.pair, peer).equals(agreeKey(first.pair, peer)), "the private half too");
  assert(keys.journal.has(installation(1)) && keys.journal.has(installation(2)));
  assert(!keys.journal.has(installation(3)));
  assert.equal(keys.journal.size, 2);
});

Deno.test("numbers of reports only grow, whatever happens", () => {
  using run = new TestRun();
  const { keys } = run.start(500);
  keys.projected(projection(null));
  assert.deepEqual([1, 2, 3].map(() => keys.nextReport().number), [501, 502, 503]);
  const again = run.start(2).keys;
  assert.equal(again.nextReport().number, 504);
  // A manager knows better: this machine was put back to an earlier day.
  again.answered(504, { seenBefore: 9000 });
  assert.equal(again.nextReport().number, 9001);
  assert.equal(run.start(2).keys.nextReport().number, 9002);
});

Deno.test("what makes a key useless makes for another one, and for an empty journal", () => {
  const table: readonly [string, (run: TestRun) => void][] = [
    ["no-key", (run) => run.wipe()],
    ["no-key", (run) => run.disk.remove("boot.key")],
    ["no-key", (run) => run.disk.replace("boot.key", encodeUtf8("{}"))],
    ["journal-missing", (run) => run.disk.remove("journal")],
    ["journal-damaged", (run) => run.disk.replace("journal", encodeUtf8(""))],
    ["journal-damaged", (run) => run.disk.replace("journal", Uint8Array.of(0xff, 0x0a))],
    ["rebooted", (run) => void (run.bootId = "boot-2")],
  ];
  for (const [reason, damage] of table) {
    using run = new TestRun();
    const before = run.ready().keys;
    before.record([installation(1)]);
    damage(run);
    const { keys } = run.start();
    becomeReady(keys);
    assert.notEqual(usable(keys), usable(before));
    assert.equal(keys.journal.size, 0);
    assert.deepEqual(reasons(run), ["no-key", reason]);
  }
});

Deno.test("a key that another machine has used, or that is of another life of the cluster, is changed at once", () => {
  using run = new TestRun();
  const { keys } = run.ready();
  const first = keys.pair;
  const { number } = keys.nextReport();
  assert.equal(keys.answered(number, { seenBefore: number }), "new-key");
  assert.equal(usable(keys), null);
  // A late answer to an earlier report tells nothing of the new key.
  assert.equal(keys.answered(number, { seenBefore: number }), "same-key");
  becomeReady(keys);
  const second = keys.pair;
  assert(second !== null && second !== first);
  keys.projected(projection(encodeBase64url(second.publicKey), OTHER_LIFE));
  assert.equal(usable(keys), null);
  becomeReady(keys, OTHER_LIFE);
  assert(keys.pair !== null && keys.pair !== second);
  assert.deepEqual(reasons(run), ["no-key", "copied-or-restored", "new-incarnation"]);
});

Deno.test("killed at any step of making a key, an agent finds no key or a whole one", () => {
  for (let steps = 0; steps < 4; steps++) {
    using run = new TestRun();
    const old = run.ready().keys;
    old.record([installation(1)]);
    const { keys, files } = run.start();
    becomeReady(keys);
    files.left = steps;
    // What writes fails is told, and there is no key then.
    keys.projected(projection(null, OTHER_LIFE));
    if (files.isDead) assert.equal(usable(keys), null);
    const found = run.start().keys;
    becomeReady(found);
    const isOld = usable(found) === usable(old);
    assert.equal(isOld, steps === 0, `after ${steps} steps`);
    assert.equal(found.journal.has(installation(1)), isOld, "the old key with its journal");
    assert.equal(run.lines.some(({ fields }) => fields.reason === "journal-damaged"), steps === 1);
  }
});

Deno.test("a key whose files cannot be written is not used, and made as soon as they can", () => {
  using run = new TestRun();
  const { keys } = run.start();
  Deno.writeTextFileSync(run.directory, "no directory");
  keys.projected(projection(null));
  assert.equal(keys.nextReport().bootKey, null);
  assert(run.lines.some(({ level, message }) => level === "error" && /make room/.test(message)));
  Deno.removeSync(run.directory);
  assert.notEqual(keys.nextReport().bootKey, null);
});

Deno.test("what was lost of /run while the agent runs is written again from memory", () => {
  using run = new TestRun();
  const { keys } = run.ready();
  keys.record([installation(1)]);
  run.wipe();
  keys.record([installation(2)]);
  run.disk.remove("journal");
  keys.nextReport();
  const again = run.ready().keys;
  assert.equal(usable(again), usable(keys));
  assert(again.journal.has(installation(1)) && again.journal.has(installation(2)));
  // Somebody writes into it: that is put right as well.
  Deno.writeTextFileSync(`${run.directory}/journal`, "install nonsense\n", { append: true });
  again.record([installation(3)]);
  const third = run.ready().keys;
  assert.equal(usable(third), usable(keys));
  assert.equal(third.journal.size, 3);
});

Deno.test("a record that was not written is no record, and does not spoil the next", () => {
  using run = new TestRun();
  const { keys, files } = run.ready();
  keys.record([installation(1)]);
  files.left = 0;
  files.last = "half";
  assert.throws(() => keys.record([2, 3, 5].map((spi) => installation(spi))), Killed);
  assert(!keys.journal.has(installation(2)));
  const again = run.ready().keys;
  again.record([installation(4)]);
  const third = run.ready().keys;
  assert(third.journal.has(installation(1)) && third.journal.has(installation(4)));
  assert(!third.journal.has(installation(3)));
  assert.equal(usable(third), usable(keys));
});

Deno.test("nothing is recorded without a usable key", () => {
  using run = new TestRun();
  const { keys } = run.start();
  assert.throws(() => keys.record([installation(1)]), /usable boot key/);
});

Deno.test("a journal that has grown is made shorter, and still closes what has retired", () => {
  using run = new TestRun();
  const { keys } = run.ready();
  for (let spi = 0; spi < 1000; spi++) keys.record([installation(spi, 1 + spi % 2)]);
  const before = run.disk.size("journal") ?? 0;
  keys.compact(new Map([[NETWORK, 1]]));
  const after = run.disk.size("journal") ?? 0;
  assert(after < 0.6 * before, `${before} bytes became ${after}`);
  assert.equal(keys.journal.size, 500);
  assert(keys.journal.has(installation(77, 1)), "retired, so never again");
  keys.record([installation(5000, 2)]);
  const again = run.ready().keys;
  assert(again.journal.has(installation(77, 1)) && again.journal.has(installation(5000, 2)));
  // A small one is left alone.
  const size = run.disk.size("journal");
  again.compact(new Map([[NETWORK, 2]]));
  assert.equal(run.disk.size("journal"), size);
});

Deno.test("when the host leaves, nothing of it stays", () => {
  using run = new TestRun();
  const { keys } = run.ready();
  keys.remove();
  assert.equal(usable(keys), null);
  assert.deepEqual(keys.nextReport().bootKey, null);
  assert.deepEqual([...Deno.readDirSync(run.directory)], []);
});

Deno.test("the private half is in its file and nowhere else", () => {
  using run = new TestRun();
  const { keys } = run.ready();
  const privateKey = encodeBase64url(keys.pair?.privateKey.reveal() ?? new Uint8Array());
  assert(decodeUtf8(run.disk.read("boot.key") ?? new Uint8Array()).includes(privateKey));
  const shown = [
    JSON.stringify(keys.pair),
    Deno.inspect(keys, { depth: 9 }),
    JSON.stringify(keys.nextReport()),
    JSON.stringify(run.lines),
    decodeUtf8(run.disk.read("journal") ?? new Uint8Array()),
  ];
  for (const text of shown) assert(!text.includes(privateKey), text);
  run.disk.replace("boot.key", encodeUtf8(`{"v":1,"privateKey":"${privateKey}"`));
  run.start();
  assert(!JSON.stringify(run.lines).includes(privateKey));
  assert.equal((Deno.statSync(`${run.directory}/boot.key`).mode ?? 0) & 0o777, 0o600);
});
