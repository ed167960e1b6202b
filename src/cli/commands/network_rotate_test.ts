import assert from "node:assert/strict";
import type { EncryptionView, NetworkView } from "../../api/mod.ts";
import { EXIT_CODES } from "../exit.ts";
import {
  AgentDouble,
  type Answers,
  CLEAN,
  InTurn,
  problem,
  type Ran,
  runLine,
  type Seen,
} from "../testing_machine.ts";

const AT = "2026-01-31T12:00:00.000Z";
const [HOST1, HOST2] = ["iiiiiiiiiiiiiiiiiiiiiiiiii", "nnnnnnnnnnnnnnnnnnnnnnnnnn"];
const ID = "wwwwwwwwwwwwwwwwwwwwwwwwww";
const NODES = {
  items: [{ id: HOST1, hostname: "host1" }, { id: HOST2, hostname: "host2" }],
  next: null,
};

type Epoch = EncryptionView["epochs"][number];

function epoch(number: number, more: Partial<Epoch> = {}): Epoch {
  return { epoch: number, since: AT, installed: [], missing: [], sending: [], ...more };
}

function bank(epochs: readonly Epoch[], silent: readonly string[] = []): NetworkView {
  return {
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
      rotationIntervalMs: 3_600_000,
      rotation: "by-interval",
      epochs,
      silent,
    },
    createdAt: AT,
    revision: 3,
  };
}

async function run(line: string, answers: Answers): Promise<Ran & { seen: readonly Seen[] }> {
  await using agent = new AgentDouble(answers);
  return { ...await runLine(`${line} --run-dir ${agent.runDir}`), seen: agent.seen };
}

const BEGUN = bank([epoch(2), epoch(1)]);
const ROTATE = "POST /v1/networks/bank/rotate";
const LOOK = `GET /v1/networks/${ID}`;

Deno.test("a rotation is asked for, and what has begun is shown", CLEAN, async () => {
  const answers = { [ROTATE]: BEGUN };
  const person = await run("network rotate bank", answers);
  assert.deepEqual(person.seen, [{ line: ROTATE, body: null }]);
  assert.equal(person.code, EXIT_CODES.ok, person.stderr);
  assert.match(person.stdout, /^Encrypted +yes, ESP around UDP port 20003$/m);
  assert.match(person.stdout, /^New key +every 1h$/m);
  assert.match(person.stdout, /^2 +2026/m);
  const program = await run("network rotate bank --json", answers);
  assert.deepEqual(JSON.parse(program.stdout), BEGUN);
});

Deno.test("who waits hears who is missing, until all send with the new key", CLEAN, async () => {
  const answers = {
    [ROTATE]: BEGUN,
    [LOOK]: new InTurn(
      bank([epoch(2), epoch(1, { installed: [HOST1], sending: [HOST1] })], [HOST2]),
      bank([
        epoch(2, { installed: [HOST1], missing: [HOST2] }),
        epoch(1, { installed: [HOST1, HOST2], sending: [HOST1, HOST2] }),
      ]),
      problem(503, "unavailable", "No manager leads"),
      bank([
        epoch(2, { installed: [HOST1, HOST2], sending: [HOST1] }),
        epoch(1, { sending: [HOST2] }),
      ]),
      bank([
        epoch(2, { installed: [HOST1, HOST2], sending: [HOST1] }),
        epoch(1, { sending: [HOST2] }),
      ]),
      bank([epoch(2, { installed: [HOST1, HOST2], sending: [HOST1, HOST2] }), epoch(1)]),
    ),
    ["GET /v1/nodes?limit=1000"]: NODES,
  };
  const { code, stdout, stderr } = await run("network rotate bank --wait", answers);
  assert.equal(code, EXIT_CODES.ok);
  assert.deepEqual(stderr.trim().split("\n"), [
    "bank: epoch 2 has begun",
    "bank: not heard of yet: host2; still sending with epoch 1: host1",
    "bank: epoch 2 not installed: host2; still sending with epoch 1: host1, host2",
    "bank: still waiting, though no manager answers now: No manager leads (unavailable)",
    "bank: still sending with epoch 1: host2",
  ]);
  assert.match(stdout, /^2 +\S+ +host1, host2 +- +host1, host2$/m);
  const program = await run("network rotate bank --wait --json", {
    ...answers,
    [LOOK]: bank([epoch(2)]),
  });
  assert.deepEqual(JSON.parse(program.stdout).encryption.epochs, [epoch(2)]);
});

Deno.test("a rotation that is refused is one line with the names", CLEAN, async () => {
  const detail = "bank cannot go to epoch 7 yet: epoch 1 is still in use on host2";
  const answers = { [ROTATE]: problem(409, "rotation-waiting", detail) };
  const { code, stdout, stderr } = await run("network rotate bank --wait", answers);
  assert.deepEqual([code, stdout], [EXIT_CODES.failed, ""]);
  assert.equal(stderr, `agent: ${detail} (rotation-waiting)\n`);
});

Deno.test("inspect shows by host names who has and uses which epoch", CLEAN, async () => {
  const { stdout } = await run("network inspect bank", {
    "GET /v1/networks/bank": bank([
      epoch(5, { installed: [HOST1], missing: [HOST2], sending: [] }),
      epoch(4, { installed: [HOST1, HOST2], sending: [HOST1, HOST2] }),
    ]),
    [`GET /v1/networks/${ID}/endpoints?limit=1000`]: { items: [], next: null },
    ["GET /v1/nodes?limit=1000"]: NODES,
  });
  assert.match(stdout, /^EPOCH +SINCE +INSTALLED +NOT INSTALLED +OLDEST THAT IS SENT WITH BY$/m);
  assert.match(stdout, /^5 +\S+ +host1 +host2 +-$/m);
  assert.match(stdout, /^4 +\S+ +host1, host2 +- +host1, host2$/m);
});

Deno.test(
  "an encrypted network is made with an interval, and a plain one has none",
  CLEAN,
  async () => {
    const { seen } = await run("network create bank --encrypted --rotation-interval 1h", {
      "POST /v1/networks": BEGUN,
    });
    assert.deepEqual(seen.map(({ body }) => body), [{
      name: "bank",
      labels: {},
      encrypted: true,
      rotationIntervalMs: 3_600_000,
      allowedNodes: "any",
    }]);
    const plain = await run("network create bank --rotation-interval 1h", {});
    assert.deepEqual([plain.code, plain.seen], [EXIT_CODES.usage, []]);
    assert.match(plain.stderr, /add --encrypted/);
  },
);
