/**
 * What the test runner decides and reads, apart from running anything: which test files belong to
 * which suite, in which kernel each is run, and what a run's JUnit report says.
 *
 * @module
 */
import { type Feature, parseNeeds } from "./kernel_probe.ts";

/** A test file and the first line that tells what it needs. */
export interface TestFile {
  readonly path: string;
  readonly firstLine: string;
}

/** Where a file is run: in this kernel, or in the lab's guest. */
export type Place = "host" | "guest";

/** The files of one suite that one `deno test` runs. */
export interface TestRun {
  readonly suite: string;
  readonly place: Place;
  /** Different for each run; for the reader too. */
  readonly title: string;
  readonly files: readonly string[];
}

/** Order of the suites that are known; others follow by name. */
const order = ["unit", "golden", "scenarios", "sim", "integration", "e2e"];

/** `src` and `scripts` have their tests beside the code; each folder of `tests` is a suite. */
export function suiteOf(path: string): string {
  const [top, folder] = path.split("/");
  return top === "tests" && folder !== undefined ? folder : "unit";
}

/** Each of their files is a run, with a time limit and a line of its own: they are long, and mostly wait. */
const longSuites = ["e2e"];

/**
 * Splits files into runs. What this kernel lacks, the guest has; there each file is a run of its own, too:
 * it is slow there, and who waits wants to know for what.
 */
export function planRuns(files: readonly TestFile[], missingHere: ReadonlySet<Feature>): TestRun[] {
  const runs = new Map<string, TestRun & { files: string[] }>();
  for (const { path, firstLine } of files) {
    const { features } = parseNeeds(firstLine);
    const place: Place = features.some((feature) => missingHere.has(feature)) ? "guest" : "host";
    const suite = suiteOf(path);
    const file = path.slice(path.lastIndexOf("/") + 1).replace(/_test\.ts$/, "");
    const isAlone = place === "guest" || longSuites.includes(suite);
    const title = suite + (isAlone ? ` ${file}` : "") +
      (place === "guest" ? " (in the guest)" : "");
    const run = runs.get(title) ?? { suite, place, title, files: [] };
    run.files.push(path);
    runs.set(title, run);
  }
  const rank = ({ suite }: TestRun) => order.includes(suite) ? order.indexOf(suite) : order.length;
  return [...runs.values()].sort((a, b) => rank(a) - rank(b) || (a.title < b.title ? -1 : 1));
}

/** What came of a run. `problems` are failures that no test reports: each counts as one. */
export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly problems: readonly string[];
}

/**
 * Reads the JUnit report of a `deno test` run.
 *
 * A run that ends badly without a failed test has failed all the same, as has one of which no test
 * ran. A test that is switched off counts as failed, unless a filter left it out.
 */
export function readReport(
  xml: string | undefined,
  run: TestRun,
  outcome: { readonly status: number; readonly filtered: boolean },
): Verdict {
  let passed = 0;
  let failed = 0;
  const problems: string[] = [];
  for (const { file, name, result } of xml === undefined ? [] : testCases(xml)) {
    if (result === "skipped") {
      if (!outcome.filtered) problems.push(`${file}: "${name}" is switched off`);
      continue;
    }
    if (result === "failed") failed++;
    else passed++;
  }
  if (failed + problems.length === 0) {
    if (outcome.status !== 0) {
      problems.push(`${run.title}: deno test ended with status ${outcome.status}`);
    } else if (passed === 0 && !outcome.filtered) problems.push(`${run.title}: no test ran`);
  }
  return { passed, failed, problems };
}

interface TestCase {
  readonly file: string;
  readonly name: string;
  readonly result: "passed" | "failed" | "skipped";
}

function testCases(xml: string): TestCase[] {
  // Deno escapes < and > in all texts, so a bare tag is always the report's own.
  return [...xml.matchAll(/<testcase\s([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map((match) => {
    const [, attributes = "", body = ""] = match;
    const read = (name: string) => attributes.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1] ?? "";
    const bad = /<(failure|error)[\s>]/.test(body);
    return {
      file: read("classname").replace(/^\.\//, ""),
      name: unescape(read("name")),
      result: bad ? "failed" : body.includes("<skipped") ? "skipped" : "passed",
    };
  });
}

const entities: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};
const unescape = (text: string) =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (whole, name) => entities[name] ?? whole);
