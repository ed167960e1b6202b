import { type Bytes, decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import { type Check, integer, isObject, nullable, object, text } from "./check.ts";
import type { Entry } from "./command.ts";
import { StateDecodeError } from "./decode_error.ts";
import { Rejected } from "./rejected.ts";
import { time } from "./validate.ts";

const VERSION = 1;

/** An entry of which only the envelope has been checked. */
interface UncheckedEntry extends Pick<Entry, "requestId" | "principal" | "bodyHash"> {
  readonly v: number;
  readonly kind: string;
  readonly from: number | null;
  readonly at: number;
  readonly body: unknown;
}

const envelope: Check<UncheckedEntry> = object({
  v: integer(VERSION, VERSION),
  kind: text(1, 64),
  requestId: text(1, 128),
  principal: text(1, 128),
  bodyHash: text(1, 128),
  from: nullable(time),
  at: time,
  body: (value: unknown) => value,
}, {});

/**
 * Reads the envelope; the body stays unknown.
 *
 * @throws {Rejected} `invalid-value`
 */
export function checkEnvelope(value: unknown): UncheckedEntry {
  return envelope(value, "");
}

/**
 * What the log holds: the entry as JSON. What could not be read again never gets there: every manager
 * would stop at it, now and at each start.
 *
 * @throws {TypeError} when its envelope is malformed
 */
export function encodeEntry(entry: Entry): Bytes {
  try {
    checkEnvelope(entry);
  } catch (cause) {
    if (!(cause instanceof Rejected)) throw cause;
    const { field, message } = cause.rejection;
    throw new TypeError(`Cannot encode log entry: ${field}: ${message}`, { cause });
  }
  return encodeUtf8(JSON.stringify(entry));
}

/**
 * Reads what {@linkcode encodeEntry} has written. Kind and body are not looked at: what `apply`
 * does not know it rejects, and every replica must do the same.
 *
 * @throws {StateDecodeError} when the bytes are no entry, or one of a later version
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  const value = parseVersioned(bytes, "A log entry", VERSION);
  try {
    return checkEnvelope(value) as unknown as Entry;
  } catch (cause) {
    if (!(cause instanceof Rejected)) throw cause;
    const { field, message } = cause.rejection;
    throw new StateDecodeError("malformed", `A log entry is malformed at ${field}: ${message}`, {
      cause,
    });
  }
}

/**
 * Reads a JSON object that says its version.
 *
 * @throws {StateDecodeError} when it is none, or its version is later than `newest`
 */
export function parseVersioned(bytes: Uint8Array, what: string, newest: number): unknown {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes));
  } catch (cause) {
    throw new StateDecodeError("malformed", `${what} is not JSON`, { cause });
  }
  if (!isObject(value)) throw new StateDecodeError("malformed", `${what} is not an object`);
  const { v } = value;
  if (typeof v === "number" && Number.isInteger(v) && v > newest) {
    throw new StateDecodeError(
      "unknown-version",
      `${what} has version ${v}, and this version of agent reads up to ${newest}: ` +
        "run the agent that wrote it, or a later one",
    );
  }
  return value;
}
