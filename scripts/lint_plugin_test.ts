import assert from "node:assert/strict";
import plugin from "./lint_plugin.ts";

/** The rules that fire, each once. */
function lint(path: string, code: string): string[] {
  const found = Deno.lint.runPlugin(plugin, `/somewhere/${path}`, code);
  return [...new Set(found.map(({ id }) => id))];
}

const impure = [
  "const t = Date.now();",
  "const t = globalThis.Date.now();",
  "const t = new Date();",
  "const t = performance.now();",
  "const t = Temporal.Now.instant();",
  "const n = Math.random();",
  "crypto.getRandomValues(new Uint8Array(8));",
  "globalThis.crypto.randomUUID();",
  'import { randomBytes } from "node:crypto";',
  'import { setTimeout as later } from "node:timers/promises";',
  'import { connect } from "node:net";',
  "setTimeout(() => {}, 1);",
  "globalThis.setInterval(() => {}, 1);",
  "start({ setTimeout });",
  'const text = Deno.readTextFileSync("x");',
  "globalThis.Deno.exit();",
];

for (const code of impure) {
  Deno.test(`pure folders: ${code}`, () => {
    for (
      const path of [
        "base/a",
        "raft/a",
        "state/a",
        "esp/a",
        "netlink/rtnl/a",
        "overlay/plan",
        "overlay/plan_links",
      ]
    ) {
      assert.deepEqual(lint(`src/${path}.ts`, code), ["agent/pure"], path);
    }
    for (const path of ["raft/a_test", "raft/test_cluster", "sys/clock", "overlay/apply"]) {
      assert.deepEqual(lint(`src/${path}.ts`, code), [], path);
    }
  });
}

Deno.test("pure folders: what only looks like it", () => {
  const code = `
    import { createHash } from "node:crypto";
    import { isIPv4 } from "node:net";
    const when = new Date(0);
    clock.setTimeout(1);
    const table = { setTimeout: 1, Deno: 2 };
    interface Host { setTimeout(): void }
    random.bytes(8);`;
  assert.deepEqual(lint("src/raft/a.ts", code), []);
});

for (
  const code of [
    "if (socket.authorized) go();",
    'if (socket["authorized"]) go();',
    "const { authorized } = socket;",
    "log(request.socket?.authorizationError);",
  ]
) {
  Deno.test(`the runtime's verdict on a peer: ${code}`, () => {
    assert.deepEqual(lint("src/tls/listener.ts", code), ["agent/peer-verdict"]);
    assert.deepEqual(lint("src/tls/listener_test.ts", code), []);
    assert.deepEqual(
      lint(
        "src/tls/listener.ts",
        code.replace("authorized", "authorizes").replace("authorizationError", "x"),
      ),
      [],
    );
  });
}

for (const code of ['await fetch("https://a");', 'globalThis.fetch("https://a");']) {
  Deno.test(`no global fetch: ${code}`, () => {
    assert.deepEqual(lint("src/node/join.ts", code), ["agent/no-fetch"]);
    assert.deepEqual(lint("tests/e2e/api_test.ts", code), []);
    assert.deepEqual(lint("src/api/app.ts", "app.fetch(request);"), []);
  });
}
