import assert from "node:assert/strict";
import { planRuns, readReport, suiteOf, type TestRun } from "./test_plan.ts";

const run: TestRun = {
  suite: "unit",
  place: "host",
  title: "unit",
  files: ["src/a_test.ts", "src/b_test.ts"],
};

const report = (...cases: string[]) =>
  `<?xml version="1.0"?><testsuites>${cases.join("")}</testsuites>`;
const testCase = (file: string, name: string, body: string) =>
  `<testcase name="${name}" classname="./${file}" time="0.001" line="1" col="6">${body}</testcase>`;
const good = testCase("src/a_test.ts", "a &lt;1&gt;", "\n");
const alsoGood = testCase("src/b_test.ts", "b", "");
const bad = testCase(
  "src/b_test.ts",
  "b",
  '<failure message="Uncaught">at &lt;skipped/&gt;</failure>',
);
const off = testCase("src/b_test.ts", "&quot;off&quot;", "<skipped/>");

Deno.test("each folder of tests is a suite, all beside the code is unit", () => {
  assert.equal(suiteOf("src/raft/log_test.ts"), "unit");
  assert.equal(suiteOf("scripts/test_plan_test.ts"), "unit");
  assert.equal(suiteOf("tests/e2e/join_test.ts"), "e2e");
});

Deno.test("a file that needs what this kernel lacks is run in the guest", () => {
  const files = [
    { path: "tests/e2e/esp_test.ts", firstLine: "// needs: root esp netem" },
    { path: "tests/e2e/join_test.ts", firstLine: "// needs: root netns" },
    { path: "src/base/ip_test.ts", firstLine: 'import "x";' },
  ];
  assert.deepEqual(planRuns(files, new Set(["esp"])), [
    { suite: "unit", place: "host", title: "unit", files: ["src/base/ip_test.ts"] },
    {
      suite: "e2e",
      place: "guest",
      title: "e2e esp (in the guest)",
      files: ["tests/e2e/esp_test.ts"],
    },
    { suite: "e2e", place: "host", title: "e2e join", files: ["tests/e2e/join_test.ts"] },
  ]);
  assert.equal(planRuns(files, new Set()).length, 3);
});

Deno.test("a need that nobody knows is an error, not a skip", () => {
  const file = { path: "tests/e2e/a_test.ts", firstLine: "// needs: root espp" };
  assert.throws(() => planRuns([file], new Set()), /"espp" is not one of/);
});

Deno.test("reports are read", async (t) => {
  const done = { status: 0, filtered: false };
  const rows: [
    string,
    string | undefined,
    typeof done,
    { passed: number; failed: number; problems: string[] },
  ][] = [
    ["all pass", report(good, alsoGood), done, { passed: 2, failed: 0, problems: [] }],
    ["one fails", report(good, bad), { ...done, status: 1 }, {
      passed: 1,
      failed: 1,
      problems: [],
    }],
    ["a file does not load", report(good), { ...done, status: 1 }, {
      passed: 1,
      failed: 0,
      problems: ["unit: deno test ended with status 1"],
    }],
    ["no report", undefined, { ...done, status: 125 }, {
      passed: 0,
      failed: 0,
      problems: ["unit: deno test ended with status 125"],
    }],
    ["not one test", report(), done, { passed: 0, failed: 0, problems: ["unit: no test ran"] }],
    ["one is switched off", report(good, alsoGood, off), done, {
      passed: 2,
      failed: 0,
      problems: ['src/b_test.ts: ""off"" is switched off'],
    }],
    ["ended badly after all passed", report(good, alsoGood), { ...done, status: 1 }, {
      passed: 2,
      failed: 0,
      problems: ["unit: deno test ended with status 1"],
    }],
    ["a filter leaves some out", report(good, off), { status: 0, filtered: true }, {
      passed: 1,
      failed: 0,
      problems: [],
    }],
  ];
  for (const [name, xml, outcome, expected] of rows) {
    await t.step(name, () => assert.deepEqual(readReport(xml, run, outcome), expected));
  }
});
