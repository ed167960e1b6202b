// needs: root
import assert from "node:assert/strict";
import { crank, eventually } from "../cluster/testing_clock.ts";
import { INCARNATION_HEADER, KnownIncarnation } from "./known_incarnation.ts";
import { IdentityStore, NodeError } from "./mod.ts";
import type { NodeFiles } from "./ports.ts";
import { listen, PATH, sanitized, setUp } from "./testing_stream.ts";

const RECORD = {
  v: 1,
  clusterId: "c",
  nodeId: "n",
  role: "worker",
  controlAddress: "192.0.2.4:7443",
  vtepAddress: "192.0.2.4",
  managers: [{ id: "one", address: "192.0.2.1:7443" }],
} as const;

/** A record on a disk that remembers. */
function onDisk(more: object = {}) {
  const kept = new Map<string, Uint8Array<ArrayBuffer>>();
  let writes = 0;
  const files: NodeFiles = {
    read: (name) => kept.get(name) ?? null,
    write: (name, bytes) => {
      writes++;
      kept.set(name, new Uint8Array(bytes));
    },
    remove: (name) => void kept.delete(name),
  };
  const store = new IdentityStore(files);
  store.writeRecord({ ...RECORD, ...more });
  return { store, known: () => new KnownIncarnation(store), writes: () => writes };
}

const of = (generation: number, incarnation: string) => ({ generation, incarnation });

function superseded(work: () => void): boolean {
  try {
    work();
    return false;
  } catch (error) {
    assert(error instanceof NodeError, String(error));
    assert.match(error.message, /speaks for an(other| earlier) incarnation .*agent leave --force/);
    return error.code === "superseded";
  }
}

Deno.test("the first projection is taken, and from then on no earlier life of the cluster", () => {
  const { store, known } = onDisk();
  const first = known();
  assert.equal(first.text, null);
  for (const any of [of(0, "a"), of(7, "b")]) first.check(any);
  first.take(of(1, "b"), RECORD.managers);
  assert.deepEqual(store.readRecord().incarnation, { generation: 1, id: "b" });
  for (const one of [first, known()]) {
    assert.equal(one.text, "1.b");
    one.check(of(1, "b"));
    one.check(of(2, "c"));
    for (const [generation, id] of [[0, "a"], [0, "b"], [1, "a"], [1, "c"]] as const) {
      assert(superseded(() => one.check(of(generation, id))), `${generation}.${id}`);
    }
  }
});

Deno.test("the record is written when anything in it is another, and not otherwise", () => {
  const { store, known, writes } = onDisk({ incarnation: { generation: 1, id: "b" } });
  const one = known();
  const before = writes();
  one.take(of(1, "b"), RECORD.managers);
  assert.equal(writes(), before);
  const managers = [{ id: "two", address: "192.0.2.2:7443" }];
  one.take(of(1, "b"), managers);
  one.take(of(2, "c"), managers);
  assert.equal(writes(), before + 2);
  assert.deepEqual(store.readRecord(), {
    ...RECORD,
    managers,
    incarnation: { generation: 2, id: "c" },
  });
});

Deno.test("a record with half an incarnation is no record", () => {
  for (const incarnation of [{}, { generation: -1, id: "a" }, { generation: 1 }, null]) {
    assert.throws(() => onDisk({ incarnation }).known(), /is not one that this agent can read/);
  }
});

Deno.test(
  "a stream of an earlier incarnation is ended before anything of it is applied",
  sanitized,
  async () => {
    const { manager, host, script } = await setUp();
    await using _ = manager;
    const { store, known } = onDisk();
    const knows = known();
    using listening = listen(host, undefined, "member", (projection) => {
      knows.check(projection);
      knows.take(projection, []);
    });
    const { heard, stream, clock } = listening;
    await eventually(() => heard.up === 1);
    script.projection(0, 10, {}, "second", 1);
    await eventually(() => heard.applied.length === 1);
    script.projection(0, 99, {}, "first");
    await eventually(() => heard.down === 1);
    assert.deepEqual(heard.applied, ["digest-10"]);
    assert.equal(stream.received, "digest-10");
    assert.equal(store.readRecord().incarnation?.id, "second");
    const [line] = host.lines.filter(({ level }) => level === "error");
    assert.match(String(line?.message), /earlier incarnation.*generation 0.*agent leave --force/);
    // It is the only manager there is: it is asked again, for it may have joined again.
    await crank(clock, () => heard.up === 2);
    script.projection(1, 11, {}, "second", 1);
    await eventually(() => heard.received === 2);
    assert.equal(heard.applied.at(-1), "digest-11");
  },
);

Deno.test(
  "a leader that was left behind is told so by its nodes' requests, and does nothing for them",
  sanitized,
  async () => {
    const { manager, host } = await setUp();
    await using _ = manager;
    const seen: (string | null)[] = [];
    const answers: number[] = [];
    manager.meddle = async (request, _principal, next) => {
      const response = await next();
      if (new URL(request.url).pathname === PATH) {
        seen.push(request.headers.get(INCARNATION_HEADER));
        answers.push(response.status);
      }
      return response;
    };
    const { incarnation } = manager.plane.state;
    await host.start();
    await eventually(() => answers.length === 1);
    assert.deepEqual([seen, answers], [[`0.${incarnation}`], [200]]);
    await host.stop();
    const later = { generation: 1, id: manager.plane.newId() };
    host.identity.writeRecord({ ...host.identity.readRecord(), incarnation: later });
    await host.start();
    await eventually(() => answers.length >= 2);
    assert.deepEqual([seen[1], answers[1]], [`1.${later.id}`, 503]);
    const [line] = manager.cluster.lines.filter(({ level }) => level === "error");
    assert.match(String(line?.message), /earlier incarnation.*recovered or restored without it/);
    await host.stop();
  },
);
