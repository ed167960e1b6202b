import { CommandError } from "./errors.ts";
import { EXIT_CODES } from "./exit.ts";
import type { Ports } from "./ports.ts";
import { parsePlainRun, runAgent } from "./run_agent.ts";

/**
 * Does what a command line asks for.
 *
 * @param args without the program's name
 * @returns the exit code; `exec` does not return when it succeeds
 */
export async function main(args: readonly string[], ports: Ports): Promise<number> {
  const { stdout, stderr } = ports.process;
  // Before all else, for reading the whole command line costs more than answering.
  if (args.length === 1 && args[0] === "--version") {
    stdout.write(`agent ${ports.version}\n`);
    return EXIT_CODES.ok;
  }
  try {
    const plainRun = parsePlainRun(args);
    if (plainRun !== null) return await runAgent(ports, plainRun);
    const { parseCommandLine } = await import("./parse.ts");
    const parsed = parseCommandLine(args, ports.version);
    switch (parsed.kind) {
      case "shown":
        stdout.write(parsed.text);
        return EXIT_CODES.ok;
      case "wrong":
        stderr.write(`agent: ${withoutTokens(parsed.reason)}\n`);
        return EXIT_CODES.usage;
      case "action":
        return await parsed.action(ports);
    }
  } catch (error) {
    stderr.write(`agent: ${withoutTokens(describe(error))}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT_CODES.failed;
  }
}

/** A line for a person; of a defect of ours everything that helps to find it. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isDefect = error instanceof TypeError || error instanceof RangeError ||
    error instanceof ReferenceError || error.name === "InvariantError";
  return isDefect
    ? `A defect of the agent: ${error.stack ?? error.message}`
    : oneLine(error.message);
}

/** `agent join ADDRESS AGTKN-1-…` is a mistake that would otherwise be quoted; a recovery key is one, too. */
function withoutTokens(text: string): string {
  return text.replace(/(AGTKN|AGTBAK)-[\w-]+/g, "$1-…");
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}
