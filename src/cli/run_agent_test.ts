import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCommandLine } from "./parse.ts";
import { DEFAULT_DIRECTORIES, parsePlainRun, type RunChoice } from "./run_agent.ts";
import { portsOf } from "./testing_machine.ts";

Deno.test("what is started in the background is read without the library", () => {
  const line = "run --state-dir /a --run-dir /b --ready-fd 3";
  assert.deepEqual(parsePlainRun(line.split(" ")), {
    stateDir: "/a",
    runDir: "/b",
    logLevel: "info",
    readyFd: 3,
  });
  assert.deepEqual(parsePlainRun(["run"]), {
    ...DEFAULT_DIRECTORIES,
    logLevel: "info",
    readyFd: undefined,
  });
});

/** What the library makes of the same command line; null when it refuses, or shows help. */
async function parseByLibrary(args: readonly string[]): Promise<RunChoice | null> {
  const parsed = parseCommandLine(args, "1.2.3");
  if (parsed.kind !== "action") return null;
  let choice: RunChoice | null = null;
  const ports = portsOf({
    onLast: (fd) => {
      if (choice !== null) choice = { ...choice, readyFd: fd };
    },
    lifecycle: {
      run: ({ onReady, ...options }) => {
        choice = { ...options, readyFd: undefined };
        onReady();
        return Promise.resolve(0);
      },
    },
  }).ports;
  await parsed.action(ports);
  return choice;
}

Deno.test("what is read without the library is what the library would read", async () => {
  const words = fc.constantFrom(
    ...["--state-dir", "--run-dir", "--ready-fd", "--log-level", "--state-dir=/a", "--help"],
    ...["/a", "b", "3", "2", "03", "-1", "info", "loud", "--", "--json", ""],
  );
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 6 }), async (rest) => {
      const args = ["run", ...rest];
      const choice = parsePlainRun(args);
      if (choice === null) return;
      plain++;
      assert.deepEqual(choice, await parseByLibrary(args));
    }),
    { numRuns: 2000 },
  );
  assert(plain > 20, `only ${plain}`);
});

Deno.test("another command line is left to the library", () => {
  for (const line of ["", "status", "run --help", "run --ready-fd 2", "run --log-level loud"]) {
    assert.equal(parsePlainRun(line.split(" ")), null, line);
  }
  assert.equal(parsePlainRun(["run", "--state-dir", "--run-dir"]), null);
});
