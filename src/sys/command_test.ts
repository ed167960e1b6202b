import assert from "node:assert/strict";
import { killed, readUntil, runScript, spawnScript } from "./test_script.ts";

/** A script that becomes `sh -c <shell>`. */
function becomeShell(shell: string, env = "Deno.env.toObject()"): string {
  return `
    const argv = ["sh", "-c", ${JSON.stringify(shell)}];
    sys.becomeCommand({ argv, env: ${env}, keepFds: [], prepare: () => {} });
  `;
}

Deno.test("the process becomes the command: arguments, environment, exit status", async () => {
  const { code, stdout, stderr } = await runScript(`
    sys.becomeCommand({
      argv: ["sh", "-c", 'echo "$0|$1|$GREETING|$HOME|$$"; exit 42', "näme", "two words"],
      env: { GREETING: "hello = world" },
      keepFds: [],
      prepare: () => console.log(Deno.pid),
    });
  `);
  assert.equal(stderr, "");
  const [pid, line] = stdout.trim().split("\n");
  assert.equal(line, `näme|two words|hello = world||${pid}`);
  assert.equal(code, 42);
});

Deno.test("it has a network namespace of its own, with only lo in it", async () => {
  const { stdout } = await runScript(becomeShell("readlink /proc/self/ns/net; cat /proc/net/dev"));
  const [namespace, ...devices] = stdout.trim().split("\n");
  assert.notEqual(namespace, Deno.readLinkSync("/proc/self/ns/net"));
  assert.deepEqual(devices.slice(2).map((line) => line.trim().split(":")[0]), ["lo"]);
});

Deno.test("what prepares it runs in that namespace", async () => {
  const { stdout } = await runScript(`
    sys.becomeCommand({
      argv: ["readlink", "/proc/self/ns/net"],
      env: Deno.env.toObject(),
      keepFds: [],
      prepare: () => console.log(Deno.readLinkSync("/proc/thread-self/ns/net")),
    });
  `);
  const [inPrepare, inCommand] = stdout.trim().split("\n");
  assert.equal(inCommand, inPrepare);
});

Deno.test("a signal ends it as it ends any process", async () => {
  const child = spawnScript(becomeShell("echo ready; exec sleep 1000"));
  await readUntil(child, /ready/);
  const { signal } = await killed(child);
  assert.equal(signal, "SIGKILL");
});

Deno.test("SIGPIPE is not ignored, nor any other signal that whoever started us does not ignore", async () => {
  const { stdout } = await runScript(becomeShell("grep SigIgn /proc/self/status"));
  const ignoredBy = (status: string) => {
    return BigInt("0x" + /^SigIgn:\s*(\w+)$/m.exec(status)?.[1]);
  };
  // Deno ignores SIGPIPE (13). The C library makes signal 32 ignored in every child, for itself.
  const ours = ignoredBy(Deno.readTextFileSync("/proc/self/status")) & ~(1n << 12n);
  assert.equal(ignoredBy(stdout) & ~(1n << 31n) & ~ours, 0n);
});

Deno.test("it inherits standard streams and what is named, nothing else", async () => {
  const child = spawnScript(`
    // Descriptors that children would inherit: what Deno does not mark, and one more.
    const stray = libc.eventfd(0, 0);
    const kept = libc.eventfd(0, 0o2000000);
    console.log(kept);
    sys.becomeCommand({
      argv: ["sh", "-c", "exec ls /proc/self/fd"],
      env: Deno.env.toObject(),
      keepFds: [kept],
      prepare: () => {},
    });
  `);
  const { stdout } = await child.output();
  const [kept, ...open] = new TextDecoder().decode(stdout).trim().split("\n");
  assert(kept !== undefined);
  // One more is the listing's own.
  const expected = ["0", "1", "2", kept];
  assert.deepEqual(open.filter((fd) => !expected.includes(fd)).length, 1);
  for (const fd of expected) assert(open.includes(fd));
});

Deno.test("a program that cannot be run leaves the process as it was", async (t) => {
  for (
    const [program, errno] of [
      ["no-such-program", "ENOENT"],
      ["/no/such/program", "ENOENT"],
      ["/dev/null", "EACCES"],
      ["/etc", "EACCES"],
    ] as const
  ) {
    await t.step(program, async () => {
      const { code, stdout, stderr } = await runScript(`
        const ignored = () => /SigIgn:.*/.exec(Deno.readTextFileSync("/proc/self/status"))[0];
        const ignoredBefore = ignored();
        const before = Deno.readLinkSync("/proc/thread-self/ns/net");
        try {
          sys.becomeCommand({
            argv: [${JSON.stringify(program)}],
            env: {},
            keepFds: [],
            prepare: () => {},
          });
        } catch (error) {
          console.log(error instanceof sys.SyscallError, error.call, error.path, error.errnoName);
        }
        console.log(Deno.readLinkSync("/proc/thread-self/ns/net") === before);
        console.log(ignored() === ignoredBefore);
        // The runtime still works: its own descriptors are there.
        await new Promise((resolve) => setTimeout(resolve, 0));
        await Deno.readTextFile("/proc/self/status");
      `);
      assert.equal(stderr, "");
      assert.equal(stdout, `true execvpe ${program} ${errno}\ntrue\ntrue\n`);
      assert.equal(code, 0);
    });
  }
});

Deno.test("when preparing fails nothing is run", async () => {
  const { stdout } = await runScript(`
    const before = Deno.readLinkSync("/proc/thread-self/ns/net");
    const prepare = () => { throw new RangeError("no lo"); };
    try {
      sys.becomeCommand({ argv: ["echo", "ran"], env: {}, keepFds: [], prepare });
    } catch (error) {
      console.log(error.message, Deno.readLinkSync("/proc/thread-self/ns/net") === before);
    }
  `);
  assert.equal(stdout, "no lo true\n");
});
