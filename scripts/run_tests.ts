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
  /** In this kernel or in one of its own. */
  readonly place: TestRun["place"];
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
    place: "host",
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
  const name = run.title.replaceAll(/\W+/g, "-");
  const report = `${work}/${name}.xml`;
  // All files in one module graph: what they share is loaded once, not once a file.
  const entry = `${work}/${name}_test.ts`;
  const imports = run.files.map((file) =>
    `import ${JSON.stringify(`file://${Deno.cwd()}/${file}`)};\n`
  );
  Deno.writeTextFileSync(entry, imports.join(""));
  const command = [
    deno,
    "test",
    "--allow-all",
    "--no-check",
    `--config=${Deno.cwd()}/deno.json`,
    `--junit-path=${report}`,
    ...(filter === undefined ? [] : [`--filter=${filter}`]),
    entry,
  ];
  return {
    title: run.title,
    place: run.place,
    run: async (cpu) => {
      const lab = ["scripts/lab", "--kernel", "guest", "--cpu", `${cpu}`, "--share", work, "--"];
      const ended = run.place === "guest"
        ? await capture([...lab, ...command], {})
        // Temporary files go where they are removed whatever becomes of the test.
        : await capture(command, {
          cpu,
          env: { TMPDIR: work, AGENT_LAB_RUNTIME: `${work}/runtime` },
          apart: "machine",
        });
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

/** Of a failed run's output: hosts' logs, then the last part, from Deno's list of errors on where it has one. */
function relevant(output: string): string {
  const errors = output.lastIndexOf("\n ERRORS ");
  if (errors < 0) return output.split("\n").slice(-60).join("\n");
  const logs = output.match(/^--- log of [^]*?(?=^-+ (?:post-test )?output end -+$)/gm) ?? [];
  return [...logs, output.slice(errors + 1)].join("");
}

/** How many jobs of this kernel run at a time on one CPU: most of them wait for something half of the time. */
const jobsPerCpu = 2;

/**
 * Runs all jobs. A guest has a CPU for itself, for one that shares it is fifteen times as slow: the last CPU
 * runs guests first, the others what this kernel runs; when there is no more of that, each takes what is left.
 */
async function runJobs(jobs: readonly Job[]): Promise<{ passed: number; failed: number }> {
  const cpus = availableCpus();
  const waiting = [...jobs];
  const running = new Map<number, Job[]>(cpus.map((cpu) => [cpu, []]));
  const total = { passed: 0, failed: 0 };
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  const next = (cpu: number): Job | undefined => {
    const here = running.get(cpu) ?? [];
    if (interrupted !== undefined || here.length >= jobsPerCpu) return undefined;
    if (here.some(({ place }) => place === "guest")) return undefined;
    const places = cpu === cpus.at(-1) ? ["guest", "host"] as const : ["host", "guest"] as const;
    const place = places.find((place) => waiting.some((job) => job.place === place));
    if (place === "guest" && here.length > 0) return undefined;
    const index = waiting.findIndex((job) => job.place === place);
    return index < 0 ? undefined : waiting.splice(index, 1)[0];
  };
  const fill = () => {
    for (const [cpu, here] of running) {
      for (let job = next(cpu); job !== undefined; job = next(cpu)) {
        here.push(job);
        run(job, cpu).catch(fail);
      }
    }
    if ([...running.values()].every((here) => here.length === 0)) end();
  };
  const run = async (job: Job, cpu: number) => {
    const began = performance.now();
    const result = await job.run(cpu);
    const here = running.get(cpu) ?? [];
    here.splice(here.indexOf(job), 1);
    if (interrupted === undefined) {
      total.passed += result.passed;
      total.failed += result.failed + result.problems.length;
      report(job, result, (performance.now() - began) / 1000);
    }
    fill();
  };
  fill();
  await ended;
  return total;
}

function report({ title }: Job, result: Result, seconds: number): void {
  const failed = result.failed + result.problems.length;
  if (failed > 0) {
    console.log(`${relevant(result.output).trimEnd()}\n${result.problems.join("\n")}`);
  }
  const verdict = failed > 0 ? "FAILED" : "ok";
  const counts = `${result.passed} passed, ${failed} failed`;
  console.log(`${verdict} ${title}: ${counts} (${seconds.toFixed(1)} s)`);
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
  // Before there is anything to leave behind.
  const stopListening = onInterrupt((status) => {
    interrupted ??= status;
    for (const child of children) void child.end({ graceMs: 3000 });
  });
  using directory = new RunDirectory("agent-test");
  const work = directory.path;
  // Tests that run something as a plain user need a way through.
  Deno.chmodSync(work, 0o711);
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
