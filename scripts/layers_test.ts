import assert from "node:assert/strict";
import { checkLayers, type SourceFile } from "./layers.ts";

/** A graph as text: `file > imported, file2:type`, one file a line, and what it contains. */
function graph(lines: string, text = ""): SourceFile[] {
  return lines.trim().split("\n").map((line) => {
    const [path = "", targets = ""] = line.split(">").map((part) => part.trim());
    const imports = targets.split(",").map((part) => part.trim()).filter(Boolean).map((target) => {
      const [imported = "", kind] = target.split(":");
      return { path: imported, kind: kind === "type" ? "type" as const : "code" as const };
    });
    return { path, imports, text };
  });
}

const good: Record<string, string> = {
  "down the table": "src/store/log.ts > src/raft/mod.ts, src/base/mod.ts, src/store/seal.ts",
  "types where types are allowed": "src/cli/client.ts > src/api/mod.ts:type",
  "the composition imports every folder": "src/agent.ts > src/cli/mod.ts, src/raft/mod.ts",
  "and its own folder": "src/agent/daemon.ts > src/sys/mod.ts\nsrc/agent.ts > src/agent/daemon.ts",
  "main imports the composition": "main.ts > src/agent.ts",
  "a test of one half of the control plane with the other":
    "src/node/a_test.ts > src/cluster/testing_plane.ts, src/agent/standing.ts",
  "a test on a real part": "src/store/log_test.ts > src/sys/mod.ts, src/store/log.ts",
  "tests of whole hosts import anything":
    "tests/e2e/a_test.ts > src/raft/log.ts, tests/lab/hosts.ts",
  "a cycle of types only": "src/raft/a.ts > src/raft/b.ts:type\nsrc/raft/b.ts > src/raft/a.ts",
  "data from outside src": "src/agent/version.ts > deno.json",
};

for (const [name, lines] of Object.entries(good)) {
  Deno.test(`may be: ${name}`, () => assert.deepEqual(checkLayers(graph(lines)), []));
}

const bad: [string, string, RegExp][] = [
  ["raft and state", "src/raft/a.ts > src/state/mod.ts", /raft may not import state/],
  ["a type is no excuse", "src/state/a.ts > src/raft/mod.ts:type", /state may not import raft/],
  ["base imports nothing", "src/base/a.ts > src/netlink/mod.ts", /base may not import netlink/],
  ["past mod.ts", "src/tls/a.ts > src/ca/root.ts", /entered through its mod.ts/],
  ["code where types are allowed", "src/cli/a.ts > src/api/mod.ts", /types only from api/],
  ["a folder nobody knows", "src/utils/a.ts > src/base/mod.ts", /utils is not in the table/],
  [
    "the composition imported",
    "src/cli/a.ts > src/agent.ts",
    /only main.ts imports the composition/,
  ],
  ["main does more", "main.ts > src/cli/mod.ts", /main.ts imports the composition/],
  ["code on a test", "src/ca/a.ts > src/ca/test_cluster.ts", /must not stand on tests/],
  ["a test past mod.ts", "src/tls/a_test.ts > src/ca/root.ts", /entered through its mod.ts/],
  [
    "a test of another layer",
    "src/raft/a_test.ts > src/overlay/mod.ts",
    /raft may not import overlay/,
  ],
  ["src on tests", "src/tls/a.ts > tests/lab/hosts.ts", /nothing outside src/],
  [
    "a cycle of code",
    "src/raft/a.ts > src/raft/b.ts\nsrc/raft/b.ts > src/raft/c.ts\nsrc/raft/c.ts > src/raft/a.ts",
    /a cycle: src\/raft\/a.ts → src\/raft\/b.ts → src\/raft\/c.ts → src\/raft\/a.ts/,
  ],
];

for (const [name, lines, message] of bad) {
  Deno.test(`must not be: ${name}`, () => {
    const [violation, ...others] = checkLayers(graph(lines));
    assert.match(violation ?? "nothing was found", message);
    assert.deepEqual(others, []);
  });
}

Deno.test("privileged calls have one home each", () => {
  const check = (path: string, text: string) => checkLayers(graph(path, text)).length;
  assert.equal(check("src/sys/libc.ts", 'Deno.dlopen("libc.so.6", {})'), 0);
  assert.equal(check("src/overlay/host.ts", 'Deno.dlopen("libc.so.6", {})'), 1);
  assert.equal(check("src/cli/exit.ts", "Deno.exit(1)"), 0);
  assert.equal(check("src/cli/run.ts", "Deno.exit(1)"), 1);
  assert.equal(check("src/cli/run.ts", "process.exit(1)"), 1);
  assert.equal(
    check("src/cli/run.ts", "Deno.exitCode = 1; // not Deno.exit(1)\n/* Deno.exit() */"),
    0,
  );
});
