import { PeerRejectedError } from "../ca/mod.ts";

/**
 * Why nothing came back:
 *
 * - `connection-refused`: nobody listens there;
 * - `unreachable`: no route, or the network said so;
 * - `timeout`: no answer within the time given;
 * - `peer-rejected`: the server's certificate is not one of this cluster;
 * - `not-a-manager`: it is one of this cluster, but not a manager's;
 * - `clock`: it would be right at another time: one of the two clocks is wrong, or it has run out;
 * - `closed`: the server ended the connection before its answer was complete, which is also how a
 *   server refuses a certificate of ours, or before it had the request;
 * - `response-too-large`: it sent more than the caller wanted;
 * - `protocol`: it speaks something else than TLS 1.3 with HTTP/1.1.
 */
export type TlsDialErrorCode =
  | "connection-refused"
  | "unreachable"
  | "timeout"
  | "peer-rejected"
  | "not-a-manager"
  | "clock"
  | "closed"
  | "response-too-large"
  | "protocol";

/** A request that got no complete answer. */
export class TlsDialError extends Error {
  /** For `toString`. */
  override name = "TlsDialError";
  /** Which of the reasons it is. */
  readonly code: TlsDialErrorCode;
  /** What was dialled, `192.0.2.1:7443`. */
  readonly address: string;

  /** `message` is one sentence for a person: what, why, and what to do next. */
  constructor(code: TlsDialErrorCode, address: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.address = address;
  }
}

/** The runtime's codes of errors that say nothing about a certificate. */
const CONNECTION_ERRORS: Readonly<Record<string, [TlsDialErrorCode, string]>> = {
  ECONNREFUSED: ["connection-refused", "nothing listens there: is the agent running?"],
  EHOSTUNREACH: ["unreachable", "no route to that host: check address and network"],
  EHOSTDOWN: ["unreachable", "that host does not answer: check address and network"],
  ENETUNREACH: ["unreachable", "no route to that network: check address and network"],
  EADDRNOTAVAIL: ["unreachable", "this host has no address to reach it from"],
  EACCES: ["unreachable", "this host's own rules forbid it: check the firewall"],
  EPERM: ["unreachable", "this host's own rules forbid it: check the firewall"],
  ETIMEDOUT: ["timeout", "that host does not answer: check address, network and firewall"],
  ECONNRESET: ["closed", "the connection ended before the answer was complete"],
  ECONNABORTED: ["closed", "the connection ended before the answer was complete"],
  EPIPE: ["closed", "the connection ended before the answer was complete"],
};

/** The typed error of a failed connection, or `null` when the error may be about a certificate. */
export function connectionError(address: string, cause: unknown): TlsDialError | null {
  if (cause instanceof TlsDialError) return cause;
  if (codeOf(cause).startsWith("HPE_")) return protocolError(address, cause);
  const [code, why] = CONNECTION_ERRORS[codeOf(cause)] ?? [];
  if (code === undefined) return null;
  return new TlsDialError(code, address, `Cannot talk to ${address}: ${why}`, { cause });
}

/** The typed error for what `ca` says about a server's certificate. */
export function rejectionError(address: string, cause: PeerRejectedError): TlsDialError {
  const isClock = cause.code === "expired" || cause.code === "not-yet-valid";
  const advice = isClock
    ? "compare the clocks of both hosts, then renew the certificate"
    : "is this the right address?";
  return new TlsDialError(
    isClock ? "clock" : "peer-rejected",
    address,
    `Cannot trust ${address}: ${cause.message}; ${advice}`,
    { cause },
  );
}

/** The typed error of a server that is a member, but must not be asked. */
export function notManagerError(address: string, role: string): TlsDialError {
  return new TlsDialError(
    "not-a-manager",
    address,
    `Cannot trust ${address}: its certificate is a ${role}'s; give the address of a manager`,
  );
}

export function timeoutError(address: string, timeoutMs: number): TlsDialError {
  return new TlsDialError(
    "timeout",
    address,
    `Cannot talk to ${address}: no complete answer within ${timeoutMs} ms; ` +
      "check address, network and firewall",
  );
}

export function closedError(address: string, cause?: unknown): TlsDialError {
  const [code, why] = ["closed", "the connection ended before the answer was complete"] as const;
  return new TlsDialError(code, address, `Cannot talk to ${address}: ${why}`, { cause });
}

/**
 * The answer of a server that ended its wait for a request and did nothing (408: RFC 9110, 15.5.9).
 * It says no more than a connection that ended, so nobody is given it as an answer.
 */
export const REQUEST_TIMEOUT = 408;

export function requestTimeoutError(address: string): TlsDialError {
  return new TlsDialError(
    "closed",
    address,
    `Cannot talk to ${address}: it stopped waiting for the request before all of it had come; ` +
      "is one of the two hosts overloaded?",
  );
}

export function tooLargeError(address: string, limitBytes: number): TlsDialError {
  return new TlsDialError(
    "response-too-large",
    address,
    `Stopped reading from ${address}: it sent more than ${limitBytes} bytes`,
  );
}

export function protocolError(address: string, cause: unknown): TlsDialError {
  return new TlsDialError(
    "protocol",
    address,
    `Cannot talk to ${address}: it does not speak TLS 1.3 with HTTP/1.1, so it is not an agent ` +
      `(${cause instanceof Error ? cause.message : String(cause)})`,
    { cause },
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
