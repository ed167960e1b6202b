// needs: root
/**
 * `scripts/lab`: a command in the guest is as good as a command here, and nothing remains of either.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const lab = `${root}/scripts/lab`;

interface Options {
  cwd?: string;
  env?: Record<string, string>;
}

async function run(args: string[], options: Options = {}) {
  const output = await new Deno.Command(lab, { args, stdin: "null", ...options }).output();
  const text = new TextDecoder();
  return {
    code: output.code,
    bytes: output.stdout,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

/** Processes whose command line has this text in it. */
function running(text: string): number {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(text);
    } catch {
      return false;
    }
  }).length;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUp = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > giveUp) throw new Error(`Waited 20 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The run directories of the guests whose command has this text in it. */
function guestsWith(text: string): string[] {
  return [...Deno.readDirSync("/tmp")].map(({ name }) => name).filter((name) => {
    try {
      return name.startsWith("agent-lab.") &&
        Deno.readTextFileSync(`/tmp/${name}/command`).includes(text);
    } catch {
      return false;
    }
  });
}

Deno.test(
  "in the guest a command has its directory, environment, output and status",
  sanitized,
  async () => {
    const cwd = Deno.makeTempDirSync();
    const share = Deno.makeTempDirSync();
    try {
      const odd = 'it\'s "$HOME"\n`x` \\ ü';
      const script = `
      pwd; printf '%s\\n' "$ODD" "$1"; tty; cat; uname -r
      echo kept >here; echo kept >${share}/there; echo gone >/etc/agent-lab-test
      setsid sleep 1000 &
      head -c 2000000 /dev/zero | tr '\\0' 'x' >&2
      exit 7`;
      const args = ["--kernel", "guest", "--share", share, "--", "sh", "-c", script, "sh", "a  b"];
      const { code, stdout, stderr } = await run(args, { cwd, env: { ODD: odd } });
      const [directory, ...lines] = stdout.split("\n");
      assert.equal(directory, cwd);
      assert.match(
        lines.join("\n"),
        /^it's "\$HOME"\n`x` \\ ü\na {2}b\nnot a tty\n\d+\.\d+\.\d+\n$/,
      );
      assert.equal(stderr, "x".repeat(2_000_000));
      assert.equal(code, 7);
      assert.equal(Deno.readTextFileSync(`${cwd}/here`), "kept\n");
      assert.equal(Deno.readTextFileSync(`${share}/there`), "kept\n");
      assert.throws(() => Deno.statSync("/etc/agent-lab-test"), Deno.errors.NotFound);
    } finally {
      Deno.removeSync(cwd, { recursive: true });
      Deno.removeSync(share, { recursive: true });
    }
  },
);

Deno.test(
  "the guest's kernel has every feature, so a lab within the lab stays in it",
  sanitized,
  async () => {
    // Bytes of every value, to see that the lines between the kernels change none.
    const script =
      `uname -r >&2; ${lab} -- uname -r >&2; for i in $(seq 0 255); do printf "\\\\$(printf %o $i)"; done`;
    const { code, bytes, stderr } = await run(["--kernel", "guest", "--", "bash", "-c", script]);
    assert.equal(code, 0);
    const [outer, inner] = stderr.split("\n");
    assert.equal(inner, outer);
    const all = Uint8Array.from({ length: 256 }, (_, value) => value);
    const digest = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    assert.equal(digest(bytes), digest(all));
  },
);

Deno.test("a guest that dies is a failure, with its kernel's last words", sanitized, async () => {
  const { code, stderr } = await run([
    "--kernel",
    "guest",
    "--",
    "sh",
    "-c",
    "echo c >/proc/sysrq-trigger",
  ]);
  assert.equal(code, 125);
  assert.match(stderr, /sysrq[^]*lab: the guest ended before its command did/);
});

Deno.test("two guests at once do not know of each other", sanitized, async () => {
  const one = run(["--kernel", "guest", "--", "sh", "-c", "echo one >/tmp/x; sleep 1; cat /tmp/x"]);
  const two = run(["--kernel", "guest", "--", "sh", "-c", "echo two >/tmp/x; sleep 1; cat /tmp/x"]);
  assert.deepEqual([(await one).stdout, (await two).stdout], ["one\n", "two\n"]);
});

for (const kernel of ["host", "guest"]) {
  Deno.test(`a command whose time is over is ended (${kernel})`, sanitized, async () => {
    const { code, stderr } = await run([
      "--kernel",
      kernel,
      "--timeout",
      "1",
      "--",
      "sleep",
      "1000",
    ]);
    assert.equal(code, 124);
    assert.match(stderr, /its time was over/);
  });

  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGKILL", 137]] as const) {
    Deno.test(`after ${signal} nothing is left (${kernel})`, sanitized, async () => {
      // The command's output tells that it runs; in the guest its processes cannot be seen from here.
      const unique = `${1000 + Math.random()}`;
      const child = new Deno.Command(lab, {
        args: [
          "--kernel",
          kernel,
          "--",
          "sh",
          "-c",
          `setsid sleep ${unique} & echo up; sleep ${unique}`,
        ],
        stdin: "null",
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.getReader();
      await reader.read();
      const marks = kernel === "guest" ? guestsWith(unique) : [unique];
      assert.equal(marks.length, 1);
      assert(running(marks[0] ?? "") > 0);
      child.kill(signal);
      const ended = await child.status;
      assert.equal(ended.code, status);
      await reader.cancel();
      await until("its processes are gone", () => running(marks[0] ?? "") === 0);
      if (kernel === "guest" && signal === "SIGKILL") {
        // What is left without a chance to tidy up goes with the next guest.
        await run(["--kernel", "guest", "--", "true"]);
      }
      assert.deepEqual(guestsWith(unique), []);
    });
  }
}

Deno.test(
  "on this kernel too the status is the command's, and its daemons end with it",
  sanitized,
  async () => {
    const unique = `${1000 + Math.random()}`;
    const script = `setsid sleep ${unique} >/dev/null 2>&1 & exit 9`;
    assert.equal((await run(["--kernel", "host", "--", "sh", "-c", script])).code, 9);
    await until("its daemon is gone", () => running(unique) === 0);
  },
);

Deno.test("wrong use is told apart from the command's own failure", sanitized, async () => {
  for (
    const args of [
      ["true"],
      ["--kernel", "moon", "--", "true"],
      ["--needs", "luck", "--", "true"],
      ["--cpu", "x", "--", "true"],
    ]
  ) {
    const { code, stderr } = await run(args);
    assert.equal(code, 125, args.join(" "));
    assert.match(stderr, /^lab: /);
  }
});
