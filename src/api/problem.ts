import type { JsonObject } from "../base/mod.ts";
import type { Rejection, RejectionCode } from "../state/mod.ts";

/** Why a request was refused, beside the reasons for which the state rejects a command. */
export type ApiCode =
  | "malformed-json"
  | "invalid-parameter"
  | "unsupported-media-type"
  | "body-too-large"
  | "no-such-path"
  | "method-not-allowed"
  | "not-authenticated"
  | "not-permitted"
  | "not-leader"
  | "unavailable"
  | "busy"
  | "internal"
  | "token-already-shown"
  | "netns-not-found"
  | "process-not-found"
  | "already-attached"
  | "interface-taken"
  | "kernel-refused";

/** Every `code` that a problem document may have. A program decides by it, never by the text. */
export type ProblemCode = RejectionCode | ApiCode;

/** An RFC 9457 problem document. */
export interface ProblemDocument {
  /** `urn:agent:problem:<code>`. */
  readonly type: string;
  /** What `code` means, the same words each time. */
  readonly title: string;
  /** Status of the answer. */
  readonly status: number;
  /** What happened, to what, why and what to do next. */
  readonly detail: string;
  /** What a program decides by. */
  readonly code: ProblemCode;
  /** JSON pointer (RFC 6901) to the value at fault; for a parameter or header, its name. */
  readonly field?: string | undefined;
  /** Where the field is; the body when absent. */
  readonly in?: "path" | "query" | "header" | undefined;
  /** More for a program. */
  readonly details?: JsonObject | undefined;
}

/**
 * What a port throws to say no: any error that has a {@linkcode ProblemCode} as its `code`. Its
 * message becomes the `detail`, so it must hold no secret.
 */
export interface PortError extends Error {
  /** Becomes the answer's `code`, and so its status. */
  readonly code: ProblemCode;
  /** JSON pointer to the value at fault. */
  readonly field?: string | undefined;
  /** More for a program. */
  readonly details?: JsonObject | undefined;
  /** Of `not-leader`: where the leader is, if that is known. */
  readonly leaderAddress?: string | null | undefined;
}

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/**
 * Status and title of every code. 409: in the way is something that another request can change;
 * 422: the request itself would have to be another; 403 for tokens, not 401 or 410: a secret in a
 * body was judged, and no other credentials are asked for.
 */
export const PROBLEMS: Readonly<Record<ProblemCode, ProblemKind>> = {
  "cluster-exists": { status: 409, title: "The cluster exists" },
  "no-cluster": { status: 503, title: "There is no cluster yet" },
  // A leader proposes only what it knows, so this is a defect of ours.
  "unknown-command": { status: 500, title: "Unknown command" },
  "invalid-value": { status: 422, title: "A value is not valid" },
  "not-found": { status: 404, title: "Not found" },
  "name-taken": { status: 409, title: "The name is taken" },
  "subnet-taken": { status: 409, title: "The subnet is taken" },
  "subnet-in-use-on-host": { status: 409, title: "The subnet is in use on a host" },
  "address-taken": { status: 409, title: "The address is taken" },
  "address-outside-subnet": { status: 422, title: "The address is outside the subnet" },
  "mac-taken": { status: 409, title: "The MAC address is taken" },
  "pool-exhausted": { status: 409, title: "The address pool is exhausted" },
  "subnet-exhausted": { status: 409, title: "The subnet is exhausted" },
  "indexes-exhausted": { status: 409, title: "The node indexes are exhausted" },
  "vnis-exhausted": { status: 409, title: "The VNIs are exhausted" },
  "in-use": { status: 409, title: "In use" },
  "node-not-allowed": { status: 403, title: "The node is not allowed on the network" },
  "encryption-unavailable": { status: 409, title: "Encryption is not available" },
  "slots-exhausted": { status: 409, title: "The slots of encrypted networks are exhausted" },
  "not-encrypted": { status: 409, title: "The network is not encrypted" },
  "epoch-conflict": { status: 409, title: "Another epoch has begun" },
  "stale-key": { status: 409, title: "The boot key is not a new one" },
  "rotation-waiting": { status: 409, title: "The next key has to wait" },
  "token-unknown": { status: 403, title: "The token is not known" },
  "token-expired": { status: 403, title: "The token has expired" },
  "token-used-up": { status: 403, title: "The token is used up" },
  "node-exists": { status: 409, title: "The node exists" },
  "last-manager": { status: 409, title: "The last manager cannot go" },
  "revision-mismatch": { status: 412, title: "The object has changed" },
  "request-expired": { status: 409, title: "The request is too old" },
  "request-reused": { status: 422, title: "The request id was used for another request" },
  "too-many-requests": { status: 429, title: "Too many requests are remembered" },

  "malformed-json": { status: 400, title: "The body is not JSON" },
  "invalid-parameter": { status: 400, title: "A parameter is not valid" },
  "unsupported-media-type": { status: 415, title: "The media type is not supported" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "no-such-path": { status: 404, title: "No such path" },
  "method-not-allowed": { status: 405, title: "The method is not allowed" },
  "not-authenticated": { status: 401, title: "Not authenticated" },
  "not-permitted": { status: 403, title: "Not permitted" },
  "not-leader": { status: 421, title: "Another manager leads" },
  "unavailable": { status: 503, title: "Not available now" },
  "busy": { status: 429, title: "Too many requests at once" },
  "internal": { status: 500, title: "A defect of the agent" },
  "quorum-at-risk": { status: 409, title: "The managers that are left could decide nothing" },
  "csr-rejected": { status: 422, title: "The certificate signing request was refused" },
  "address-unreachable": { status: 422, title: "The address does not answer" },
  "clock-skewed": { status: 422, title: "The clocks differ" },
  "recovering-too-often": { status: 429, title: "A certificate was issued a moment ago" },
  "token-already-shown": { status: 409, title: "The token was shown already" },
  "netns-not-found": { status: 422, title: "No such network namespace" },
  "process-not-found": { status: 422, title: "No such process" },
  "already-attached": { status: 409, title: "Attached already" },
  "interface-taken": { status: 409, title: "The interface name is taken" },
  "kernel-refused": { status: 503, title: "The kernel refused" },
};

/** How long to wait before the next try, seconds. */
const RETRY_AFTER_SECONDS: Readonly<Partial<Record<ProblemCode, number>>> = {
  "busy": 1,
  "unavailable": 1,
  "no-cluster": 1,
  "recovering-too-often": 60,
  "too-many-requests": 3600,
};

/** Header of a 421: where the leader is. */
const LEADER_HEADER = "agent-leader";

/** Where a {@linkcode ApiProblem} says that the fault is, and what else it carries. */
export interface ProblemOptions {
  readonly field?: string | undefined;
  readonly in?: ProblemDocument["in"];
  readonly details?: JsonObject | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A request is refused. */
export class ApiProblem extends Error implements PortError {
  override name = "ApiProblem";
  readonly code: ProblemCode;
  readonly field: string | undefined;
  readonly in: ProblemDocument["in"];
  readonly details: JsonObject | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.code = code;
    this.field = options.field;
    this.in = options.in;
    this.details = options.details;
    this.headers = options.headers ?? {};
  }
}

/** The state's rejection as a problem; `fieldOf` gives the client's name of the command's field. */
export function problemOfRejection(
  rejection: Rejection,
  fieldOf: (field: string) => string | null,
): ApiProblem {
  const { code, message, field, details } = rejection;
  return new ApiProblem(code, message, {
    field: field === undefined ? undefined : fieldOf(field) ?? undefined,
    details,
  });
}

/** Whether a port has thrown this to say no. Everything else that is thrown is a defect. */
export function isPortError(error: unknown): error is PortError {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    Object.hasOwn(PROBLEMS, error.code);
}

/** The answer to a request that is refused. */
export function problemResponse(error: PortError): Response {
  const { status, title } = PROBLEMS[error.code];
  const retryAfterSeconds = RETRY_AFTER_SECONDS[error.code];
  const leaderAddress = error.leaderAddress ?? undefined;
  const problem: ProblemDocument = {
    type: `urn:agent:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    field: error.field,
    in: error instanceof ApiProblem ? error.in : undefined,
    details: leaderAddress === undefined ? error.details : { ...error.details, leaderAddress },
  };
  const headers = new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
  });
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  if (leaderAddress !== undefined) headers.set(LEADER_HEADER, leaderAddress);
  if (error instanceof ApiProblem) {
    for (const [name, value] of Object.entries(error.headers)) headers.set(name, value);
  }
  return new Response(`${JSON.stringify(problem)}\n`, { status, headers });
}
