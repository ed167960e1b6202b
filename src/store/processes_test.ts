import assert from "node:assert/strict";
import { ChildError, type ChildManager, ChildManagers } from "./testing_processes.ts";
import type { StreamStats } from "../tls/mod.ts";
import { WIDE_AREA_TIMING } from "./mod.ts";
import type { LoadResult } from "./testing_manager_child.ts";
import { pause } from "./testing_managers.ts";
import { random } from "./testing_store.ts";

/** Writes numbered entries through whoever leads, and keeps those that were acknowledged. */
class Writers {
  readonly acknowledged: string[] = [];
  readonly #managers: ChildManagers;
  #isOver = false;
  #done: Promise<unknown>;

  constructor(managers: ChildManagers, count: number) {
    this.#managers = managers;
    this.#done = Promise.all(Array.from({ length: count }, (_, writer) => this.#write(writer)));
  }

  /** Resolves when so many more were acknowledged: how quick a disk is, is no claim of these tests. */
  async more(count: number): Promise<void> {
    const enough = this.acknowledged.length + count;
    while (this.acknowledged.length < enough) await pause(10);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #write(writer: number): Promise<void> {
    let leader: ChildManager | null = null;
    for (let number = 0; !this.#isOver; number++) {
      const text = `${writer}/${number}`;
      try {
        leader ??= await this.#managers.leader();
        await leader.ask({ op: "propose", text });
        this.acknowledged.push(text);
      } catch (error) {
        // Which of these it is does not matter: what was not acknowledged is not counted on.
        if (!(error instanceof ChildError)) throw error;
        leader = null;
        await pause(10);
      }
    }
  }
}

async function assertNothingLost(managers: ChildManagers, writers: Writers): Promise<void> {
  const all = await managers.entries();
  const [first] = all;
  assert.ok(first !== undefined);
  for (const entries of all) {
    assert.deepEqual(entries, first, "managers have different logs");
    const kept = new Set(entries);
    assert.equal(kept.size, entries.length, "nothing is done twice");
    const lost = writers.acknowledged.filter((text) => !kept.has(text));
    assert.deepEqual(lost, [], "acknowledged writes are lost");
  }
}

Deno.test("killed at any moment under writes, managers keep every write that was acknowledged", async () => {
  await using managers = await ChildManagers.create(3, { snapshotEvery: 200 });
  const writers = new Writers(managers, 4);
  for (let round = 0; round < 6; round++) {
    await pause(random.below(400));
    const leader = await managers.leader();
    // Every other time the leader, otherwise anybody; in the end all of them at once.
    const victims = round === 5
      ? managers.all
      : [round % 2 === 0 ? leader : managers.all[random.below(3)] ?? leader];
    await Promise.all(victims.map((victim) => victim.kill()));
    await pause(random.below(300));
    for (const victim of victims) await managers.restart(victim);
    await writers.more(5);
  }
  await writers.stop();
  await assertNothingLost(managers, writers);
});

Deno.test("when the leader is killed, another acknowledges the next write", async () => {
  await using managers = await ChildManagers.create(3);
  for (let round = 0; round < 3; round++) {
    const leader = await managers.leader();
    await leader.ask({ op: "propose", text: `before ${round}` });
    await leader.kill();
    const next = await managers.leader();
    await next.ask({ op: "propose", text: `after ${round}` });
    await managers.restart(leader);
  }
  const [entries] = await managers.entries();
  assert.deepEqual(entries, [0, 1, 2].flatMap((round) => [`before ${round}`, `after ${round}`]));
});

Deno.test("a leader that is stopped for a while is replaced, and follows when it goes on", async () => {
  await using managers = await ChildManagers.create(3);
  const writers = new Writers(managers, 2);
  await writers.more(20);
  const stopped = await managers.leader();
  const others = managers.all.filter((manager) => manager !== stopped);
  stopped.signal("SIGSTOP");
  const next = await managers.leader(others);
  for (let number = 0; number < 20; number++) {
    await next.ask({ op: "propose", text: `while it stands still ${number}` });
  }
  // Longer than it takes to find a stream dead.
  await pause(4000);
  stopped.signal("SIGCONT");
  await writers.more(20);
  await writers.stop();
  await assertNothingLost(managers, writers);
});

Deno.test("a follower that stands still costs the leader a few MiB, however much is written", async () => {
  await using managers = await ChildManagers.create(3, { record: false, timing: WIDE_AREA_TIMING });
  const leader = await managers.leader();
  const follower = managers.all.find((manager) => manager !== leader);
  assert.ok(follower !== undefined);
  const load = { op: "load", kind: "write", proposers: 16, ms: 500, bytes: 200_000 } as const;
  follower.signal("SIGSTOP");
  for (let writtenBytes = 0; writtenBytes < 15_000_000;) {
    writtenBytes += (await leader.ask<LoadResult>(load)).perSecond * 0.5 * load.bytes;
    const { id } = follower.options;
    const { pendingBytes } = await leader.ask<StreamStats>({ op: "pending", id });
    assert.ok(pendingBytes <= 6 * 1024 * 1024, `${pendingBytes} bytes`);
  }
  follower.signal("SIGCONT");
  await managers.caughtUp(follower);
});
