import assert from "node:assert/strict";
import { type Bytes, decodeUtf8, encodeFrame, encodeUtf8, FrameDecoder } from "../base/mod.ts";
import { createKeyAndCsr, verifyPeer } from "../ca/mod.ts";
import { decodeBase64url } from "../base/mod.ts";
import { encodeSnapshot } from "../state/mod.ts";
import { openSingleStore } from "../store/mod.ts";
import {
  BackupError,
  type BackupErrorCode,
  ClusterMachine,
  openBackup,
  parseRecoveryKey,
  RefusedError,
  restoreCluster,
} from "./mod.ts";
import { realClock } from "./testing_clock.ts";
import { factsOf, TestPlane, testRandom } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function codeOf(work: () => unknown, secret: string): BackupErrorCode | "ok" {
  try {
    work();
    return "ok";
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    assert.ok(
      !`${error.message}${error.stack}`.includes(secret.slice(9, 30)),
      "the key is not shown",
    );
    return error.code;
  }
}

/** A cluster with more than one part of state, and a backup of it. */
async function backedUp() {
  const cluster = await TestPlane.found();
  const labels = Object.fromEntries(
    Array.from({ length: 60 }, (_, number) => [`k${number}`, "v".repeat(250)]),
  );
  for (let number = 0; number < 40; number++) {
    await cluster.plane.writeOnce(cluster.manager, {
      kind: "network.create",
      body: { id: cluster.plane.newId(), name: `n${number}`, labels, allowedNodes: "any" },
    });
  }
  await cluster.member("host2");
  return { cluster, backup: await cluster.plane.backup() };
}

Deno.test("a backup is all of the state, and says nothing without its key", sanitized, async () => {
  const { cluster, backup } = await backedUp();
  await using _ = cluster;
  const { state } = cluster.plane;
  const key = parseRecoveryKey(`  ${backup.key}\n`);
  const opened = openBackup(backup.bytes, key, testRandom);
  assert.equal(decodeUtf8(encodeSnapshot(opened)), decodeUtf8(encodeSnapshot(state)));
  assert.deepEqual(
    [backup.clusterId, backup.revision, backup.writtenAtMs],
    [state.clusterId, state.revision, state.timeMs],
  );
  assert.ok(new FrameDecoder().push(backup.bytes).length >= 3, "it has more than one part");
  const text = new TextDecoder("latin1").decode(backup.bytes);
  for (const hidden of [state.authority.rootKey, "host2", backup.key.split("-")[2] ?? ""]) {
    assert.ok(!text.includes(hidden));
  }
  assert.ok(!JSON.stringify(cluster.lines).includes("AGTBAK"));
  const again = await cluster.plane.backup();
  assert.notEqual(again.key, backup.key);
  assert.equal(codeOf(() => openBackup(again.bytes, key, testRandom), backup.key), "wrong-key");
});

Deno.test("what is not the key as it was printed is no key", () => {
  const good = "AGTBAK-1-";
  for (
    const text of [
      "",
      "AGTKN-1-aaaa-bbbb",
      `${good}aaaa-aaaaaaa`,
      `${good}${"a".repeat(52)}-aaaaaaa`,
      `${good}${"a".repeat(52)}`,
      `AGTBAK-2-${"a".repeat(52)}-aaaaaaa`,
      `${good}${"A".repeat(52)}-aaaaaaa`,
    ]
  ) {
    assert.equal(codeOf(() => parseRecoveryKey(text), text || "nothing at all to show"), "bad-key");
  }
});

Deno.test(
  "a changed character of a key is noticed before any file is looked at",
  sanitized,
  async () => {
    await using cluster = await TestPlane.found();
    const { key } = await cluster.plane.backup();
    for (const place of [9, 30, 60, key.length - 1]) {
      const other = key[place] === "a" ? "b" : "a";
      const wrong = key.slice(0, place) + other + key.slice(place + 1);
      assert.equal(codeOf(() => parseRecoveryKey(wrong), wrong), "bad-key", `${place}`);
    }
  },
);

Deno.test("a backup that is not whole, or not as it was, does not open", sanitized, async () => {
  const { cluster, backup: { bytes, key: text } } = await backedUp();
  await using _ = cluster;
  const key = parseRecoveryKey(text);
  const open = (file: Uint8Array) => codeOf(() => openBackup(file, key, testRandom), text);
  const frames = new FrameDecoder().push(bytes);
  const [head, first, second, ...rest] = frames;
  assert(head !== undefined && first !== undefined && second !== undefined);
  const encoded = (all: typeof frames) => all.flatMap((frame) => [...encodeFrame(frame)]);
  const file = (...all: typeof frames): Bytes => new Uint8Array(encoded(all));
  assert.equal(open(file(head, first, second, ...rest)), "ok");
  const cases: readonly (readonly [string, Uint8Array, BackupErrorCode])[] = [
    ["nothing", new Uint8Array(), "not-a-backup"],
    ["something else", encodeUtf8("# notes\n".repeat(100)), "not-a-backup"],
    ["a few bytes", bytes.subarray(0, 20), "not-a-backup"],
    ["cut off in a part", bytes.subarray(0, bytes.length - 1), "damaged"],
    ["cut off between parts", file(head, first), "damaged"],
    ["only its head", file(head), "damaged"],
    ["parts exchanged", file(head, second, first, ...rest), "damaged"],
    [
      "parts renumbered",
      file(head, { ...second, header: { part: 0 } }, { ...first, header: { part: 1 } }, ...rest),
      "damaged",
    ],
    ["a part twice", file(head, first, first, second, ...rest), "damaged"],
    ["more after it", new Uint8Array([...bytes, 0, 0, 0]), "damaged"],
    [
      "another head",
      file({ ...head, header: { ...head.header, revision: 9 } }, ...frames.slice(1)),
      "damaged",
    ],
    ["a later version", file({ ...head, header: { ...head.header, v: 2 } }), "unknown-version"],
    ["another format", file({ ...head, header: { v: 1 } }), "not-a-backup"],
  ];
  for (const [what, changed, code] of cases) assert.equal(open(changed), code, what);
  // Bits, everywhere: it opens never, whatever it is called.
  for (let place = 0; place < bytes.length; place += Math.floor(bytes.length / 97)) {
    const flipped = bytes.slice();
    flipped[place] = (flipped[place] ?? 0) ^ 1;
    assert.notEqual(open(flipped), "ok", `byte ${place}`);
  }
});

Deno.test(
  "a new host takes the place of all managers, and is believed by the members",
  sanitized,
  async () => {
    await using cluster = await TestPlane.found();
    const worker = await cluster.member("host2");
    const { key, bytes: backup } = await cluster.plane.backup();
    const before = cluster.plane.state;
    const directory = `${cluster.directory}/restored`;
    const restore = (hostname: string, to: string) =>
      restoreCluster({
        backup,
        key: parseRecoveryKey(key),
        directory: to,
        csr: createKeyAndCsr().csr,
        facts: factsOf(hostname, { controlAddress: "192.0.2.9:7443" }),
        clock: realClock,
        random: testRandom,
      });
    await assert.rejects(
      restore("host2", directory),
      (error) => error instanceof RefusedError && error.code === "node-exists",
    );
    assert.throws(() => Deno.statSync(directory), Deno.errors.NotFound);
    const { recovery, nodeId, certificate, roots } = await restore("host1", directory);
    assert.equal(recovery.discarded.managers.length, 1);
    assert.deepEqual([recovery.kept.nodes, recovery.incarnation.generation], [2, 1]);
    const trust = { clusterId: before.clusterId, roots: roots.map(decodeBase64url) };
    const peer = verifyPeer(decodeBase64url(certificate), trust, Date.now());
    assert.deepEqual([peer.id, peer.role], [nodeId, "manager"]);
    const machine = new ClusterMachine();
    const store = openSingleStore({ directory, machine, random: testRandom, onFailure: () => {} });
    await store.close();
    assert.deepEqual(store.status().voters, [nodeId]);
    assert.deepEqual([...machine.state.nodes.keys()].sort(), [nodeId, worker.id].sort());
    assert.equal(machine.state.generation, 1);
  },
);
