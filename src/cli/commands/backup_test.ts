import assert from "node:assert/strict";
import type { BackupView } from "../../api/mod.ts";
import { EXIT_CODES } from "../exit.ts";
import type { RestoreOptions } from "../ports.ts";
import { systemProcess } from "../process.ts";
import {
  AgentDouble,
  CLEAN,
  type Given,
  MEMBERSHIP,
  problem,
  runLine,
} from "../testing_machine.ts";

const KEY = "AGTBAK-1-secret-check";
const VIEW: BackupView = {
  key: KEY,
  clusterId: "cccccccccccccccccccccccccc",
  revision: 41,
  writtenAt: "2026-01-31T00:00:00.000Z",
  file: "AQID_w",
};

Deno.test("backup writes the file, then prints its key once", CLEAN, async () => {
  await using agent = new AgentDouble({ "POST /v1/cluster/backup": VIEW });
  const files: [string, Uint8Array][] = [];
  const onFile = (path: string, bytes: Uint8Array) => void files.push([path, bytes]);
  const line = `backup /root/b --run-dir ${agent.runDir}`;
  const { code, stdout, stderr } = await runLine(line, { onFile });
  assert.equal(code, EXIT_CODES.ok);
  assert.deepEqual(files, [["/root/b", new Uint8Array([1, 2, 3, 255])]]);
  assert.equal(stdout, `${KEY}\n`);
  assert.match(stderr, /revision 41 is in \/root\/b.*only key.*agent init --restore/s);
  assert.ok(!stderr.includes("secret"));
  const json = await runLine(`${line} --json`, { onFile });
  const { file: _, key: __, ...about } = VIEW;
  assert.deepEqual(JSON.parse(json.stdout), { ...about, file: "/root/b", recoveryKey: KEY });
});

Deno.test("a backup that cannot be written has no key", CLEAN, async () => {
  await using agent = new AgentDouble({ "POST /v1/cluster/backup": VIEW });
  const ran = await runLine(`backup /root/b --run-dir ${agent.runDir}`, {
    onFile: () => {
      throw new Deno.errors.AlreadyExists("File exists (os error 17)");
    },
  });
  assert.equal(ran.code, EXIT_CODES.failed);
  assert.equal(ran.stdout, "");
  assert.match(
    ran.stderr,
    /^agent: The backup cannot be written to \/root\/b: File exists[^\n]+\n$/,
  );
});

Deno.test("a worker makes no backup", CLEAN, async () => {
  await using agent = new AgentDouble({
    "POST /v1/cluster/backup": problem(403, "not-permitted", "It is for root on a manager"),
  });
  const { code, stderr } = await runLine(`backup /root/b --run-dir ${agent.runDir}`);
  assert.equal(code, EXIT_CODES.failed);
  assert.match(stderr, /It is for root on a manager/);
});

Deno.test("a new file is its owner's alone, whole, and never in another one's place", CLEAN, () => {
  const directory = Deno.makeTempDirSync({ prefix: "cli-backup-" });
  try {
    const path = `${directory}/b`;
    systemProcess.writeNewFile(path, new Uint8Array([1, 2, 3]));
    assert.deepEqual(Deno.readFileSync(path), new Uint8Array([1, 2, 3]));
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.throws(
      () => systemProcess.writeNewFile(path, new Uint8Array()),
      Deno.errors.AlreadyExists,
    );
    assert.deepEqual(Deno.readFileSync(path), new Uint8Array([1, 2, 3]));
    Deno.mkdirSync(`${directory}/c.partial`);
    assert.throws(() => systemProcess.writeNewFile(`${directory}/c`, new Uint8Array([1])));
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [
      "b",
      "c.partial",
    ]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

function restoring(more: Given = {}): { given: Given; told: RestoreOptions[] } {
  const told: RestoreOptions[] = [];
  const restore = (options: RestoreOptions) => {
    told.push(options);
    return Promise.resolve(MEMBERSHIP);
  };
  return { given: { ...more, lifecycle: { restore } }, told };
}

for (
  const [from, more] of [
    ["the environment", { environment: { AGENT_RECOVERY_KEY: KEY } }],
    ["standard input", { files: { "-": `${KEY}\n` } }],
  ] as const
) {
  Deno.test(`init --restore reads the key from ${from}, and shows it nowhere`, CLEAN, async () => {
    const { given, told } = restoring(more);
    const { code, stdout, stderr } = await runLine(
      "init --restore /b --advertise 192.0.2.9",
      given,
    );
    assert.equal(code, EXIT_CODES.ok);
    assert.deepEqual(told.map(({ file, key, advertise }) => [file, key, advertise]), [
      ["/b", KEY, "192.0.2.9"],
    ]);
    assert.ok(!`${stdout}${stderr}`.includes("secret"));
    assert.match(stderr, /agent follow 192.0.2.1:7443/);
  });
}

Deno.test("a key in an error, or in the arguments, is not shown", CLEAN, async () => {
  const { stderr } = await runLine("init --restore /b", {
    environment: { AGENT_RECOVERY_KEY: KEY },
    lifecycle: { restore: () => Promise.reject(new Error(`The key ${KEY} is of another backup`)) },
  });
  assert.equal(stderr, "agent: The key AGTBAK-… is of another backup\n");
  const wrong = await runLine(`init --restore /b ${KEY}`);
  assert.equal(wrong.code, EXIT_CODES.usage);
  assert.ok(!wrong.stderr.includes("secret"), wrong.stderr);
});

Deno.test("the key is taken out of the environment that others would inherit", CLEAN, () => {
  Deno.env.set("AGENT_RECOVERY_KEY", KEY);
  assert.equal(systemProcess.takeVariable("AGENT_RECOVERY_KEY"), KEY);
  assert.equal(systemProcess.takeVariable("AGENT_RECOVERY_KEY"), undefined);
  assert.equal(Deno.env.get("AGENT_RECOVERY_KEY"), undefined);
});
