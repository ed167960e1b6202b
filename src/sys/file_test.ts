import assert from "node:assert/strict";
import { fsyncDirectory, lockFile, writeFileDurably } from "./file.ts";
import { killed, readUntil, spawnScript, until } from "./test_script.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

async function withDirectory(test: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "sys-test-" });
  try {
    await test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test(
  "a lock is held once, names its holder, and is free after its release",
  sanitized,
  () =>
    withDirectory((directory) => {
      const path = `${directory}/lock`;
      Deno.writeTextFileSync(path, "a longer text than a pid");
      const first = lockFile(path);
      assert(first.kind === "locked");
      assert.deepEqual(lockFile(path), { kind: "held", holderPid: Deno.pid });
      first.lock.release();
      first.lock.release();
      const second = lockFile(path);
      assert(second.kind === "locked");
      second.lock.release();
    }),
);

Deno.test("a killed process frees its lock", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/lock`;
    const child = spawnScript(`
      console.log(sys.lockFile(${JSON.stringify(path)}).kind);
      // A child of the holder must not keep the lock.
      new Deno.Command("sleep", { args: ["1000"] }).spawn();
      setInterval(() => {}, 1000);
    `);
    let sleeper: number | undefined;
    try {
      await readUntil(child, /locked/);
      sleeper = await childOf(child.pid);
      assert.deepEqual(lockFile(path), { kind: "held", holderPid: child.pid });
      await killed(child);
      const after = lockFile(path);
      assert(after.kind === "locked");
      after.lock.release();
    } finally {
      if (sleeper !== undefined) Deno.kill(sleeper, "SIGKILL");
    }
  }));

/** Once it has become its program: until then it has the descriptors of its parent. */
async function childOf(pid: number): Promise<number> {
  const children = () => Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  await until(() => children() !== "");
  const child = Number(children());
  await until(() => Deno.readTextFileSync(`/proc/${child}/comm`) === "sleep\n");
  return child;
}

Deno.test(
  "a file is replaced whole, with the mode asked for whatever the umask is",
  sanitized,
  () =>
    withDirectory((directory) => {
      const path = `${directory}/node.json`;
      const umask = Deno.umask(0o077);
      try {
        writeFileDurably(path, bytes("old and long"), 0o644);
        assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o644);
        writeFileDurably(path, bytes("new"), 0o600);
      } finally {
        Deno.umask(umask);
      }
      assert.equal(Deno.readTextFileSync(path), "new");
      assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
      assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["node.json"]);
    }),
);

Deno.test("what a killed writer left is taken away", sanitized, () =>
  withDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/key.new`, "half a k", { mode: 0o666 });
    writeFileDurably(`${directory}/key`, bytes("key"), 0o600);
    assert.equal(Deno.readTextFileSync(`${directory}/key`), "key");
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["key"]);
  }));

Deno.test(
  "a file that cannot be written leaves the old one, and nothing beside it",
  sanitized,
  () =>
    withDirectory((directory) => {
      // A directory where the file should be: only the last step, the rename, fails.
      Deno.mkdirSync(`${directory}/taken`);
      assert.throws(
        () => writeFileDurably(`${directory}/taken`, bytes("x"), 0o600),
        /rename .*\/taken failed: .*\(EISDIR\)/,
      );
      assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["taken"]);
      assert.throws(
        () => writeFileDurably(`${directory}/missing/file`, bytes("x"), 0o600),
        /open .*\/missing\/file\.new failed: .*\(ENOENT\)/,
      );
    }),
);

Deno.test("the steps come in the order that survives a power cut", () =>
  withDirectory(async (directory) => {
    const calls = `${directory}/calls`;
    const script = `
      import { writeFileDurably } from ${JSON.stringify(import.meta.resolve("./file.ts"))};
      writeFileDurably(${JSON.stringify(`${directory}/file`)}, new Uint8Array([120]), 0o600);
    `;
    const { success } = await new Deno.Command("strace", {
      cwd: new URL(".", import.meta.url),
      args: ["-f", "-y", "-o", calls, "-e", "trace=write,fsync,rename,renameat,renameat2"]
        .concat(Deno.execPath(), "eval", script),
    }).output();
    assert(success);
    const steps = Deno.readTextFileSync(calls).split("\n")
      .filter((line) => line.includes(directory))
      .map((line) =>
        line.replace(/^\d+ +/, "").replaceAll(directory, "DIR").replace(/ += \d+$/, "")
      )
      .filter((line) => /^(write\(\d+<DIR\/file|fsync|rename)/.test(line))
      .map((line) => line.replace(/\d+</, "N<"));
    assert.deepEqual(steps, [
      'write(N<DIR/file.new>, "x", 1)',
      "fsync(N<DIR/file.new>)",
      'rename("DIR/file.new", "DIR/file")',
      "fsync(N<DIR>)",
    ]);
  }));

Deno.test("a directory that is not there cannot be made durable", () => {
  assert.throws(() => fsyncDirectory("/nonexistent"), /open \/nonexistent failed: .*\(ENOENT\)/);
});
