import assert from "node:assert/strict";
import { EXIT_CODES } from "./exit.ts";
import { commandPaths, parseCommandLine } from "./parse.ts";
import { runLine } from "./testing_machine.ts";

Deno.test("the commands are those that people were promised", () => {
  const lines = commandPaths().map((path) => path.join(" "));
  assert.deepEqual(lines.toSorted(), [
    "backup",
    "endpoint",
    "endpoint add",
    "endpoint ls",
    "endpoint rm",
    "exec",
    "follow",
    "init",
    "join",
    "leave",
    "network",
    "network check",
    "network create",
    "network inspect",
    "network ls",
    "network rm",
    "network rotate",
    "node",
    "node demote",
    "node inspect",
    "node ls",
    "node promote",
    "node rm",
    "node update",
    "plan",
    "run",
    "status",
    "token",
    "token create",
    "token ls",
    "token rm",
  ]);
});

Deno.test("every command's help says what it is for and shows an example", async () => {
  for (const path of [[], ["completions"], ...commandPaths()]) {
    const command = ["agent", ...path].join(" ");
    const { code, stdout, stderr } = await runLine([...path, "--help"].join(" "));
    assert.equal(code, EXIT_CODES.ok, command);
    assert.equal(stderr, "", command);
    assert.match(stdout, /^[A-Z].*\.\n/, command);
    const [, examples] = stdout.split("Examples:");
    assert(examples?.includes(`${command} `) || examples?.includes(`${command}\n`), command);
  }
});

Deno.test("an example is a command line that can be read", async () => {
  for (const path of commandPaths()) {
    const { stdout } = await runLine([...path, "--help"].join(" "));
    const [, examples = ""] = stdout.split("Examples:\n");
    for (const example of examples.trimEnd().split("\n")) {
      const args = example.trim().split(" ").slice(1);
      assert.equal(parseCommandLine(args, "1.2.3").kind, "action", example);
    }
  }
});

Deno.test("agent --help lists every command and every exit code", async () => {
  const { stdout } = await runLine("--help");
  for (const [first] of commandPaths()) assert.match(stdout, new RegExp(`^  ${first} `, "m"));
  for (const code of Object.values(EXIT_CODES)) {
    assert.match(stdout, new RegExp(`^  ${code} +[a-z]`, "m"));
  }
});

Deno.test("--version is one line, wherever it stands", async () => {
  assert.deepEqual(await runLine("--version"), { code: 0, stdout: "agent 1.2.3\n", stderr: "" });
  assert.equal((await runLine("network --version")).stdout, "agent 1.2.3\n");
});

const WRONG: readonly (readonly [line: string, says: RegExp])[] = [
  ["", /Say what to do \(see `agent --help`\)/],
  ["netwrk ls", /`netwrk`.*Did you mean `network`/],
  ["network", /see `agent network --help`/],
  ["network lss", /`lss`.*see `agent network --help`/],
  ["network check", /NETWORK.*see `agent network check --help`/],
  ["network create", /NAME.*see `agent network create --help`/],
  ["network create shop --subnets 10.64.0.0/24", /`--subnets`/],
  ["network create shop --mtu many", /`--mtu`.*"many"/],
  ["network create shop --label zone", /"zone" is not KEY=VALUE/],
  ["network create shop bank", /"?bank/],
  ["network rm", /at least one NETWORK/],
  ["network inspect ..", /"\.\." is no id or name/],
  ["endpoint add", /NETWORK/],
  ["exec shop", /Say what to run/],
  ["exec shop ls -l", /Put -- before the command/],
  ["exec shop --network bank,port=1 -- ls", /"port=1" is neither/],
  ["token create --lifetime 5", /"5" is no duration/],
  ["token create --role king", /king/],
  ["token create --uses 0", /`--uses`/],
  ["join", /ADDRESS/],
  ["join 192.0.2.1", /--token or by --token-file/],
  ["join 192.0.2.1 --token a --token-file b", /--token or by --token-file/],
  ["run --log-level loud", /loud/],
  ["run --state-dir=", /--state-dir/],
  ["completions ksh", /ksh/],
];

for (const [line, says] of WRONG) {
  Deno.test(`agent ${line}: exit code 2, one line, nothing done`, async () => {
    const { code, stdout, stderr } = await runLine(line);
    assert.equal(code, EXIT_CODES.usage);
    assert.equal(stdout, "");
    assert.match(stderr, /^agent: [^\n]+\n$/);
    assert.match(stderr, says);
  });
}

Deno.test("a token that stands in the wrong place is not quoted", async () => {
  const { code, stderr } = await runLine("join 192.0.2.1 AGTKN-1-aaaa-secret");
  assert.equal(code, EXIT_CODES.usage);
  assert(!stderr.includes("secret"));
});

Deno.test("completions are a script, and what comes next", async () => {
  for (const shell of ["bash", "fish", "zsh"]) {
    assert.match((await runLine(`completions ${shell}`)).stdout, /agent/);
  }
  assert.equal((await runLine("completions bash network cr")).stdout, "create\n");
});
