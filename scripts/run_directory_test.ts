import assert from "node:assert/strict";
import { RunDirectory } from "./run_directory.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const prefix = `agent-run-directory-test-${crypto.randomUUID()}`;

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

Deno.test("a directory that is held stays, and goes with its holder", sanitized, () => {
  const one = new RunDirectory(prefix);
  const two = new RunDirectory(prefix);
  assert(exists(one.path) && exists(two.path));
  one[Symbol.dispose]();
  assert(!exists(one.path) && exists(two.path));
  two[Symbol.dispose]();
});

Deno.test(
  "one whose holder was killed goes with the next, in another process namespace too",
  sanitized,
  async () => {
    const program = `
    import { RunDirectory } from ${JSON.stringify(import.meta.resolve("./run_directory.ts"))};
    console.log(new RunDirectory(${JSON.stringify(prefix)}).path);
    setInterval(() => {}, 1000);`;
    const url = `data:application/typescript,${encodeURIComponent(program)}`;
    const holder = new Deno.Command("unshare", {
      args: [
        ...["--pid", "--fork", "--kill-child=KILL", "--mount-proc"],
        ...[Deno.execPath(), "run", "-A", "--quiet", "--no-check", url],
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const path = (await reader.read()).value?.trim() ?? "";
    {
      using _next = new RunDirectory(prefix);
      assert(exists(path), "its holder lives");
    }
    holder.kill("SIGKILL");
    await holder.status;
    await reader.cancel();
    const giveUp = Date.now() + 10_000;
    while (exists(path) && Date.now() < giveUp) {
      using _next = new RunDirectory(prefix);
    }
    assert(!exists(path), "its holder is dead");
  },
);

Deno.test("one that is just being made is left alone", sanitized, () => {
  const making = Deno.makeTempDirSync({ dir: "/tmp", prefix: `${prefix}.` });
  {
    using _next = new RunDirectory(prefix);
    assert(exists(making));
  }
  Deno.removeSync(making);
});
