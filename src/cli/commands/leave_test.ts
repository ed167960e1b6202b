import assert from "node:assert/strict";
import { EXIT_CODES } from "../exit.ts";
import { AgentDouble, type Answers, CLEAN, problem, runLine } from "../testing_machine.ts";

const SELF = { "GET /v1/self": { nodeId: "nnnnnnnnnnnnnnnnnnnnnnnnnn" } };
const REMOVE = "DELETE /v1/nodes/nnnnnnnnnnnnnnnnnnnnnnnnnn";

/** Runs `agent leave`; `left` is whether the host was cleaned up. */
async function leave(options: string, answers: Answers) {
  await using agent = new AgentDouble(answers);
  let left = false;
  const ran = await runLine(`leave --run-dir ${agent.runDir}${options}`, {
    lifecycle: {
      leave: ({ stateDir, runDir }) => {
        assert.deepEqual([stateDir, runDir], ["/var/lib/agent", agent.runDir]);
        left = true;
        return Promise.resolve();
      },
    },
  });
  return { ...ran, left };
}

Deno.test("leave tells the cluster first, then cleans up", CLEAN, async () => {
  const text = await leave("", { ...SELF, [REMOVE]: null });
  assert.deepEqual([text.code, text.left], [EXIT_CODES.ok, true]);
  const json = await leave(" --json", { ...SELF, [REMOVE]: null });
  assert.deepEqual(JSON.parse(json.stdout), { left: true, clusterTold: true });
});

Deno.test("what the cluster refuses leaves the host as it is, unless forced", CLEAN, async () => {
  const answers = { ...SELF, [REMOVE]: problem(409, "last-manager", "It is the last manager") };
  const refused = await leave("", answers);
  assert.deepEqual([refused.code, refused.left], [EXIT_CODES.failed, false]);
  assert.match(refused.stderr, /last manager.*give up the whole cluster: `agent leave --force`/);

  const forced = await leave(" --force --json", answers);
  assert.deepEqual([forced.code, forced.left], [EXIT_CODES.ok, true]);
  assert.deepEqual(JSON.parse(forced.stdout), { left: true, clusterTold: false });
  assert.match(forced.stderr, /without the cluster: It is the last manager/);
});

Deno.test("without an agent nobody can tell the cluster, unless forced", CLEAN, async () => {
  const { code, stderr } = await runLine("leave --run-dir /nix");
  assert.equal(code, EXIT_CODES.notRunning);
  assert.match(stderr, /^agent: No agent runs here[^\n]*`agent leave --force`[^\n]*\n$/);
  const cleaned: string[] = [];
  const forced = await runLine("leave --force --run-dir /nix", {
    lifecycle: { leave: ({ runDir }) => Promise.resolve(void cleaned.push(runDir)) },
  });
  assert.deepEqual([forced.code, cleaned], [EXIT_CODES.ok, ["/nix"]]);
});

Deno.test("what cannot be cleaned up is said", CLEAN, async () => {
  await using agent = new AgentDouble({ ...SELF, [REMOVE]: null });
  const { code, stderr } = await runLine(`leave --run-dir ${agent.runDir}`, {
    lifecycle: { leave: () => Promise.reject(new Error("eth0 is busy")) },
  });
  assert.equal(code, EXIT_CODES.failed);
  assert.match(stderr, /agent: eth0 is busy\n$/);
});
