import type { Bytes } from "../base/mod.ts";
import { CommandError } from "./errors.ts";
import { EXIT_CODES } from "./exit.ts";

/** What answers on the socket does not speak HTTP/1.1 as a server of ours does. */
export class HttpTextError extends CommandError {
  /** `HttpTextError`. */
  override name = "HttpTextError";

  /** Of what was wrong with the answer. */
  constructor(message: string) {
    super(EXIT_CODES.failed, message);
  }
}

/** A request to the agent of this host. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path and query, escaped. */
  readonly target: string;
  /** Becomes JSON. */
  readonly body?: unknown;
}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const CR = 13;
const LF = 10;

/** The text of a request (RFC 9112), after which the server closes. */
export function encodeRequest({ method, target, body }: HttpRequest): Bytes {
  const content = body === undefined
    ? new Uint8Array(0)
    : new TextEncoder().encode(JSON.stringify(body));
  const head = [
    `${method} ${target} HTTP/1.1`,
    "host: agent",
    "accept: application/json, application/problem+json",
    "connection: close",
    ...(body === undefined
      ? []
      : ["content-type: application/json", `content-length: ${content.length}`]),
  ];
  return concatBytes(new TextEncoder().encode(head.join("\r\n") + "\r\n\r\n"), content);
}

/** How the end of a body is told (RFC 9112 section 6.3). */
type Framing =
  | { readonly kind: "length"; rest: number }
  | { readonly kind: "chunked"; state: "size" | "data" | "after-data" | "trailer"; rest: number }
  | { readonly kind: "until-close" };

/**
 * Reads one response out of pieces of any size, strictly: what a careful server never sends is an
 * error. Both the blocking connection of `exec` and the ordinary one feed it.
 */
export class HttpResponseReader {
  #pending: Bytes = new Uint8Array(0);
  #status: number | null = null;
  #framing: Framing = { kind: "length", rest: 0 };
  readonly #body: Bytes[] = [];
  #bodyBytes = 0;
  #isComplete = false;

  /** Null until the head is there. */
  get status(): number | null {
    return this.#status;
  }

  /** Whether all of the response is there. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** What of the body is there. */
  get body(): string {
    return new TextDecoder().decode(concatBytes(...this.#body));
  }

  /** Takes the next bytes. @throws {HttpTextError} */
  push(bytes: Uint8Array): void {
    this.#pending = concatBytes(this.#pending, bytes);
    if (this.#status === null && !this.#readHead()) return;
    while (!this.#isComplete && this.#readBody());
    if (this.#isComplete && this.#pending.length > 0) {
      throw new HttpTextError("The agent sent more than one response");
    }
  }

  /** The other end has closed. @throws {HttpTextError} when the response is not whole */
  end(): void {
    if (this.#framing.kind === "until-close" && this.#status !== null) this.#isComplete = true;
    if (!this.#isComplete) {
      throw new HttpTextError(
        "The agent closed the connection before it had answered in full: what was asked may have " +
          "been done",
      );
    }
  }

  #readHead(): boolean {
    const end = indexOfBlankLine(this.#pending);
    if (end === -1) {
      if (this.#pending.length > MAX_HEAD_BYTES) throw new HttpTextError("The head is too long");
      return false;
    }
    const [first = "", ...lines] = decodeLatin1(this.#pending.subarray(0, end)).split("\r\n");
    this.#pending = this.#pending.slice(end + 4);
    const [, digits] = /^HTTP\/1\.1 ([2-5][0-9]{2}) [\t\x20-\x7e]*$/.exec(first) ?? [];
    if (digits === undefined) throw new HttpTextError(`Not a status line: ${visible(first)}`);
    this.#status = Number(digits);
    this.#framing = this.#status === 204
      ? { kind: "length", rest: 0 }
      : framingOf(lines.map(parseField));
    return true;
  }

  /** Takes one step; false when more bytes are needed. */
  #readBody(): boolean {
    const framing = this.#framing;
    switch (framing.kind) {
      case "until-close":
        this.#keep(this.#pending.length);
        return false;
      case "length":
        framing.rest -= this.#keep(framing.rest);
        this.#isComplete = framing.rest === 0;
        return false;
      case "chunked":
        return this.#readChunked(framing);
    }
  }

  #readChunked(framing: Extract<Framing, { kind: "chunked" }>): boolean {
    if (framing.state === "data") {
      framing.rest -= this.#keep(framing.rest);
      if (framing.rest > 0) return false;
      framing.state = "after-data";
    }
    const line = this.#takeLine();
    if (line === null) return false;
    switch (framing.state) {
      case "size":
        if (!/^[0-9a-fA-F]{1,8}$/.test(line)) {
          throw new HttpTextError(`Not a chunk's size: ${visible(line)}`);
        }
        framing.rest = parseInt(line, 16);
        framing.state = framing.rest === 0 ? "trailer" : "data";
        return true;
      case "after-data":
        if (line !== "") throw new HttpTextError("A chunk is longer than it said");
        framing.state = "size";
        return true;
      case "trailer":
        if (line !== "") throw new HttpTextError("A trailer is not expected");
        this.#isComplete = true;
        return false;
    }
  }

  #takeLine(): string | null {
    const end = this.#pending.indexOf(LF);
    if (end === -1) {
      if (this.#pending.length > 16) throw new HttpTextError("A chunk's line is too long");
      return null;
    }
    if (this.#pending[end - 1] !== CR) throw new HttpTextError("A chunk's line ends without CR");
    const line = decodeLatin1(this.#pending.subarray(0, end - 1));
    this.#pending = this.#pending.slice(end + 1);
    return line;
  }

  #keep(atMost: number): number {
    const part = this.#pending.slice(0, atMost);
    this.#pending = this.#pending.slice(part.length);
    this.#bodyBytes += part.length;
    if (this.#bodyBytes > MAX_BODY_BYTES) throw new HttpTextError("The body is too long");
    this.#body.push(part);
    return part.length;
  }
}

function framingOf(fields: readonly (readonly [name: string, value: string])[]): Framing {
  const of = (wanted: string) =>
    fields.filter(([name]) => name === wanted).map(([, value]) => value);
  const codings = of("transfer-encoding");
  const lengths = of("content-length");
  // Two answers to where the body ends are how responses are smuggled: RFC 9112 section 6.1.
  if (codings.length + lengths.length > 1) {
    throw new HttpTextError("The length of the body is told more than once");
  }
  const [coding] = codings;
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") {
      throw new HttpTextError(`Unknown transfer coding: ${visible(coding)}`);
    }
    return { kind: "chunked", state: "size", rest: 0 };
  }
  const [length] = lengths;
  if (length === undefined) return { kind: "until-close" };
  if (!/^[0-9]{1,9}$/.test(length)) throw new HttpTextError(`Not a length: ${visible(length)}`);
  return { kind: "length", rest: Number(length) };
}

function parseField(line: string): readonly [name: string, value: string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/.exec(line);
  const [, name, value] = match ?? [];
  if (name === undefined || value === undefined) {
    throw new HttpTextError(`Not a header field: ${visible(line)}`);
  }
  return [name.toLowerCase(), value];
}

function indexOfBlankLine(bytes: Bytes): number {
  for (let at = bytes.indexOf(CR); at !== -1; at = bytes.indexOf(CR, at + 1)) {
    if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at;
  }
  return -1;
}

/** Heads are bytes; UTF-8 in one would be an error of its own. */
function decodeLatin1(bytes: Bytes): string {
  return String.fromCharCode(...bytes);
}

function visible(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

/** The same as `base` has, whose addresses load half of `node:net`: every start would pay for it. */
function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
