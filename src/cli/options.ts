import { map, multiple, optional, withDefault } from "@optique/core/modifiers";
import { lineBreak, type Message, message, text } from "@optique/core/message";
import { argument, option } from "@optique/core/primitives";
import { choice, string, type ValueParser } from "@optique/core/valueparser";
import type { Ports } from "./ports.ts";
import { DEFAULT_DIRECTORIES, DEFAULT_LOG_LEVEL, LOG_LEVELS } from "./run_agent.ts";
import { formatDurationMs, parseDurationMs } from "./duration.ts";

/** What a command line asks for; resolves with the exit code. */
export type Action = (ports: Ports) => Promise<number>;

/** How a result is printed. */
export type Format = "json" | "text";

/** `--json`. */
export const format = map(
  option("--json", { description: message`Print JSON, for programs.` }),
  (given): Format => given ? "json" : "text",
);

const directory = string({ metavar: "DIR", pattern: /^./ });

/** `--run-dir`. */
export const runDir = withDefault(
  option("--run-dir", directory, {
    description: message`Where the agent has its socket; /run/agent by default.`,
  }),
  DEFAULT_DIRECTORIES.runDir,
);

/** `--state-dir`. */
export const stateDir = withDefault(
  option("--state-dir", directory, {
    description: message`Where the agent keeps what survives a reboot; /var/lib/agent by default.`,
  }),
  DEFAULT_DIRECTORIES.stateDir,
);

/** What every client of the socket can be told. */
export const client = { runDir, format };

/** Id or name of something that is there: it becomes a part of a path. */
export function reference(
  metavar: "NETWORK" | "NODE" | "ENDPOINT" | "TOKEN",
): ValueParser<"sync", string> {
  const accepted = string({ metavar });
  return {
    ...accepted,
    parse: (input) =>
      /^\.{0,2}$/.test(input)
        ? { success: false, error: message`${input} is no id or name.` }
        : accepted.parse(input),
  };
}

/** One such argument. */
export function referenceArgument(metavar: Parameters<typeof reference>[0], what: Message) {
  return argument(reference(metavar), { description: what });
}

/** `--name NAME` and the like, where any text will do that the agent takes. */
export function textOption(name: `--${string}`, metavar: Uppercase<string>, what: Message) {
  // The library's type wants a text that is not empty.
  return optional(option(name, string({ metavar: `${metavar}` as "TEXT" }), { description: what }));
}

/** A key and its value. */
export type Label = readonly [key: string, value: string];

/** `--label key=value`, any number of them. */
export function labelOptions(name: `--${string}`, what: Message) {
  return map(
    multiple(option(name, labelText, { description: what })),
    (labels): Readonly<Record<string, string>> => Object.fromEntries(labels),
  );
}

const labelText: ValueParser<"sync", Label> = {
  mode: "sync",
  metavar: "KEY=VALUE",
  placeholder: ["", ""],
  parse: (input) => {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(input) ?? [];
    return key === undefined || value === undefined
      ? { success: false, error: message`${input} is not KEY=VALUE.` }
      : { success: true, value: [key, value] };
  },
  format: (label) => label.join("="),
};

/** `30s`, `24h`, `90d`, as milliseconds. */
export const duration: ValueParser<"sync", number> = {
  mode: "sync",
  metavar: "DURATION",
  placeholder: 0,
  parse: (input) => {
    const durationMs = parseDurationMs(input);
    return durationMs === null
      ? { success: false, error: message`${input} is no duration such as 30s, 15m, 24h or 90d.` }
      : { success: true, value: durationMs };
  },
  format: formatDurationMs,
};

/** `--log-level`. */
export const logLevel = withDefault(
  option("--log-level", choice(LOG_LEVELS, { metavar: "LEVEL" }), {
    description:
      message`The least important lines that are logged: error, warn, info (the default) or debug.`,
  }),
  DEFAULT_LOG_LEVEL,
);

/** The examples at the end of a command's help, a line each. */
export function examples(...lines: readonly string[]): { readonly footer: Message } {
  return { footer: paragraph("Examples:", lines) };
}

/** A heading and lines under it. */
export function paragraph(heading: string, lines: readonly string[]): Message {
  return [text(heading), ...lines.flatMap((line) => [lineBreak(), text(`  ${line}`)])];
}
