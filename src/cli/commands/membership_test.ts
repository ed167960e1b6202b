import assert from "node:assert/strict";
import type { TokenCreated } from "../../api/mod.ts";
import { EXIT_CODES } from "../exit.ts";
import type { InitOptions, JoinOptions, RunOptions } from "../ports.ts";
import {
  AgentDouble,
  CLEAN,
  type Given,
  MEMBERSHIP,
  problem,
  runLine,
} from "../testing_machine.ts";

const TOKEN = "AGTKN-1-aaaa-bbbb";
const CREATED: TokenCreated = {
  id: "tttttttttttttttttttttttttt",
  role: "worker",
  usesLeft: 100,
  createdAt: "2026-01-31T12:00:00.000Z",
  expiresAt: "2026-02-01T12:00:00.000Z",
  revision: 2,
  token: TOKEN,
};
const DEFAULTS = {
  stateDir: "/var/lib/agent",
  runDir: "/run/agent",
  advertise: undefined,
  vtep: undefined,
  start: "background",
  service: "if-available",
} as const;

/** A lifecycle that remembers what it was told. */
function joining(): { given: Given; told: JoinOptions[] } {
  const told: JoinOptions[] = [];
  const given: Given = {
    lifecycle: {
      join: (options, say) => {
        told.push(options);
        say("Asking for a certificate");
        const more = { ...MEMBERSHIP, role: "worker" };
        return Promise.resolve(more);
      },
    },
  };
  return { given, told };
}

const JOINS: readonly (readonly [line: string, options: Partial<JoinOptions>])[] = [
  [`join 192.0.2.1 --token ${TOKEN}`, {}],
  [`join 192.0.2.1 --token-file /root/token`, {}],
  [`join 192.0.2.1 --token-file -`, {}],
  [`join --token ${TOKEN} 192.0.2.1 --no-service`, { service: "never" }],
  [
    `join 192.0.2.1 --token ${TOKEN} --advertise 192.0.2.9:99 --vtep 198.51.100.9`,
    { advertise: "192.0.2.9:99", vtep: "198.51.100.9" },
  ],
  [
    `join 192.0.2.1 --token ${TOKEN} --state-dir /a --run-dir=/b`,
    { stateDir: "/a", runDir: "/b" },
  ],
];

for (const [line, options] of JOINS) {
  Deno.test(`agent ${line.replace(TOKEN, "TOKEN")}`, CLEAN, async () => {
    const { given, told } = joining();
    const files = { "/root/token": `${TOKEN}\n`, "-": ` ${TOKEN}\n` };
    const ran = await runLine(line, { ...given, files });
    assert.equal(ran.code, EXIT_CODES.ok);
    assert.deepEqual(told, [{ ...DEFAULTS, address: "192.0.2.1", token: TOKEN, ...options }]);
    assert.match(ran.stderr, /Asking for a certificate/);
  });
}

Deno.test("join shows the token nowhere, however it ends", CLEAN, async () => {
  const { given } = joining();
  for (const json of ["", " --json"]) {
    const { stdout, stderr } = await runLine(`join 192.0.2.1 --token ${TOKEN}${json}`, given);
    assert(!`${stdout}${stderr}`.includes(TOKEN));
  }
  const refused = await runLine(`join 192.0.2.1 --token ${TOKEN}`, {
    lifecycle: { join: () => Promise.reject(new Error(`The token ${TOKEN} has expired`)) },
  });
  assert.deepEqual(refused, {
    code: EXIT_CODES.failed,
    stdout: "",
    stderr: "agent: The token AGTKN-… has expired\n",
  });
});

Deno.test("join --json prints what the host has become", CLEAN, async () => {
  const { given } = joining();
  const { stdout } = await runLine(`join 192.0.2.1 --token ${TOKEN} --json`, given);
  assert.deepEqual(JSON.parse(stdout), MEMBERSHIP);
});

Deno.test("a token file that is not there is named", CLEAN, async () => {
  const { code, stderr } = await runLine("join 192.0.2.1 --token-file /nix");
  assert.equal(code, EXIT_CODES.failed);
  assert.match(stderr, /^agent: Cannot read the token from \/nix: [^\n]+\n$/);
});

Deno.test(
  "init founds, makes a token, and prints the command that joins with it",
  CLEAN,
  async () => {
    await using agent = new AgentDouble({ "POST /v1/tokens": CREATED });
    const told: InitOptions[] = [];
    const lifecycle: Given["lifecycle"] = {
      init: (options, say) => {
        told.push(options);
        say("Starting the agent");
        return Promise.resolve(MEMBERSHIP);
      },
    };
    const line = `init --run-dir ${agent.runDir} --pool 10.96.0.0/12`;
    const text = await runLine(line, { lifecycle });
    assert.deepEqual(told, [{ ...DEFAULTS, runDir: agent.runDir, pool: "10.96.0.0/12" }]);
    assert.deepEqual(agent.seen, [
      { line: "POST /v1/tokens", body: { role: "worker", uses: 100 } },
    ]);
    assert.equal(text.code, EXIT_CODES.ok);
    assert.match(text.stdout, new RegExp(`^ +agent join 192.0.2.1:7443 --token ${TOKEN}$`, "m"));
    assert.match(text.stderr, /Starting the agent\n.*up to 100 hosts.*logs to \/var\/lib/s);
    const json = await runLine(`${line} --json`, { lifecycle });
    assert.deepEqual(JSON.parse(json.stdout), {
      ...MEMBERSHIP,
      token: TOKEN,
      joinCommand: `agent join 192.0.2.1:7443 --token ${TOKEN}`,
    });
  },
);

Deno.test(
  "a cluster without a first token is founded all the same, and that is said",
  CLEAN,
  async () => {
    await using agent = new AgentDouble({
      "POST /v1/tokens": problem(503, "unavailable", "No manager leads"),
    });
    const { code, stdout, stderr } = await runLine(`init --run-dir ${agent.runDir}`, {
      lifecycle: { init: () => Promise.resolve(MEMBERSHIP) },
    });
    assert.equal(code, EXIT_CODES.unavailable);
    assert.equal(stdout, "");
    assert.match(stderr, /^agent: The cluster is founded.*No manager leads.*`agent token create`/);
  },
);

Deno.test(
  "with --foreground the agent runs in this process, and says when it is ready",
  CLEAN,
  async () => {
    await using agent = new AgentDouble({ "POST /v1/tokens": CREATED });
    const told: unknown[] = [];
    const { code, stdout } = await runLine(`init --foreground --run-dir ${agent.runDir}`, {
      lifecycle: {
        init: ({ start }) => {
          told.push(start);
          return Promise.resolve({ ...MEMBERSHIP, runs: "not" });
        },
        run: ({ onReady, logLevel, runDir }) => {
          told.push(logLevel, runDir);
          onReady();
          return Promise.resolve(9);
        },
      },
    });
    assert.deepEqual(told, ["none", "info", agent.runDir]);
    assert.equal(code, 9);
    assert.match(stdout, /agent join/);
  },
);

/** Runs `agent run --ready-fd 3`; what was said there is in `last`. */
async function runWithFd(run: (options: RunOptions) => Promise<number>) {
  const last: string[] = [];
  const onLast = (fd: number, text: string) => void last.push(`${fd}: ${text}`);
  return { ...await runLine("run --ready-fd 3", { lifecycle: { run }, onLast }), last };
}

Deno.test(
  "who starts the agent hears once that it is ready, or why it cannot be",
  CLEAN,
  async () => {
    const ready = await runWithFd(({ onReady }) => {
      onReady();
      return Promise.resolve(0);
    });
    assert.deepEqual([ready.code, ready.last], [0, ["3: ready\n"]]);

    const failed = await runWithFd(() => Promise.reject(new Error("Another agent runs here")));
    assert.deepEqual(
      [failed.code, failed.last, failed.stderr],
      [1, ["3: Another agent runs here\n"], "agent: Another agent runs here\n"],
    );

    const failedLater = await runWithFd(({ onReady }) => {
      onReady();
      return Promise.reject(new Error("The disk is full"));
    });
    assert.deepEqual([failedLater.code, failedLater.last], [1, ["3: ready\n"]]);
  },
);

Deno.test("run has the daemon's exit code, and its options", CLEAN, async () => {
  const told: RunOptions[] = [];
  const { code } = await runLine("run --state-dir /a --run-dir /b --log-level debug", {
    lifecycle: {
      run: (options) => {
        told.push(options);
        return Promise.resolve(7);
      },
    },
  });
  assert.equal(code, 7);
  assert.deepEqual(
    told.map(({ stateDir, runDir, logLevel }) => [stateDir, runDir, logLevel]),
    [["/a", "/b", "debug"]],
  );
});
