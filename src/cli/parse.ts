import { or } from "@optique/core/constructs";
import { runParserSync } from "@optique/core/facade";
import { formatMessage, lineBreak, type Message, message } from "@optique/core/message";
import type { Usage } from "@optique/core/usage";
import { backup } from "./commands/backup.ts";
import { endpoint } from "./commands/endpoint.ts";
import { exec } from "./commands/exec.ts";
import { follow } from "./commands/follow.ts";
import { leave } from "./commands/leave.ts";
import { init, join } from "./commands/membership.ts";
import { network } from "./commands/network.ts";
import { node } from "./commands/node.ts";
import { run } from "./commands/run.ts";
import { plan, status } from "./commands/status.ts";
import { token } from "./commands/token.ts";
import { EXIT_CODE_TEXTS } from "./exit.ts";
import { type Action, paragraph } from "./options.ts";

/** What a command line means. */
export type Parsed =
  | { readonly kind: "action"; readonly action: Action }
  /** Help, the version or a completion: to print `text` is all there is to do. */
  | { readonly kind: "shown"; readonly text: string }
  | { readonly kind: "wrong"; readonly reason: string };

/** Every command but `completions`, which is the library's own. */
const commands = or(
  or(init, join, run, leave, status, backup),
  or(network, endpoint, exec, node, token, plan, follow),
);

const WIDTH = 100;

/** Reads a command line. */
export function parseCommandLine(args: readonly string[], version: string): Parsed {
  if (args.length === 0) return { kind: "wrong", reason: withHelp("Say what to do", []) };
  let shown = "";
  let reason = "";
  const action = runParserSync<typeof commands, null, null>(commands, "agent", args, {
    stdout: (text) => {
      shown += `${text}\n`;
    },
    stderr: () => {},
    maxWidth: WIDTH,
    termWidth: "auto",
    aboveError: "none",
    commandList: "top-level",
    usageLine: [{ type: "literal", value: "COMMAND" }, { type: "ellipsis" }],
    help: { option: { names: ["--help", "-h"] }, onShow: () => null },
    version: { option: true, value: `agent ${version}`, onShow: () => null },
    completion: { command: { names: ["completions"] }, onShow: () => null },
    onError: (_code: number, error: Message) => {
      reason = formatMessage(error, { quotes: true });
      return null;
    },
    brief: message`Overlay networks between Linux hosts.`,
    footer: footer(),
  });
  if (reason !== "") return { kind: "wrong", reason: explain(reason, args) };
  return action === null ? { kind: "shown", text: shown } : { kind: "action", action };
}

/** Every command there is, by its words: `["network", "create"]`. */
export function commandPaths(): readonly (readonly string[])[] {
  return pathsOf(commands.usage);
}

function pathsOf(usage: Usage): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  for (const [index, term] of usage.entries()) {
    if (term.type === "exclusive") paths.push(...term.terms.flatMap(pathsOf));
    if (term.type === "command") {
      const below = pathsOf(usage.slice(index + 1));
      paths.push([term.name], ...below.map((path) => [term.name, ...path]));
      break;
    }
  }
  return paths;
}

function footer(): Message {
  const codes = Object.entries(EXIT_CODE_TEXTS).map(([code, text]) => `${code.padEnd(5)}${text}`);
  return [
    ...paragraph("Examples:", [
      "agent init",
      "agent network create shop",
      "agent exec shop -- curl http://10.64.0.2/",
    ]),
    lineBreak(),
    lineBreak(),
    ...paragraph("Exit codes:", codes),
  ];
}

/** One line, with where to read on. */
function explain(reason: string, args: readonly string[]): string {
  const words = wordsOf(args);
  if (words[0] === "exec" && /^Unexpected/.test(reason) && !args.includes("--")) {
    return withHelp(`${reason} Put -- before the command that is to be run`, words);
  }
  // What the library says of a command with nothing behind it helps nobody.
  const text = /^No matching/.test(reason) ? "A word is missing or not known here" : reason;
  return withHelp(text, words);
}

/** The longest command that the arguments begin with. */
function wordsOf(args: readonly string[]): readonly string[] {
  const begins = (path: readonly string[]) => path.every((word, index) => word === args[index]);
  return commandPaths().filter(begins).reduce(
    (long, path) => path.length > long.length ? path : long,
    [] as readonly string[],
  );
}

function withHelp(reason: string, words: readonly string[]): string {
  const line = reason.replace(/\s*\n\s*/g, " ").replace(/\.$/, "");
  return `${line} (see \`${["agent", ...words, "--help"].join(" ")}\`)`;
}
