import type * as z from "zod";
import { type Bytes, concatBytes, decodeUtf8, type Json } from "../base/mod.ts";
import { ApiProblem, type ProblemOptions } from "./problem.ts";

/** How long a body may be, unless a route says otherwise. */
export const MAX_BODY_BYTES = 64 * 1024;
/** How many faults of one body are named. */
const MAX_NAMED_FAULTS = 16;

/**
 * Reads a body of at most `limitBytes`.
 *
 * @throws {ApiProblem} 413 as soon as it is known to be longer
 */
export async function readBody(request: Request, limitBytes: number): Promise<Bytes> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limitBytes) throw tooLarge(limitBytes);
  if (request.body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body) {
    length += piece.length;
    // Leaving the loop cancels the rest of the upload.
    if (length > limitBytes) throw tooLarge(limitBytes);
    pieces.push(piece);
  }
  return concatBytes(...pieces);
}

/**
 * Reads a body that must be JSON.
 *
 * @throws {ApiProblem} 415, 413 or 400
 */
export async function readJson(request: Request, limitBytes: number): Promise<Json> {
  const accepted = request.method === "PATCH"
    ? ["application/json", "application/merge-patch+json"]
    : ["application/json"];
  const mediaType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (mediaType === undefined || !accepted.includes(mediaType)) {
    throw new ApiProblem(
      "unsupported-media-type",
      `The body is ${mediaType ?? "of no declared type"}: send ${accepted.join(" or ")}`,
      {
        in: "header",
        field: "Content-Type",
        headers: request.method === "PATCH"
          ? { "accept-patch": accepted.join(", ") }
          : { "accept": accepted.join(", ") },
      },
    );
  }
  const bytes = await readBody(request, limitBytes);
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw new ApiProblem("malformed-json", "The body is not UTF-8");
  }
  try {
    const json: Json = JSON.parse(text, PROTO.test(text) ? refuseProto : undefined);
    return json;
  } catch (error) {
    if (error instanceof ApiProblem) throw error;
    // The engine's text says where; it quotes at most a few characters, and never goes to a log.
    const reason = error instanceof Error ? error.message : "it cannot be parsed";
    throw new ApiProblem("malformed-json", `The body is not JSON: ${reason}`);
  }
}

/** Plainly or by an escape. */
const PROTO = /__proto__|\\u/;

/** Some code drops a member of that name without a word: then the answer would tell of a success. */
function refuseProto(key: string, value: Json): Json {
  if (key !== "__proto__") return value;
  throw new ApiProblem("invalid-value", 'No field can be called "__proto__"');
}

/**
 * Holds a body to its schema.
 *
 * @throws {ApiProblem} 422, naming each field that is at fault
 */
export function checkBody<T>(schema: z.ZodType<T>, json: Json | undefined): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => faultsOf(issue, []));
  const [first] = faults;
  const detail = first === undefined ? "The body is not valid" : first.message;
  throw new ApiProblem("invalid-value", detail, {
    field: first?.field,
    details: faults.length < 2 ? undefined : { faults: faults.slice(0, MAX_NAMED_FAULTS) },
  });
}

/**
 * Holds the query to its schema.
 *
 * @throws {ApiProblem} 400, naming the parameter
 */
export function checkQuery<T>(schema: z.ZodType<T>, query: URLSearchParams): T {
  const values = new Map<string, string>();
  for (const [name, value] of query) {
    if (values.has(name)) {
      throw badParameter(`The parameter ${quoted(name)} is given twice`, name);
    }
    values.set(name, value);
  }
  const result = schema.safeParse(Object.fromEntries(values));
  if (result.success) return result.data;
  const [fault] = result.error.issues.flatMap((issue) => faultsOf(issue, []));
  throw badParameter(fault?.message ?? "The query is not valid", fault?.field.slice(1) ?? "");
}

interface Fault {
  readonly field: string;
  readonly message: string;
  /** How deep it lies: of the branches of a union, the one that got furthest was meant. */
  readonly depth: number;
}

type NamedFault = Omit<Fault, "depth">;

function faultsOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): NamedFault[] {
  return deepFaultsOf(issue, above).map(({ field, message }) => ({ field, message }));
}

function deepFaultsOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): Fault[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      field: pointer([...path, key]),
      message: `The field ${quoted(key)} is not known`,
      depth: path.length + 1,
    }));
  }
  if (issue.code === "invalid_union") {
    const branches = issue.errors.map((issues) => issues.flatMap((one) => deepFaultsOf(one, path)));
    const depthOf = (faults: readonly Fault[]) => Math.max(0, ...faults.map(({ depth }) => depth));
    const furthest = branches.reduce<Fault[]>(
      (best, branch) => depthOf(branch) > depthOf(best) ? branch : best,
      [],
    );
    if (depthOf(furthest) > path.length) return furthest;
  }
  const what = path.length === 0 ? "The body" : quoted(String(path.at(-1)));
  return [{ field: pointer(path), message: `${what}: ${issue.message}`, depth: path.length }];
}

/** JSON pointer, RFC 6901. */
function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) =>
    `/${String(part).slice(0, 80).replaceAll("~", "~0").replaceAll("/", "~1")}`
  ).join("");
}

/** A client's own text, in bounds. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function badParameter(message: string, name: string): ApiProblem {
  const options: ProblemOptions = { in: "query", field: name };
  return new ApiProblem("invalid-parameter", message, options);
}

function tooLarge(limitBytes: number): ApiProblem {
  return new ApiProblem("body-too-large", `The body is over ${limitBytes} bytes`, {
    details: { limitBytes },
    // Whoever goes on sending is not listened to.
    headers: { "connection": "close" },
  });
}
