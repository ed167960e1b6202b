import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCommandLine } from "./parse.ts";
import { DEFAULT_DIRECTORIES, parsePlainRun, runAgent, type RunChoice } from "./run_agent.ts";
import { portsOf } from "./testing_machine.ts";

Deno.test("what is started in the background is read without the library", () => {
  const line = "run --state-dir /a --run-dir /b --ready-fd 3 --begin-on stdin";
  assert.deepEqual(parsePlainRun(line.split(" ")), {
    stateDir: "/a",
    runDir: "/b",
    logLevel: "info",
    readyFd: 3,
    beginOn: "stdin",
  });
  assert.deepEqual(parsePlainRun(["run"]), {
    ...DEFAULT_DIRECTORIES,
    logLevel: "info",
    readyFd: undefined,
    beginOn: undefined,
  });
});

/** What the library makes of the same command line; null when it refuses, or shows help. */
async function parseByLibrary(args: readonly string[]): Promise<RunChoice | null> {
  const parsed = parseCommandLine(args, "1.2.3");
  if (parsed.kind !== "action") return null;
  let choice: RunChoice | null = null;
  let begins: "stdin" | undefined;
  const ports = portsOf({
    get input() {
      begins = "stdin";
      return Promise.resolve(true);
    },
    onLast: (fd) => {
      if (choice !== null) choice = { ...choice, readyFd: fd };
    },
    lifecycle: {
      run: async ({ mayBegin, onReady, ...options }) => {
        assert.equal(await mayBegin(), "now");
        choice = { ...options, readyFd: undefined, beginOn: begins };
        onReady();
        return 0;
      },
    },
  }).ports;
  await parsed.action(ports);
  return choice;
}

Deno.test("what is read without the library is what the library would read", async () => {
  const words = fc.constantFrom(
    ...["--state-dir", "--run-dir", "--ready-fd", "--log-level", "--state-dir=/a", "--help"],
    ...["--begin-on", "stdin", "/a", "b", "3", "2", "03", "-1", "info", "loud", "--", "--json", ""],
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

Deno.test("an agent that waits for its input begins when that comes, and never without it", async () => {
  for (const [comes, expected] of [[true, "now"], [false, "never"]] as const) {
    let answer: string | null = null;
    const { ports } = portsOf({
      input: Promise.resolve(comes),
      lifecycle: {
        run: async ({ mayBegin }) => {
          answer = await mayBegin();
          return 0;
        },
      },
    });
    const choice = parsePlainRun(["run", "--begin-on", "stdin"]);
    assert(choice !== null);
    assert.equal(await runAgent(ports, choice), 0);
    assert.equal(answer, expected);
  }
});
