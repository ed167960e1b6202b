/**
 * The command line: arguments, subcommands, output and exit codes. It is a client of the agent's
 * HTTP API on the unix socket of this host; what founds, joins, runs and leaves comes through
 * {@linkcode Lifecycle}, what becomes another command through {@linkcode ExecHost}.
 *
 * Contract:
 * - what was asked for goes to stdout, everything else (steps, errors) to stderr; with `--json`
 *   stdout is one JSON document, the API's own where there is one;
 * - a refusal is one line that says what happened, to what, why and what to do next;
 * - exit codes are {@linkcode EXIT_CODES}, shown by `agent --help`;
 * - `--version`, `--help` and `exec` load nothing of the daemon;
 * - no secret is ever printed, but for the token of `init` and `token create`, which is what they
 *   are for.
 *
 * ```ts ignore
 * import { endProcess, main, systemProcess } from "./src/cli/mod.ts";
 *
 * endProcess(
 *   await main(Deno.args, {
 *     process: systemProcess,
 *     version: "0.1.0",
 *     lifecycle: async () => (await import("./src/agent.ts")).lifecycle,
 *     execHost: async () => (await import("./src/agent/exec_host.ts")).execHost,
 *   }),
 * );
 * ```
 *
 * @module
 */
export { endProcess, EXIT_CODES, type ExitCode } from "./exit.ts";
export { main } from "./main.ts";
export type * from "./ports.ts";
export { systemProcess } from "./process.ts";
