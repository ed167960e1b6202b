import assert from "node:assert/strict";
import type { NetworkCheckView } from "../../api/mod.ts";
import { EXIT_CODES } from "../exit.ts";
import {
  AgentDouble,
  type Answers,
  CLEAN,
  InTurn,
  problem,
  type Ran,
  runLine,
} from "../testing_machine.ts";

const AT = "2026-01-31T12:00:00.000Z";
const [HOST1, HOST2] = ["iiiiiiiiiiiiiiiiiiiiiiiiii", "nnnnnnnnnnnnnnnnnnnnnnnnnn"];
const ID = "wwwwwwwwwwwwwwwwwwwwwwwwww";
const BEGIN = "POST /v1/networks/bank/check";
const LOOK = `GET /v1/networks/${ID}/check`;
const NODES = {
  "GET /v1/nodes?limit=1000": {
    items: [{ id: HOST1, hostname: "host1" }, { id: HOST2, hostname: "host2" }],
    next: null,
  },
};
const OK = { outcome: "ok", reason: null } as const;
const BEGUN: NetworkCheckView = {
  id: "cccccccccccccccccccccccccc",
  networkId: ID,
  cause: "asked",
  startedAt: AT,
  finishedAt: null,
  directions: 0,
  passed: 0,
  verdicts: [],
};
const WELL: NetworkCheckView = {
  ...BEGUN,
  finishedAt: AT,
  directions: 2,
  passed: 2,
  verdicts: [
    { from: HOST1, to: HOST2, small: OK, full: OK },
    { from: HOST2, to: HOST1, small: OK, full: OK },
  ],
};
const FAULT = { outcome: "key", reason: "the two have different keys" } as const;

async function run(line: string, answers: Answers): Promise<Ran> {
  await using agent = new AgentDouble(answers);
  return await runLine(`${line} --run-dir ${agent.runDir}`);
}

Deno.test("a check is waited for, and shown by host names", CLEAN, async () => {
  const answers = { ...NODES, [BEGIN]: BEGUN, [LOOK]: new InTurn(BEGUN, WELL) };
  const { code, stdout, stderr } = await run("network check bank", answers);
  assert.equal(code, EXIT_CODES.ok, stderr);
  assert.equal(
    stdout,
    "FROM   TO     SMALL  FULL SIZE\nhost1  host2  ok     ok\nhost2  host1  ok     ok\n" +
      "2 of 2 directions are well\n",
  );
  const program = await run("network check bank --json", { [BEGIN]: BEGUN, [LOOK]: WELL });
  assert.deepEqual(JSON.parse(program.stdout), WELL);
});

Deno.test("what does not come through is named, once, and is the exit code", CLEAN, async () => {
  const [fault, other] = WELL.verdicts;
  assert(fault !== undefined && other !== undefined);
  const finished = {
    ...WELL,
    passed: 1,
    verdicts: [{ ...fault, small: FAULT, full: FAULT }, other],
  };
  const answers = { ...NODES, [BEGIN]: BEGUN, [LOOK]: finished };
  const { code, stdout } = await run("network check bank", answers);
  assert.equal(code, EXIT_CODES.notAsWanted);
  assert.match(
    stdout,
    /^host1 +host2 +key +key\nhost2 +host1 +ok +ok\n1 of 2 directions are well\n/m,
  );
  assert.match(stdout, /well\n- the two have different keys\n$/);
});

Deno.test("the newest check is shown with the network, when there is one", CLEAN, async () => {
  const bank = {
    id: ID,
    name: "bank",
    vni: 4096,
    subnet: "10.64.0.0/24",
    labels: {},
    mtuBytes: null,
    allowedNodes: "any",
    encrypted: true,
    encryption: {
      slot: 3,
      port: 20003,
      rotationIntervalMs: null,
      rotation: "by-interval",
      epochs: [],
      silent: [],
    },
    createdAt: AT,
    revision: 3,
  };
  const answers = {
    ...NODES,
    "GET /v1/networks/bank": bank,
    [`GET /v1/networks/${ID}/endpoints?limit=1000`]: { items: [], next: null },
  };
  const shown = await run("network inspect bank", { ...answers, [LOOK]: { ...WELL, passed: 1 } });
  assert.match(shown.stdout, /^Packets came through in 1 of 2 directions \(2026.*Z\);/m);
  const none = await run("network inspect bank", {
    ...answers,
    [LOOK]: problem(404, "not-found", "it was not checked"),
  });
  assert.equal(none.code, EXIT_CODES.ok, none.stderr);
  assert.doesNotMatch(none.stdout, /Packets/);
});

Deno.test("a check that is lost, or of nobody, is said to be so", CLEAN, async () => {
  const another = { ...WELL, id: "dddddddddddddddddddddddddd" };
  const lost = await run("network check bank", { [BEGIN]: BEGUN, [LOOK]: another });
  assert.equal(lost.code, EXIT_CODES.failed);
  assert.match(lost.stderr, /the managers may have elected a leader\. Try again\n$/);
  const alone = { ...BEGUN, finishedAt: AT };
  const nobody = await run("network check bank", { ...NODES, [BEGIN]: BEGUN, [LOOK]: alone });
  assert.equal(nobody.code, EXIT_CODES.ok);
  assert.match(nobody.stderr, /^Nothing to check/);
  const plain = await run("network check bank", {
    [BEGIN]: problem(409, "not-encrypted", "bank is not encrypted"),
  });
  assert.deepEqual([plain.code, plain.stdout], [EXIT_CODES.failed, ""]);
});
