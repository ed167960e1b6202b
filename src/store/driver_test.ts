import assert from "node:assert/strict";
import { encodeUtf8, type Frame, newId } from "../base/mod.ts";
import type { Message, Raft } from "../raft/mod.ts";
import { Floor } from "./floor.ts";
import { Leading } from "./leading.ts";
import { decodeMessage, encodeMessage } from "./message_codec.ts";
import {
  createStore,
  type Leadership,
  LOCAL_TIMING,
  openStore,
  type RaftTransport,
  type Store,
  WIDE_AREA_TIMING,
} from "./mod.ts";
import { clock, eventually, keepingLogger, pause } from "./testing_managers.ts";
import { openAlone, random, Recorder, withDirectory } from "./testing_store.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

type WithoutAddress<M> = M extends Message ? Omit<M, "from" | "to"> : never;
type Letter = WithoutAddress<Message>;

/** Takes what a store sends, and brings what a test says. */
class Wire implements RaftTransport {
  readonly sent: { readonly to: string; readonly frame: Frame; readonly lane: string }[] = [];
  peers: readonly string[] = [];
  onSend: (frame: Frame) => void = () => {};
  receiver: ((from: string, frame: Frame) => void) | null = null;

  listen(receiver: Wire["receiver"]): void {
    this.receiver = receiver;
  }

  send(to: string, frames: readonly Frame[], lane: "log" | "snapshot"): void {
    for (const frame of frames) {
      this.sent.push({ to, frame, lane });
      this.onSend(frame);
    }
  }

  setPeers(ids: readonly string[]): void {
    this.peers = ids;
  }
}

/** A store whose only other member, a learner called `b`, is the test. */
async function withLearner(
  body: (
    store: Store<number>,
    wire: Wire,
    about: { readonly directory: string; readonly incarnation: string; readonly lines: string[] },
  ) => Promise<void>,
): Promise<void> {
  await withDirectory(async (parent) => {
    const [directory, incarnation, wire] = [`${parent}/store`, newId(random), new Wire()];
    const lines: string[] = [];
    createStore({ directory, incarnation, random, memberId: "a" });
    const store = openStore<number>({
      directory,
      machine: new Recorder(),
      memberId: "a",
      random,
      clock,
      transport: wire,
      logger: keepingLogger(lines),
      snapshotEvery: 20,
      keepEntries: 0,
      onFailure: (error) => {
        throw error;
      },
    });
    await store.addLearner("b");
    assert.deepEqual(wire.peers, ["b"]);
    try {
      await body(store, wire, { directory, incarnation, lines });
    } finally {
      await store.close();
    }
    assert.equal(wire.receiver, null);
  });
}

Deno.test(
  "a leader's entries go out before its disk has them, a follower's promise after, floor included",
  sanitized,
  () =>
    withLearner(async (store, wire, { directory, incarnation }) => {
      const serialOnDisk = () => {
        const floor = Floor.open(`${directory}/floor`);
        floor.close();
        return floor.serial;
      };
      const hear = (message: Letter) =>
        wire.receiver?.("b", encodeMessage({ ...message, from: "b", to: "a" }, incarnation));
      // The first append goes unanswered, and one at a time is all that a probe may have under way.
      const { term, lastIndex } = store.status();
      hear({ kind: "append-accepted", term, match: lastIndex });
      await eventually(
        () => store.status().members[0]?.state === "replicate",
        () => "it replicates",
      );
      const before = serialOnDisk();
      const seen: (readonly [string, number])[] = [];
      wire.onSend = (frame) => {
        const message = decodeMessage(frame, { from: "a", to: "b", incarnation });
        const hasEntries = message.kind === "append" && message.entries.length > 0;
        if (hasEntries || message.kind === "append-accepted") {
          seen.push([message.kind, serialOnDisk()]);
        }
      };
      await store.propose(encodeUtf8("entry"));
      assert.deepEqual(seen, [["append", before]]);
      assert.equal(serialOnDisk(), before + 1);
      const prev = { term, index: lastIndex + 1 };
      const entry = {
        term: term + 1,
        index: prev.index + 1,
        kind: "noop",
        data: new Uint8Array(),
      } as const;
      hear({ kind: "append", term: term + 1, prev, entries: [entry], commit: prev.index });
      await eventually(() => seen.length === 2, () => "it answers");
      assert.deepEqual(seen[1], ["append-accepted", before + 2]);
    }),
);

Deno.test(
  "a proposer hears of its entry only after every watcher has",
  sanitized,
  () =>
    withLearner(async (store) => {
      const order: string[] = [];
      store.watch((results) => order.push(`watched ${results.length}`));
      await Promise.all(
        ["x", "y"].map((text) =>
          store.propose(encodeUtf8(text)).then(() => order.push("answered"))
        ),
      );
      assert.deepEqual(order, ["watched 2", "answered", "answered"]);
    }),
);

Deno.test(
  "another incarnation is not listened to, and is told about once",
  sanitized,
  () =>
    withLearner(async (store, wire, { lines }) => {
      const { term } = store.status();
      const usurper = {
        kind: "heartbeat",
        from: "b",
        to: "a",
        commit: 0,
        match: 0,
        round: 0,
      } as const;
      for (let times = 0; times < 3; times++) {
        wire.receiver?.("b", encodeMessage({ ...usurper, term: term + 9 }, newId(random)));
      }
      await pause(50);
      assert.equal(store.status().term, term);
      assert.ok(store.isLeader);
      assert.equal(lines.filter((line) => line.includes("incarnation")).length, 1);
    }),
);

Deno.test(
  "a snapshot that is being sent is not replaced until it has been given much time",
  sanitized,
  () =>
    withLearner(async (store, wire, { incarnation }) => {
      for (let number = 0; number < 25; number++) await store.propose(encodeUtf8(`${number}`));
      await eventually(() => store.status().snapshotIndex > 0, () => "there is a snapshot");
      const { term, snapshotIndex } = store.status();
      // The learner has nothing: what it needs is gone from the log.
      const rejection = {
        kind: "append-rejected",
        from: "b",
        to: "a",
        term,
        hint: { term: 0, index: 0 },
      } as const;
      await eventually(() => {
        for (let rejected = 1; rejected < 10; rejected++) {
          wire.receiver?.("b", encodeMessage({ ...rejection, rejected }, incarnation));
        }
        return store.status().members[0]?.state === "snapshot";
      }, () => JSON.stringify(store.status()));
      assert.ok(wire.sent.some(({ lane, frame }) => lane === "snapshot" && frame.kind === 10));
      for (let number = 0; number < 60; number++) await store.propose(encodeUtf8(`${number}`));
      await pause(100);
      assert.equal(store.status().snapshotIndex, snapshotIndex);
      for (let number = 0; number < 200; number++) await store.propose(encodeUtf8(`${number}`));
      await eventually(() => store.status().snapshotIndex > snapshotIndex, () => "patience ends");
    }),
);

Deno.test(
  "a store that was founded without a name gets one, and can grow",
  sanitized,
  () =>
    withDirectory(async (parent) => {
      const directory = `${parent}/store`;
      createStore({ directory, incarnation: newId(random), random });
      const alone = openAlone(directory, new Recorder());
      await alone.propose(encodeUtf8("first"));
      await assert.rejects(alone.addLearner("b"), /without a way to other managers/);
      await alone.close();
      const [machine, wire] = [new Recorder(), new Wire()];
      const store = openStore<number>({
        directory,
        machine,
        memberId: "a",
        random,
        clock,
        transport: wire,
        logger: keepingLogger([]),
        onFailure: (error) => {
          throw error;
        },
      });
      assert.ok(store.isLeader);
      assert.deepEqual(machine.entries, ["first"]);
      await store.addLearner("b");
      assert.deepEqual(store.status().voters, ["a"]);
      assert.deepEqual(store.status().learners, ["b"]);
      await store.close();
      // What has a name keeps it.
      const again = openAlone(directory, new Recorder());
      assert.equal(again.status().id, "a");
      await again.close();
    }),
);

Deno.test("a leader leads when an entry of its term is applied, and not before", () => {
  const raft = { role: "follower", term: 3 };
  const leading = new Leading(raft as Raft);
  const heard: (Leadership | null)[] = [];
  leading.watch((leadership) => heard.push(leadership));
  raft.role = "leader";
  leading.announce();
  leading.applied(2);
  assert.equal(leading.now, null);
  leading.applied(3);
  leading.announce();
  leading.announce();
  assert.deepEqual(heard, [{ term: 3 }]);
  raft.role = "follower";
  assert.equal(leading.now, null);
  // Deposed and elected again before anybody looked: the old term's duties end all the same.
  raft.role = "leader";
  raft.term = 5;
  assert.equal(leading.now, null);
  leading.applied(5);
  leading.announce();
  assert.deepEqual(heard, [{ term: 3 }, null, { term: 5 }]);
});

Deno.test("the two timings are what the settings say", () => {
  for (
    const [timing, heartbeatMs, shortestMs, longestMs] of [
      [LOCAL_TIMING, 100, 600, 1200],
      [WIDE_AREA_TIMING, 800, 4800, 9600],
    ] as const
  ) {
    assert.equal(timing.tickMs * timing.heartbeatTicks, heartbeatMs);
    assert.equal(timing.tickMs * timing.electionTicks, shortestMs);
    assert.equal(2 * timing.tickMs * timing.electionTicks, longestMs);
  }
});

Deno.test("a tick is as long as it is said to be each time, without a restart", async () => {
  await withDirectory(async (parent) => {
    const [directory, wire] = [`${parent}/store`, new Wire()];
    createStore({ directory, incarnation: newId(random), random, memberId: "a" });
    const delays: number[] = [];
    let tick = () => {};
    let tickMs = LOCAL_TIMING.tickMs;
    const store = openStore<number>({
      directory,
      machine: new Recorder(),
      memberId: "a",
      random,
      clock: {
        ...clock,
        schedule: (delayMs, callback) => {
          delays.push(delayMs);
          tick = callback;
          return () => {};
        },
      },
      transport: wire,
      logger: keepingLogger([]),
      tickMs: () => tickMs,
      onFailure: (error) => {
        throw error;
      },
    });
    ({ tickMs } = WIDE_AREA_TIMING);
    tick();
    assert.deepEqual(delays, [LOCAL_TIMING.tickMs, WIDE_AREA_TIMING.tickMs]);
    await store.close();
  });
});
