// needs: root netns
import assert from "node:assert/strict";
import { CommandError, TestLab } from "../lab/hosts.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while (!await condition()) {
    if (Date.now() > giveUp) throw new Error(`Waited 10 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Is there a process on the machine with this argument among its own? */
function runs(argument: string): boolean {
  return [...Deno.readDirSync("/proc")].some(({ name }) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0").includes(argument);
    } catch {
      return false;
    }
  });
}

/** A number of seconds that only one sleeping process has. */
const uniqueSeconds = () => `${1000 + Math.random()}`;

/** A command that leaves a process behind, as an agent does; that must not hold our end of the output. */
const daemon = (seconds: string) => ["sh", "-c", `setsid sleep ${seconds} >/dev/null 2>&1 &`];

Deno.test(
  "hosts reach each other over the underlay and have no other way out",
  sanitized,
  async () => {
    await using lab = await TestLab.start();
    const one = await lab.addHost("one", { address: "192.0.2.1/24" });
    const two = await lab.addHost("two", { address: "192.0.2.2/24", mtuBytes: 1400 });
    await one.exec("ping", "-c", "1", "-W", "5", two.address);
    assert.deepEqual((await two.exec("ls", "/sys/class/net")).split("\n"), ["eth0", "lo", ""]);
    assert.match(await two.exec("ip", "link", "show", "eth0"), /mtu 1400/);
    assert.match(await one.exec("ip", "route"), /^default dev eth0/m);
    assert.equal(await one.exec("cat", "/proc/sys/kernel/hostname"), "one\n");
  },
);

Deno.test("a host has its own /run, /var/lib/agent and processes", sanitized, async () => {
  await using lab = await TestLab.start();
  const one = await lab.addHost("one", { address: "192.0.2.1/24" });
  const two = await lab.addHost("two", { address: "192.0.2.2/24" });
  await one.exec("sh", "-c", "echo mine >/run/note && echo mine >/var/lib/agent/note");
  assert.equal((await two.output(["cat", "/run/note"])).status, 1);
  assert.equal((await two.output(["cat", "/var/lib/agent/note"])).status, 1);
  assert.throws(() => Deno.statSync("/var/lib/agent/note"), Deno.errors.NotFound);
  assert.equal(Deno.readTextFileSync(one.path("/run/note")), "mine\n");
  // The unpacked runtime is the one thing they share.
  await one.exec("touch", "/var/lib/agent/runtime/unpacked");
  await two.exec("test", "-e", "/var/lib/agent/runtime/unpacked");
  // What else is in /var/lib is still to be seen.
  assert.equal(await one.exec("ls", "/var/lib/dpkg/status"), "/var/lib/dpkg/status\n");
  assert.match(await one.exec("ps", "-e", "-o", "pid="), /^\s*1$/m);
});

Deno.test(
  "a command's directory, environment, output and status are its own",
  sanitized,
  async () => {
    await using lab = await TestLab.start();
    const one = await lab.addHost("one", { address: "192.0.2.1/24" });
    const output = await one.output(["sh", "-c", "pwd; echo $NOTE; echo bad >&2; exit 3"], {
      cwd: "/usr",
      env: { NOTE: "hello" },
    });
    assert.deepEqual(output, { status: 3, stdout: "/usr\nhello\n", stderr: "bad\n" });
    await assert.rejects(one.exec("ls", "/none"), (error) => {
      assert(error instanceof CommandError);
      assert.match(error.message, /^one: "ls \/none" ended with status 2: ls: cannot access/);
      return true;
    });
  },
);

Deno.test("a running command can be signalled by its own number", sanitized, async () => {
  await using lab = await TestLab.start();
  const one = await lab.addHost("one", { address: "192.0.2.1/24" });
  const sleeper = one.spawn(["sleep", "1000"], { output: "null" });
  const inHost = await sleeper.pidInHost();
  assert.equal(await one.exec("cat", `/proc/${inHost}/comm`), "sleep\n");
  await sleeper.kill("SIGTERM");
  assert.equal(await sleeper.status, 143);
});

Deno.test("a lab ends in which a command was stopped and continued", sanitized, async () => {
  const lab = await TestLab.start();
  const one = await lab.addHost("one", { address: "192.0.2.1/24" });
  const sleeper = one.spawn(["sleep", "1000"], { output: "null" });
  await sleeper.kill("SIGSTOP");
  const entry = /^PPid:\t(\d+)$/m;
  const status = (pid: number | string) => Deno.readTextFileSync(`/proc/${pid}/status`);
  const parent = status(await sleeper.pid()).match(entry)?.[1] ?? "";
  await until("its parent stands still, too", () => /^State:\tT/m.test(status(parent)));
  await sleeper.kill("SIGCONT");
  await lab.close();
  assert.equal(await sleeper.status, 137);
});

Deno.test("two labs with the same names and addresses stand side by side", sanitized, async () => {
  await using first = await TestLab.start();
  await using second = await TestLab.start();
  const one = await first.addHost("one", { address: "192.0.2.1/24" });
  await second.addHost("one", { address: "192.0.2.1/24" });
  const two = await second.addHost("two", { address: "192.0.2.2/24" });
  await two.exec("ping", "-c", "1", "-W", "5", "192.0.2.1");
  assert.notEqual((await one.output(["ping", "-c", "1", "-W", "1", "192.0.2.2"])).status, 0);
});

Deno.test("a stopped host is off the underlay and can be added again", sanitized, async () => {
  await using lab = await TestLab.start();
  const one = await lab.addHost("one", { address: "192.0.2.1/24" });
  const seconds = uniqueSeconds();
  await one.exec(...daemon(seconds));
  await until("its daemon runs", () => runs(seconds));
  await one.stop();
  assert(!runs(seconds));
  assert.doesNotMatch(await lab.underlay.exec("ip", "-brief", "link"), /port-one/);
  const again = await lab.addHost("one", { address: "192.0.2.1/24" });
  await again.exec("ip", "address", "show", "eth0");
});

Deno.test("a host that cannot be made says why and leaves nothing", sanitized, async () => {
  await using lab = await TestLab.start();
  await assert.rejects(lab.addHost("one", { address: "nonsense" }), /one: .*prefix is expected/s);
  await until("its port is gone", async () => {
    return !(await lab.underlay.exec("ip", "-brief", "link")).includes("port-one");
  });
  await assert.rejects(lab.addHost("much-too-long", { address: "192.0.2.1/24" }), TypeError);
});

Deno.test("closing the lab ends daemons too", sanitized, async () => {
  const lab = await TestLab.start();
  const one = await lab.addHost("one", { address: "192.0.2.1/24" });
  const seconds = uniqueSeconds();
  await one.exec(...daemon(seconds));
  await until("its daemon runs", () => runs(seconds));
  await lab.close();
  assert(!runs(seconds));
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  Deno.test(`nothing outlives a process that ${signal} ends`, sanitized, async () => {
    const seconds = uniqueSeconds();
    const program = `
      import { TestLab } from ${JSON.stringify(import.meta.resolve("../lab/hosts.ts"))};
      const lab = await TestLab.start();
      const one = await lab.addHost("one", { address: "192.0.2.1/24" });
      await one.exec(...${JSON.stringify(daemon(seconds))});
      console.log("up");
      await new Promise((resolve) => setTimeout(resolve, 1e6));`;
    const owner = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        "--no-check",
        `data:application/typescript,${encodeURIComponent(program)}`,
      ],
      stdout: "piped",
    }).spawn();
    const output = owner.stdout.getReader();
    await output.read();
    await until("its daemon runs", () => runs(seconds));
    owner.kill(signal);
    await owner.status;
    await output.cancel();
    await until("its daemon is gone", () => !runs(seconds));
  });
}
