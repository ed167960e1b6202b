import assert from "node:assert/strict";
import { openCurrentNamespace, openNamespaceOfPid, sameNamespace } from "./namespace.ts";
import {
  bootId,
  hostname,
  identifyProcess,
  isRoot,
  isRunning,
  pidsInNamespace,
} from "./process.ts";
import { killed, readUntil, spawnScript, until } from "./test_script.ts";

Deno.test("a process is known by pid and start, and is gone when it ends", async () => {
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  const identity = identifyProcess(child.pid);
  assert(identity !== null);
  assert.equal(identity.pid, child.pid);
  assert(isRunning(identity));
  assert(!isRunning({ ...identity, startTicks: identity.startTicks - 1 }));
  await child.stdin.close();
  await child.status;
  assert(!isRunning(identity));
  assert.equal(identifyProcess(child.pid), null);
});

Deno.test("a process that has ended is gone before its parent has noticed", async () => {
  // `sleep` is the parent in the end, and never asks for its children.
  const parent = new Deno.Command("sh", {
    args: ["-c", "exec 3<&0; cat <&3 & echo $!; exec sleep 1000"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  try {
    const pid = Number(await readUntil(parent, /\n/));
    await until(() => Deno.readTextFileSync(`/proc/${parent.pid}/comm`) === "sleep\n");
    assert.equal(identifyProcess(pid)?.pid, pid);
    await parent.stdin.close();
    await until(() => isZombie(pid));
    assert.equal(identifyProcess(pid), null);
  } finally {
    await killed(parent);
  }
});

/** Whether its first thread has ended. */
function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
}

Deno.test("a start lies between the machine's and now", () => {
  const identity = identifyProcess(Deno.pid);
  assert(identity !== null);
  // USER_HZ is 100 on all architectures that matter here.
  const startedAt = identity.startTicks / 100;
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  assert(startedAt > 0 && startedAt <= uptime);
});

Deno.test("a name with brackets and spaces does not confuse", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "sys-test-" });
  try {
    const program = `${directory}/a) Z 1 (b`;
    Deno.copyFileSync("/bin/cat", program);
    const child = new Deno.Command(program, {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    try {
      // It answers, so it has been executed and has its name.
      await writeTo(child, "x");
      await readUntil(child, /x/);
      assert.match(Deno.readTextFileSync(`/proc/${child.pid}/stat`), /\(a\) Z 1 \(b\)/);
      assert.equal(identifyProcess(child.pid)?.pid, child.pid);
    } finally {
      await child.stdin.close();
      await killed(child);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

async function writeTo(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

Deno.test("the processes of a namespace are found, and no others", async () => {
  using here = openCurrentNamespace();
  assert(pidsInNamespace(here.identity).includes(Deno.pid));
  const child = spawnScript(`
    const argv = ["sh", "-c", "sleep 1000 & echo $!; wait"];
    sys.becomeCommand({ argv, env: Deno.env.toObject(), keepFds: [], prepare: () => {} });
  `);
  let grandchild = 0;
  try {
    grandchild = Number(await readUntil(child, /\n/));
    using namespace = openNamespaceOfPid(child.pid);
    assert(!sameNamespace(namespace.identity, here.identity));
    assert.deepEqual(pidsInNamespace(namespace.identity), [child.pid, grandchild]);
    assert(!pidsInNamespace(here.identity).includes(child.pid));
  } finally {
    if (grandchild > 0) Deno.kill(grandchild, "SIGKILL");
    await killed(child);
  }
});

Deno.test("a process whose first thread has ended goes on", async () => {
  using here = openCurrentNamespace();
  const SYS_exit = Deno.build.arch === "x86_64" ? 60 : 93;
  const child = spawnScript(`
    Deno.stdout.writeSync(new TextEncoder().encode("ready\\n"));
    libc.syscall(${SYS_exit}n, 0n, 0n);
  `);
  try {
    await readUntil(child, /ready/);
    await until(() => isZombie(child.pid));
    const identity = identifyProcess(child.pid);
    assert(identity !== null && isRunning(identity));
    assert(pidsInNamespace(here.identity).includes(child.pid));
  } finally {
    await killed(child);
  }
  assert.equal(identifyProcess(child.pid), null);
});

Deno.test("the machine says who it is", () => {
  assert.match(bootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(hostname(), Deno.readTextFileSync("/proc/sys/kernel/hostname").trim());
  assert.equal(isRoot(), /^Uid:\s+\d+\s+0\s/m.test(Deno.readTextFileSync("/proc/self/status")));
});
