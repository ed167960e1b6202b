import assert from "node:assert/strict";
import { encodeUtf8 } from "../base/mod.ts";
import { type Leadership, NotLeaderError, OutcomeUnknownError, StoreRefusedError } from "./mod.ts";
import { ELECTION_TIMING, eventually, PATIENT_TIMING, TestManagers } from "./testing_managers.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test(
  "one manager becomes three and one again, and every write is on each of them",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(1);
    const [first] = managers.all;
    assert.ok(first !== undefined);
    await managers.write("alone");
    const second = await managers.join();
    const third = await managers.join();
    for (let number = 0; number < 20; number++) await managers.write(`three ${number}`);
    await managers.converged();
    assert.equal(first.store.status().voters.length, 3);
    assert.equal(first.store.status().mayLose, 1);

    for (const leaving of [second, third]) {
      const leader = await managers.leader();
      await leader.store.remove(leaving.id);
      await leaving.stop();
    }
    await managers.write("alone again");
    assert.deepEqual(first.store.status().voters, [first.id]);
    await first.stop();
    await first.start();
    assert.deepEqual(first.machine.entries.filter((text) => text.startsWith("alone")), [
      "alone",
      "alone again",
    ]);
  },
);

Deno.test(
  "a follower refuses writes and reads, and names the leader with its address",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3);
    const leader = await managers.leader();
    const follower = managers.all.find((manager) => manager !== leader);
    assert.ok(follower !== undefined);
    await managers.converged();
    for (
      const ask of [() => follower.store.propose(encodeUtf8("x")), () => follower.store.read()]
    ) {
      await assert.rejects(ask, (error) => {
        assert.ok(error instanceof NotLeaderError);
        assert.deepEqual(error.leader, { id: leader.id, address: `127.0.0.1:${leader.port}` });
        return true;
      });
    }
    await leader.store.read();
    assert.equal(follower.store.status().members.length, 0);
    await assert.rejects(leader.store.addLearner(follower.id), (error) => {
      assert.ok(error instanceof StoreRefusedError);
      assert.equal(error.code, "already-a-member");
      return true;
    });
  },
);

Deno.test("many writers share few saves, and each hears of its own entry", sanitized, async () => {
  await using managers = await TestManagers.create(3);
  const { store } = await managers.leader();
  const before = store.status().lastIndex;
  const texts = Array.from({ length: 200 }, (_, number) => `text ${number}`);
  const answers = await Promise.all(texts.map((text) => store.propose(encodeUtf8(text))));
  managers.acknowledged.push(...texts);
  answers.forEach((answer, number) => assert.equal(answer, (answers[0] ?? 0) + number));
  assert.equal(store.status().lastIndex, before + 200);
  await managers.converged();
});

Deno.test(
  "the leadership is handed over on request, and duties of the old term end",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3);
    await managers.converged();
    const first = await managers.leader();
    const heard: (Leadership | null)[] = [];
    first.store.watchLeadership((leadership) => heard.push(leadership));
    const term = first.store.leadership?.term;
    const other = managers.all.find((manager) => manager !== first);
    assert.ok(other !== undefined && term !== undefined);
    await first.store.transferLeadership(other.id);
    assert.equal(await managers.leader(), other);
    await eventually(() => heard.length === 2, () => `news: ${JSON.stringify(heard)}`);
    assert.deepEqual(heard, [{ term }, null]);
    // A duty of the old term writes nothing in a new one, not even where the leadership has come back.
    await other.store.transferLeadership(first.id);
    await managers.leader([first]);
    await assert.rejects(first.store.propose(encodeUtf8("late"), { term }), NotLeaderError);
    assert.ok(!first.machine.entries.includes("late"));
  },
);

Deno.test(
  "a leader that is cut off takes nothing more, and loses nothing that it acknowledged",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3, { timing: ELECTION_TIMING });
    await managers.converged();
    const old = await managers.leader();
    const others = managers.all.filter((manager) => manager !== old);
    for (const other of others) old.cutFrom(other);
    await assert.rejects(old.store.propose(encodeUtf8("on the minority's side")), (error) => {
      assert.ok(error instanceof OutcomeUnknownError, String(error));
      return true;
    });
    await assert.rejects(old.store.read(), NotLeaderError);
    assert.equal(old.store.leadership, null);
    await managers.write("on the majority's side", others);
    for (const other of others) old.healWith(other);
    await managers.converged();
    assert.ok(!old.machine.entries.includes("on the minority's side"));
  },
);

Deno.test(
  "a read on a leader that was deposed without knowing it is not served",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3, { timing: ELECTION_TIMING });
    await managers.converged();
    const old = await managers.leader();
    const others = managers.all.filter((manager) => manager !== old);
    for (const other of others) old.cutFrom(other);
    const stillLeads = old.leads;
    await assert.rejects(old.store.read(), NotLeaderError);
    assert.ok(stillLeads, "it did not know");
  },
);

Deno.test(
  "a follower that was away gets a snapshot in parts, and then what came after it",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3, { snapshotEvery: 40, keepEntries: 5 });
    await managers.converged();
    const leader = await managers.leader();
    const away = managers.all.find((manager) => manager !== leader);
    assert.ok(away !== undefined);
    await away.stop();
    const filler = "x".repeat(20_000);
    for (let number = 0; number < 120; number++) await managers.write(`${number} ${filler}`);
    assert.ok(leader.store.status().snapshotIndex > 100);
    await away.start();
    await managers.converged();
    assert.ok(away.machine.restored > 0, "it was a snapshot that came");
    assert.ok(away.store.status().snapshotIndex > 100);
    await away.stop();
    await away.start();
    await managers.converged();
  },
);

Deno.test(
  "a leader that closes hands over: nobody waits for an election timeout",
  sanitized,
  async () => {
    await using managers = await TestManagers.create(3);
    await managers.converged();
    const first = await managers.leader();
    const begunMs = performance.now();
    await first.stop();
    await managers.write("after the handover");
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs < PATIENT_TIMING.tickMs * PATIENT_TIMING.electionTicks, `${tookMs} ms`);
    await managers.converged();
  },
);
