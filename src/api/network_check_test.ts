import assert from "node:assert/strict";
import type { CheckReport } from "../state/mod.ts";
import { TestClient } from "./testing_client.ts";

const ID = "wwwwwwwwwwwwwwwwwwwwwwwwwe";
const REPORT: CheckReport = {
  v: 1,
  networkId: ID,
  checkId: ID,
  problem: null,
  neededMtuBytes: 1500,
  refused: [{ name: "XfrmInNoStates", networkName: null, packets: 1, meaning: "no key" }],
  peers: [{
    nodeId: ID,
    heard: ["small", "full"],
    answered: [],
    outPackets: 4,
    inPackets: 4,
    integrityFailures: 0,
    replays: 0,
    outEpochs: [1],
    inEpochs: [1, 2],
    routeMtuBytes: null,
    mtuLearned: false,
  }],
};

async function withNetworks(): Promise<TestClient> {
  const client = new TestClient();
  for (const [name, encrypted] of [["bank", true], ["plain", false]] as const) {
    const { status } = await client.ask("POST", "/v1/networks", { body: { name, encrypted } });
    assert.equal(status, 201);
  }
  return client;
}

Deno.test("a check is begun, and asked for until it has finished", async () => {
  const client = await withNetworks();
  const before = await client.ask("GET", "/v1/networks/bank/check");
  assert.deepEqual([before.status, before.json.code], [404, "not-found"]);
  const begun = await client.ask("POST", "/v1/networks/bank/check");
  assert.equal(begun.status, 200, begun.text);
  assert.deepEqual([begun.json.finishedAt, begun.json.directions], [null, 0]);
  const verdict = {
    from: client.control.managerId,
    to: client.control.workerId,
    small: { outcome: "ok", reason: null },
    full: { outcome: "mtu", reason: "the route carries less" },
  } as const;
  const { networkId } = begun.json;
  const running = client.control.checks.get(networkId);
  assert(running !== undefined);
  client.control.checks.set(networkId, {
    ...running,
    finishedAtMs: client.control.nowMs + 4000,
    directions: 2,
    passed: 1,
    verdicts: [verdict],
  });
  const { json } = await client.ask("GET", "/v1/networks/bank/check");
  assert.deepEqual(json, {
    id: begun.json.id,
    networkId,
    cause: "asked",
    startedAt: "2026-01-31T12:00:00.000Z",
    finishedAt: "2026-01-31T12:00:04.000Z",
    directions: 2,
    passed: 1,
    verdicts: [verdict],
  });
});

Deno.test("only an encrypted network can be checked", async () => {
  const client = await withNetworks();
  const plain = await client.ask("POST", "/v1/networks/plain/check");
  assert.deepEqual([plain.status, plain.json.code], [409, "not-encrypted"]);
  const nobody = await client.ask("POST", "/v1/networks/nobody/check");
  assert.equal(nobody.status, 404);
});

Deno.test("what a node has found is taken for that node, and nothing else", async () => {
  const client = await withNetworks();
  const as = client.worker;
  const taken = await client.ask("POST", "/v1/self/check", { as, body: { ...REPORT } as never });
  assert.equal(taken.status, 204, taken.text);
  assert.deepEqual(client.control.checkReports, [[client.control.workerId, REPORT]]);
  for (const wrong of [{ v: 2 }, { problem: "x".repeat(5000) }, { peers: [{}] }, { more: 1 }]) {
    const { status } = await client.ask("POST", "/v1/self/check", {
      as,
      body: { ...REPORT, ...wrong } as never,
    });
    assert.equal(status, 422);
  }
  assert.equal(client.control.checkReports.length, 1);
});
