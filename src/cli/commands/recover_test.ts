import assert from "node:assert/strict";
import { EXIT_CODES } from "../exit.ts";
import type { RecoverOptions, RecoveryReport } from "../ports.ts";
import { CLEAN, type Given, MEMBERSHIP, runLine } from "../testing_machine.ts";

const REPORT: RecoveryReport = {
  clusterId: "cccccccccccccccccccccccccc",
  incarnation: { generation: 1, id: "iiiiiiiiiiiiiiiiiiiiiiiiii" },
  kept: { revision: 41, writtenAtMs: Date.UTC(2026, 0, 31), nodes: 2, networks: 1, endpoints: 3 },
  discarded: { managers: ["host1", "host2"], endpoints: 1, tokens: 2 },
  rekeyed: 1,
  uncommitted: 2,
};

function recovering(report = REPORT): { given: Given; told: RecoverOptions[] } {
  const told: RecoverOptions[] = [];
  const given: Given = {
    lifecycle: {
      recover: (options, say, tell) => {
        told.push(options);
        say("Reading all that this manager's disk has");
        tell(report);
        return Promise.resolve(options.mode === "look" ? null : MEMBERSHIP);
      },
    },
  };
  return { given, told };
}

Deno.test(
  "init --recover says what is kept, what is not, and what to do with the others",
  CLEAN,
  async () => {
    const { given, told } = recovering();
    const { code, stdout, stderr } = await runLine("init --recover", given);
    assert.equal(code, EXIT_CODES.ok);
    assert.deepEqual(told, [{
      stateDir: "/var/lib/agent",
      runDir: "/run/agent",
      start: "background",
      service: "if-available",
      mode: "recover",
    }]);
    assert.equal(
      stdout,
      `Cluster cccccccccccccccccccccccccc goes on as incarnation iiiiiiiiiiiiiiiiiiiiiiiiii, generation 1.
Kept: 2 nodes, 1 network, 3 endpoints, as of revision 41, last written 2026-01-31T00:00:00.000Z.
Among it may be writes that nobody was told were done: the last 2 entries of the log.
Discarded: 2 managers (host1, host2) with 1 endpoint; 2 join tokens; every write that is not above.
New keys for 1 encrypted network, as soon as their hosts report.
These managers must not come back as they are: on each, \`agent leave --force\`, then join again.
`,
    );
    assert.match(stderr, /Reading all.*logs to \/var\/lib/s);
  },
);

Deno.test("init --recover --dry-run changes nothing and says so", CLEAN, async () => {
  const { given, told } = recovering({
    ...REPORT,
    discarded: { managers: [], endpoints: 0, tokens: 1 },
    rekeyed: 0,
    uncommitted: 0,
  });
  const { code, stdout } = await runLine("init --recover --dry-run --state-dir /a", given);
  assert.equal(code, EXIT_CODES.ok);
  assert.deepEqual(told.map(({ mode, stateDir }) => [mode, stateDir]), [["look", "/a"]]);
  assert.equal(
    stdout,
    `Cluster cccccccccccccccccccccccccc: nothing has been changed.
Would keep: 2 nodes, 1 network, 3 endpoints, as of revision 41, last written 2026-01-31T00:00:00.000Z.
Would discard: no other manager; 1 join token; every write that is not above.
`,
  );
});

Deno.test("init --recover --json is one document, with times as text", CLEAN, async () => {
  const { stdout } = await runLine("init --recover --json", recovering().given);
  const { kept: { writtenAtMs: _, ...kept }, ...report } = REPORT;
  assert.deepEqual(JSON.parse(stdout), {
    ...report,
    kept: { ...kept, writtenAt: "2026-01-31T00:00:00.000Z" },
  });
});

Deno.test("a recovery that cannot be is one line, and the agent's own words", CLEAN, async () => {
  const refused = await runLine("init --recover", {
    lifecycle: { recover: () => Promise.reject(new Error("The agent runs here (process 7)")) },
  });
  assert.deepEqual(refused, {
    code: EXIT_CODES.failed,
    stdout: "",
    stderr: "agent: The agent runs here (process 7)\n",
  });
});

for (
  const [line, wrong] of [
    ["init --recover --pool 10.0.0.0/8", "--pool means nothing with --recover"],
    ["init --recover --advertise 192.0.2.1", "--advertise means nothing with --recover"],
    ["init --dry-run", "--dry-run means nothing with a new cluster"],
  ] as const
) {
  Deno.test(`agent ${line} is refused`, CLEAN, async () => {
    const { code, stderr } = await runLine(line);
    assert.equal(code, EXIT_CODES.usage);
    assert.equal(stderr, `agent: ${wrong}\n`);
  });
}
