import type { Bytes } from "./bytes.ts";

/** Stops what a {@linkcode Clock} has scheduled; calling it again, or too late, does nothing. */
export type Cancel = () => void;

/** Time, as an argument: pure code never asks the machine. */
export interface Clock {
  /** Wall-clock time in integer milliseconds since 1970 (UTC). It may jump. */
  nowMs(): number;
  /** Milliseconds since some fixed moment of this process. It never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once, `delayMs` from now. */
  schedule(delayMs: number, callback: () => void): Cancel;
}

/** Randomness, as an argument. */
export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Bytes;
  /** A whole number, evenly distributed in 0 … `limit` − 1; `limit` in 1 … 2³². */
  below(limit: number): number;
}

/** What a log line may carry beside its message. Secrets never belong here. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** One log line per call: what happened, to what, why, and what to do next. */
export interface Logger {
  /** Something is broken and a person has to act. */
  error(message: string, fields?: LogFields): void;
  /** Something is wrong and is being dealt with. */
  warn(message: string, fields?: LogFields): void;
  /** Something has changed. */
  info(message: string, fields?: LogFields): void;
  /** For one who looks for a fault. */
  debug(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `fields` too. */
  with(fields: LogFields): Logger;
}
