/**
 * The program that `binary_test.ts` packs: it tells how it was started, and does what its last argument
 * says.
 *
 * @module
 */
console.log(JSON.stringify({
  args: Deno.args,
  pid: Deno.pid,
  comm: Deno.readTextFileSync("/proc/self/comm").trim(),
  env: Deno.env.toObject(),
  build: Reflect.get(globalThis, "AGENT_BUILD"),
}));
const last = Deno.args.at(-1);
if (last === "stay") { for await (const _ of Deno.stdin.readable); }
if (last === "fail") Deno.exitCode = 7;
