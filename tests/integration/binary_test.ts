// needs: root
/**
 * The self-extracting form of the binary, packed around a small program: how it unpacks, what it
 * refuses, and what the program finds around itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const root = new URL("../..", import.meta.url).pathname;

/** What the program says of itself. */
interface Start {
  args: string[];
  pid: number;
  comm: string;
  env: Record<string, string>;
  build: { version: string; commit: string };
}

async function run(command: string[], env: Record<string, string> = {}) {
  const [program = "", ...args] = command;
  const output = await new Deno.Command(program, { args, env, clearEnv: true, stdin: "null" })
    .output();
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

async function start(command: string[], env: Record<string, string> = {}): Promise<Start> {
  const { code, stdout, stderr } = await run(command, env);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** A directory of the test's own, where plain users may look, and the binary in it. */
class Place implements Disposable {
  readonly path = Deno.makeTempDirSync();
  readonly agent = `${this.path}/bin/agent`;
  readonly state = `${this.path}/state`;

  static async make(): Promise<Place> {
    const place = new Place();
    Deno.chmodSync(place.path, 0o755);
    const { code, stderr } = await run(
      [
        `${root}/scripts/build`,
        "--form=self-extracting",
        `--entry=${root}/tests/integration/binary_program.ts`,
        `--output=${place.path}/bin`,
      ],
      Deno.env.toObject(),
    );
    assert.equal(code, 0, stderr);
    return place;
  }

  /** What is unpacked there, apart from the lock. */
  unpacked(state = this.state): string[] {
    return [...Deno.readDirSync(`${state}/runtime`)].map(({ name }) => name)
      .filter((name) => name !== "lock");
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test(
  "it starts with an empty environment, and leaves the caller's alone",
  sanitized,
  async () => {
    using place = await Place.make();
    const { agent, state } = place;
    const first = await start([agent, "--state-dir", state, "a b", "$c"]);
    assert.deepEqual(first.args, ["--state-dir", state, "a b", "$c"]);
    assert.equal(first.comm, "agent");
    assert.equal(first.env.AGENT_EXECUTABLE, agent);
    assert.equal(first.env.PATH, undefined);
    assert.match(first.build.version, /^\d+\.\d+\.\d+$/);
    assert.notEqual(first.build.commit, "");
    const [unpacked, ...others] = place.unpacked();
    assert.deepEqual(others, []);
    assert.match(unpacked ?? "", /^[0-9a-f]{64}$/);

    const before = Deno.statSync(`${state}/runtime/${unpacked}/agent`).ctime;
    const env = {
      PATH: "/nowhere",
      state: "mine",
      uid: "mine",
      _: "x",
      NODE_EXTRA_CA_CERTS: "/evil",
    };
    const second = await start([agent, `--state-dir=${state}`], env);
    assert.equal(second.env.PATH, "/nowhere");
    assert.equal(second.env.state, "mine");
    assert.equal(second.env.uid, "mine");
    assert.equal(second.env.NODE_EXTRA_CA_CERTS, undefined);
    assert.equal(second.env._agent_runtime, undefined);
    assert.deepEqual(Deno.statSync(`${state}/runtime/${unpacked}/agent`).ctime, before);

    assert.equal((await run([agent, "--state-dir", state, "fail"])).code, 7);
    // What stands behind -- is a command's, not ours.
    const other = await start([
      agent,
      "--state-dir",
      state,
      "exec",
      "--",
      "--state-dir",
      "/proc/none",
    ]);
    assert.equal(other.args.length, 6);
  },
);

Deno.test("any number of first starts at once unpack one runtime", sanitized, async () => {
  using place = await Place.make();
  const starts = Array.from({ length: 4 }, () => start([place.agent, "--state-dir", place.state]));
  assert.equal((await Promise.all(starts)).length, 4);
  assert.equal(place.unpacked().length, 1);
});

Deno.test(
  "what a killed unpacking left is swept, and older versions but one",
  sanitized,
  async () => {
    using place = await Place.make();
    const base = `${place.state}/runtime`;
    for (const path of [place.state, base, `${base}/tmp.1`, `${base}/aaaa`, `${base}/bbbb`]) {
      Deno.mkdirSync(path, { mode: 0o700 });
    }
    Deno.utimeSync(`${base}/aaaa`, 1, 1);
    await start([place.agent, "--state-dir", place.state]);
    assert(place.unpacked().includes("bbbb"));
    assert.equal(place.unpacked().length, 2);
  },
);

Deno.test("it refuses a runtime that others may have changed", sanitized, async (t) => {
  using place = await Place.make();
  await start([place.agent, "--state-dir", place.state]);
  const base = `${place.state}/runtime`;
  const unpacked = `${base}/${place.unpacked()[0]}`;
  const rows: [string, string, () => void, () => void][] = [
    [
      "mode of the runtime",
      unpacked,
      () => Deno.chmodSync(unpacked, 0o750),
      () => Deno.chmodSync(unpacked, 0o700),
    ],
    [
      "owner of the runtime",
      unpacked,
      () => Deno.chownSync(unpacked, 1, 1),
      () => Deno.chownSync(unpacked, 0, 0),
    ],
    [
      "mode of the folder above",
      base,
      () => Deno.chmodSync(base, 0o770),
      () => Deno.chmodSync(base, 0o700),
    ],
    [
      "a state directory that a group may write to",
      place.state,
      () => Deno.chmodSync(place.state, 0o770),
      () => {
        Deno.chmodSync(place.state, 0o755);
      },
    ],
    [
      "a state directory of someone else",
      place.state,
      () => Deno.chownSync(place.state, 1, 1),
      () => {
        Deno.chownSync(place.state, 0, 0);
      },
    ],
  ];
  for (const [name, path, spoil, mend] of rows) {
    await t.step(name, async () => {
      spoil();
      const { code, stderr } = await run([place.agent, "--state-dir", place.state]);
      mend();
      assert.equal(code, 1);
      assert.match(stderr, /^agent: refusing to use /);
      assert(stderr.includes(`${path}: its owner and mode are`), stderr);
    });
  }
  await start([place.agent, "--state-dir", place.state]);
});

Deno.test("it says why it cannot unpack or run", sanitized, async (t) => {
  using place = await Place.make();
  const { agent, state } = place;
  const inMount = (mount: string) =>
    run([
      "/usr/bin/unshare",
      "--mount",
      "/bin/sh",
      "-c",
      `set -e; mkdir -p ${state}; ${mount}; exec ${agent} --state-dir ${state}`,
    ], {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    });
  await t.step("noexec", async () => {
    const { code, stderr } = await inMount(`mount -t tmpfs -o mode=700,noexec tmpfs ${state}`);
    assert.equal(code, 1);
    assert.match(stderr, /^agent: cannot execute .* noexec/);
  });
  await t.step("no space", async () => {
    const { code, stderr } = await inMount(`mount -t tmpfs -o mode=700,size=20m tmpfs ${state}`);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /No space left on device[^]*agent: could not unpack into .* MB are not free/,
    );
  });
  await t.step("read-only", async () => {
    const { code, stderr } = await inMount(`mount -t tmpfs -o mode=700,ro tmpfs ${state}`);
    assert.equal(code, 1);
    assert.match(stderr, /agent: cannot make .*; name another place with --state-dir/);
  });
  await t.step("a file cut short", async () => {
    const { size } = Deno.statSync(agent);
    Deno.copyFileSync(agent, `${agent}.cut`);
    Deno.truncateSync(`${agent}.cut`, size - 1000);
    const { code, stderr } = await run([`${agent}.cut`, "--state-dir", state]);
    assert.equal(code, 1);
    assert.match(stderr, /is damaged or was replaced/);
    assert.deepEqual(place.unpacked(), []);
  });
  await t.step("a read-only root is no hindrance", async () => {
    const script =
      `mount -t tmpfs -o mode=755 tmpfs ${state} && mount -o remount,bind,ro / && exec ${agent} --state-dir ${state}`;
    await start(["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script], {
      PATH: "/usr/bin:/bin",
    });
  });
});

Deno.test("a plain user's runtime is in the user's own cache", sanitized, async () => {
  using place = await Place.make();
  const cache = `${place.path}/cache`;
  Deno.mkdirSync(cache);
  Deno.chownSync(cache, 65534, 65534);
  const asNobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const { env } = await start([...asNobody, place.agent, "--help"], { XDG_CACHE_HOME: cache });
  assert(env.DENO_DIR?.startsWith(`${cache}/agent/runtime/`));
  assert.equal(place.unpacked(`${cache}/agent`).length, 1);
});

Deno.test("a running program does not mind that its file is replaced", sanitized, async () => {
  using place = await Place.make();
  const child = new Deno.Command(place.agent, {
    args: ["--state-dir", place.state, "stay"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const said: Start = JSON.parse((await reader.read()).value ?? "");
  // exec all the way: who started the binary holds the program's own process.
  assert.equal(said.pid, child.pid);
  Deno.writeTextFileSync(place.agent, "#!/bin/sh\nexit 9\n");
  Deno.removeSync(place.agent);
  await child.stdin.close();
  assert.equal((await child.status).code, 0);
  await reader.cancel();
});

Deno.test("the file for 64-bit ARM holds the pinned runtime", sanitized, async () => {
  using place = await Place.make();
  const output = `${place.path}/arm`;
  const built = await run([
    `${root}/scripts/build`,
    "--form=self-extracting",
    "--target=aarch64",
    `--entry=${root}/tests/integration/binary_program.ts`,
    `--output=${output}`,
  ], Deno.env.toObject());
  assert.equal(built.code, 0, built.stderr);
  const file = `${output}/agent${Deno.build.arch === "aarch64" ? "" : "-aarch64"}`;
  const at = Deno.readTextFileSync(file).match(
    /tail -c \+(\d+) "\$AGENT_EXECUTABLE" \| gzip -dc >"\$tmp\/agent"/,
  )?.[1];
  const runtime = await new Deno.Command("sh", {
    args: ["-c", `tail -c +${at} ${file} | gzip -dc`],
    stdin: "null",
    stderr: "null",
  }).output();
  const pinned = Deno.readTextFileSync(`${root}/scripts/runtimes.txt`).match(/^aarch64 \S+ (\S+)/m)
    ?.[1];
  assert.equal(createHash("sha256").update(runtime.stdout).digest("hex"), pinned);
  if (Deno.build.arch !== "aarch64") {
    const { code, stderr } = await run([file, "--state-dir", place.state]);
    assert.equal(code, 1);
    assert.match(stderr, /^agent: this file is for aarch64 machines, and this one is x86_64/);
  }
});
