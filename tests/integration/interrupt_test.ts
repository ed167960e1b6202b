// needs: root vxlan
/**
 * `scripts/demo`, `scripts/build` and `scripts/test`, interrupted half way, leave the machine as it was.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { waitFor } from "../e2e/wait.ts";

const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/** Processes that were started with this variable, also those that have left their parents. */
function processesWith(variable: string): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return Deno.readTextFileSync(`/proc/${name}/environ`).split("\0").includes(variable);
    } catch {
      return false;
    }
  });
}

/** Directories of builds and of test runs. */
function temporary(): string[] {
  return [...Deno.readDirSync("/tmp")].map(({ name }) => name)
    .filter((name) => /^agent-(build|test)\./.test(name));
}

/** Nobody holds its lock: it is not that of a build beside this test. */
function isAbandoned(name: string): boolean {
  try {
    using lock = Deno.openSync(`/tmp/${name}/lock`, { write: true });
    return lock.tryLockSync(true);
  } catch {
    return true;
  }
}

const SCENES = [
  { what: "demo", args: [], until: /host2# agent join/ },
  {
    what: "build",
    args: ["--form", "self-extracting", "--output"],
    until: /^/,
  },
  // Half way through the tests themselves: what has been built already is built no more.
  { what: "test", args: ["unit", "src/base"], until: /ok build/ },
] as const;

for (const { what, args, until } of SCENES) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.test(`scripts/${what}, ended by ${signal}, leaves nothing`, async () => {
      const mark = `AGENT_TEST_MARK=${crypto.randomUUID()}`;
      const output = Deno.makeTempDirSync();
      const before = temporary();
      const netns = () => Deno.readTextFileSync("/proc/self/mountinfo").match(/ \/run\/netns.*/g);
      const names = netns();
      const [name = "", value = ""] = mark.split("=");
      const child = spawn(
        `${root}/scripts/${what}`,
        what === "build" ? [...args, output] : [...args],
        {
          detached: true,
          stdio: ["ignore", "pipe", "inherit"],
          env: { ...process.env, [name]: value },
        },
      );
      try {
        const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
        const made = () => temporary().some((name) => !before.includes(name));
        let said = "";
        child.stdout.on("data", (part) => said += part);
        await waitFor(
          "it to be half way",
          () => child.exitCode !== null || until.test(said) && (what === "demo" || made()),
          240_000,
        );
        assert.equal(child.exitCode, null, "it has ended by itself");
        assert(child.pid !== undefined);
        // As a terminal does: to all of the group.
        process.kill(-child.pid, signal);
        await ended;
        assert.notEqual(child.exitCode ?? signal, 0);
        await waitFor("all of its processes to be gone", () => processesWith(mark).length === 0);
        const left = temporary().filter((name) => !before.includes(name) && isAbandoned(name));
        assert.deepEqual(left, []);
        assert.deepEqual(netns(), names);
      } finally {
        Deno.removeSync(output, { recursive: true });
      }
    });
  }
}
