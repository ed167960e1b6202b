import { encodeUtf8 } from "../base/mod.ts";
import type { Bytes, LogFields, Logger } from "../base/mod.ts";

/** From the most to the least important. */
export type LogLevel = "error" | "warn" | "info" | "debug";

const LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/** What is logged, and where to. */
export interface LoggerOptions {
  /** The least important level that is still written. */
  readonly level: LogLevel;
  /** Writes one line, or throws when it cannot; by default to stderr. */
  readonly write?: (line: Bytes) => void;
}

/**
 * A log of JSON lines: `{"time":…,"level":…,"message":…}` and the fields. A line that cannot be
 * written (disk full, reader gone) is dropped and counted, and the next that can be says
 * how many were: a log must not end what it tells of.
 *
 * ```ts
 * createLogger({ level: "info" }).with({ network: "shop" }).info("Sandbox made");
 * ```
 */
export function createLogger(options: LoggerOptions): Logger {
  return new JsonLogger(new LineSink(options.write ?? writeToStderr), options.level, {});
}

class JsonLogger implements Logger {
  readonly #sink: LineSink;
  readonly #level: LogLevel;
  readonly #fields: LogFields;

  constructor(sink: LineSink, level: LogLevel, fields: LogFields) {
    this.#sink = sink;
    this.#level = level;
    this.#fields = fields;
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  with(fields: LogFields): Logger {
    return new JsonLogger(this.#sink, this.#level, { ...this.#fields, ...fields });
  }

  #log(level: LogLevel, message: string, fields?: LogFields): void {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(this.#level)) return;
    // A field never replaces what every line has, so these come first and again last.
    const fixed = { time: new Date().toISOString(), level, message };
    this.#sink.write({ ...fixed, ...this.#fields, ...fields, ...fixed });
  }
}

/** The end of a log and of all loggers made from it. */
class LineSink {
  readonly #write: (line: Bytes) => void;
  #dropped = 0;

  constructor(write: (line: Bytes) => void) {
    this.#write = write;
  }

  write(line: LogFields): void {
    const droppedLines = this.#dropped === 0 ? undefined : this.#dropped;
    try {
      this.#write(encodeUtf8(JSON.stringify({ ...line, droppedLines }) + "\n"));
      this.#dropped = 0;
    } catch {
      this.#dropped++;
    }
  }
}

function writeToStderr(line: Bytes): void {
  let rest = line;
  while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
}
