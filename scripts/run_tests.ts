/**
 * Runs the tests; see `usage`. Started by `scripts/test`, which sets up what is missing first.
 *
 * @module
 */
import process from "node:process";
import { availableCpus, Child, onInterrupt } from "./child.ts";
import { features, missingFeatures } from "./kernel_probe.ts";
import { RunDirectory } from "./run_directory.ts";
import { planRuns, readReport, suiteOf, type TestFile, type TestRun } from "./test_plan.ts";

const usage = `Usage: scripts/test [SUITE] [FILTER]

Runs the tests, those of all suites unless one is named: static (format, lint, types, documentation,
layers), unit (beside the code in src and scripts), and each folder of tests. FILTER is a part of a
file's path, or else of a test's name. What a test file needs stands in its first line
("// needs: root esp netem"); what this kernel lacks is run in a User Mode Linux guest.

The last line is "N passed, N failed"; the exit status is 1 if any failed.`;

const limitSeconds = 1500;

/** One thing to run, to be shown when it is over. */
interface Job {
  readonly title: string;
  readonly cpu: "any" | "last";
  run(cpu: number): Promise<Result>;
}

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly problems: readonly string[];
  readonly output: string;
}

const children = new Set<Child>();
let interrupted: number | undefined;

/** Runs a command to its end, with both outputs as one text. */
async function capture(
  command: readonly string[],
  options: { cpu?: number; env?: Record<string, string>; apart?: "machine" | "processes" },
): Promise<{ status: number; output: string }> {
  if (interrupted !== undefined) return { status: interrupted, output: "" };
  const child = new Child(command, {
    ...options,
    env: { ...Deno.env.toObject(), NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  const parts: Uint8Array[] = [];
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.on("data", (part: Uint8Array) => parts.push(part));
  }
  const timer = setTimeout(() => {
    parts.push(new TextEncoder().encode(`\nended after ${limitSeconds} s, its limit\n`));
    void child.end({ graceMs: 3000 });
  }, limitSeconds * 1000);
  const status = await child.status;
  clearTimeout(timer);
  children.delete(child);
  return {
    status,
    output: new TextDecoder().decode(await new Blob(parts.map((part) => part.slice())).bytes()),
  };
}

/** A command that is itself one test. */
function checkJob(title: string, command: readonly string[]): Job {
  return {
    title,
    cpu: "any",
    run: async (cpu) => {
      const { status, output } = await capture(command, { cpu });
      return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, problems: [], output };
    },
  };
}

function staticJobs(deno: string): Job[] {
  const folders = [...Deno.readDirSync("src")].filter((entry) => entry.isDirectory);
  const documented = folders.map(({ name }) => `src/${name}/mod.ts`).filter(exists);
  const code = ["main.ts", "src", "tests", "scripts"].filter(exists);
  return [
    checkJob("static: format", [deno, "fmt", "--check"]),
    checkJob("static: lint", [deno, "lint"]),
    checkJob("static: types", [deno, "check", ...code]),
    checkJob("static: documentation", [deno, "doc", "--lint", ...documented]),
    checkJob("static: layers", [deno, "run", "-A", "scripts/check_layers.ts"]),
  ];
}

/** One `deno test`, in this kernel (away from this machine's network and /run) or in the guest. */
function testJob(deno: string, work: string, run: TestRun, filter: string | undefined): Job {
  const report = `${work}/${run.suite}-${run.place}.xml`;
  const command = [
    deno,
    "test",
    "--allow-all",
    "--no-check",
    `--junit-path=${report}`,
    ...(filter === undefined ? [] : [`--filter=${filter}`]),
    ...run.files,
  ];
  return {
    title: `${run.suite}${run.place === "guest" ? " (in the guest)" : ""}`,
    cpu: run.place === "guest" ? "last" : "any",
    run: async (cpu) => {
      const lab = ["scripts/lab", "--kernel", "guest", "--cpu", `${cpu}`, "--share", work, "--"];
      const ended = run.place === "guest"
        ? await capture([...lab, ...command], {})
        // Temporary files go where they are removed whatever becomes of the test.
        : await capture(command, { cpu, env: { TMPDIR: work }, apart: "machine" });
      const xml = exists(report) ? Deno.readTextFileSync(report) : undefined;
      const outcome = { status: ended.status, filtered: filter !== undefined };
      return { ...readReport(xml, run, outcome), output: ended.output };
    },
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function* testFiles(folder: string): Generator<TestFile> {
  const entries = [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* testFiles(path);
    else if (name.endsWith("_test.ts")) {
      yield { path, firstLine: Deno.readTextFileSync(path).split("\n", 1)[0] ?? "" };
    }
  }
}

/** The last part of a failed run's output: from Deno's list of errors on, where it has one. */
function relevant(output: string): string {
  const errors = output.lastIndexOf("\n ERRORS ");
  return errors < 0 ? output.split("\n").slice(-60).join("\n") : output.slice(errors + 1);
}

/** Runs all jobs, as many at a time as there are CPUs; guests share the last one. */
async function runJobs(jobs: readonly Job[]): Promise<{ passed: number; failed: number }> {
  const cpus = availableCpus();
  const last = cpus.at(-1) ?? 0;
  const waiting = [...jobs];
  const total = { passed: 0, failed: 0 };
  const lane = async (cpu: number) => {
    for (;;) {
      // The last CPU takes what only it may run first; with one CPU it runs all.
      const pinned = cpu === last ? waiting.findIndex((job) => job.cpu === "last") : -1;
      const index = pinned >= 0 ? pinned : waiting.findIndex((job) => job.cpu === "any");
      const [job] = index < 0 || interrupted !== undefined ? [] : waiting.splice(index, 1);
      if (job === undefined) return;
      const began = performance.now();
      const result = await job.run(cpu);
      if (interrupted !== undefined) return;
      const failed = result.failed + result.problems.length;
      total.passed += result.passed;
      total.failed += failed;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      if (failed > 0) {
        console.log(`${relevant(result.output).trimEnd()}\n${result.problems.join("\n")}`);
      }
      console.log(
        `${
          failed > 0 ? "FAILED" : "ok"
        } ${job.title}: ${result.passed} passed, ${failed} failed (${seconds} s)`,
      );
    }
  };
  await Promise.all(cpus.map(lane));
  return total;
}

async function planJobs(work: string): Promise<Job[]> {
  const [suite, filter] = Deno.args;
  const deno = Deno.execPath();
  const all = ["src", "scripts", "tests"].filter(exists).flatMap((
    folder,
  ) => [...testFiles(folder)]);
  const suites = ["static", ...new Set(all.map(({ path }) => suiteOf(path)))];
  if (suite !== undefined && !suites.includes(suite)) {
    throw new Error(`there is no suite "${suite}"; there are ${suites.join(", ")}`);
  }
  const ofSuite = all.filter(({ path }) => suite === undefined || suiteOf(path) === suite);
  const byPath = filter === undefined ? [] : ofSuite.filter(({ path }) => path.includes(filter));
  const missing = new Set(await missingFeatures(features));
  const runs = planRuns(byPath.length > 0 ? byPath : ofSuite, missing);
  const tests = runs.map((run) => testJob(deno, work, run, byPath.length > 0 ? undefined : filter));
  const checks = suite === undefined || suite === "static" ? staticJobs(deno) : [];
  return [...checks, ...tests];
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help")) {
    console.log(usage);
    return 0;
  }
  if (Deno.uid() !== 0) {
    throw new Error("the tests make namespaces and boot guests: run this as root");
  }
  using directory = new RunDirectory("agent-test");
  const work = directory.path;
  // Tests that run something as a plain user need a way through.
  Deno.chmodSync(work, 0o711);
  const stopListening = onInterrupt((status) => {
    interrupted ??= status;
    for (const child of children) void child.end({ graceMs: 3000 });
  });
  try {
    const jobs = await planJobs(work);
    const build = await runJobs([checkJob("build", ["scripts/build"])]);
    const rest = await runJobs(jobs);
    if (interrupted !== undefined) return interrupted;
    const passed = build.passed + rest.passed;
    // No test at all is a mistake in the filter or in the tree, never a success.
    const failed = build.failed + rest.failed + (rest.passed + rest.failed === 0 ? 1 : 0);
    console.log(`${passed} passed, ${failed} failed`);
    return failed > 0 ? 1 : 0;
  } finally {
    stopListening();
  }
}

try {
  Deno.exit(await main());
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : error}\n`);
  Deno.exit(1);
}
