import {
  type Clock,
  decodeUtf8,
  encodeUtf8,
  type Id,
  type JsonObject,
  newId,
  type Random,
} from "../base/mod.ts";
import type { DialResponse } from "../tls/mod.ts";
import type { WantedEndpoint } from "./attachment_draft.ts";
import { HostError } from "./host_error.ts";
import type { LeaderLink, LeaderRequest } from "./leader_link.ts";
import { NodeError } from "./node_error.ts";
import type { OwnLeader } from "./ports.ts";

/** Header with which a forwarding node names a request, so that it may be made again. */
const REQUEST_HEADER = "agent-request";
/** Its answer is all of the state. */
const BACKUP_PATH = "/v1/cluster/backup";
const MAX_BACKUP_BYTES = 256 * 1024 * 1024;
/** A leader change is over by then, and a client still waits. */
export const DEADLINE_MS = 10_000;
/** Managers elect a leader within a second or two: a client should not wait half as long again. */
const LONGEST_PAUSE_MS = 200;
/** Whatever else a client sends concerns only its own connection. */
const FORWARDED_HEADERS = ["content-type", "idempotency-key", "if-match", "accept", REQUEST_HEADER];
const ANSWERED_HEADERS = [
  "content-type",
  "etag",
  "location",
  "retry-after",
  "allow",
  "cache-control",
];

/** Requests of this host's root that are the leader's business. */
export class LeaderRequests {
  readonly #link: LeaderLink;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ownLeader: OwnLeader | null;
  #heard: { readonly stateTimeMs: number; readonly atMs: number } | null = null;

  /** Sends by this link, but asks `ownLeader` first what needs no network. */
  constructor(link: LeaderLink, clock: Clock, random: Random, ownLeader: OwnLeader | null) {
    this.#link = link;
    this.#ownLeader = ownLeader;
    this.#clock = clock;
    this.#random = random;
  }

  /** The state's time as a leader has just told it. */
  setStateTime(stateTimeMs: number): void {
    this.#heard = { stateTimeMs, atMs: this.#clock.monotonicMs() };
  }

  /**
   * Sends a request of the unix socket on with this node's certificate; gives the answer. However often
   * it has to be made until a leader answers, it is one request, and done once.
   *
   * @throws {HostError} `unavailable` when no leader has answered
   */
  async forward(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const headers: Record<string, string> = {};
    for (const name of FORWARDED_HEADERS) {
      const value = request.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead && headers["idempotency-key"] === undefined) {
      headers[REQUEST_HEADER] ??= this.#drawMark();
    }
    const body = isRead ? undefined : new Uint8Array(await request.arrayBuffer());
    const { method, signal } = request;
    const content = body === undefined || body.length === 0 ? {} : { body };
    const isBackup = url.pathname === BACKUP_PATH;
    const limit = isBackup ? { maxResponseBytes: MAX_BACKUP_BYTES } : {};
    const own = await this.#ownLeader?.fetch(
      new Request(url, { method, headers, signal, ...content }),
    );
    if (own !== undefined && own !== null) return own;
    const path = url.pathname + url.search;
    const answer = await this.#send({ method, path, headers, ...content, ...limit, signal });
    const answered = new Headers();
    for (const name of ANSWERED_HEADERS) {
      const value = answer.headers.get(name);
      if (value !== null) answered.set(name, value);
    }
    const bodyless = answer.status === 204 || answer.status === 304;
    return new Response(bodyless ? null : answer.body, {
      status: answer.status,
      headers: answered,
    });
  }

  /**
   * Makes endpoints on this node, all or none; answers the ids of their networks, in order.
   *
   * @throws {HostError} `unavailable` when it is not known whether they were made; anything else is
   * the leader's refusal, `field` in its own terms
   */
  async createEndpoints(
    endpoints: readonly WantedEndpoint[],
    signal: AbortSignal,
  ): Promise<readonly Id[]> {
    const answer = await this.#send({
      method: "POST",
      path: "/v1/endpoints",
      headers: { "content-type": "application/json", [REQUEST_HEADER]: this.#drawMark() },
      body: encodeUtf8(JSON.stringify({ endpoints })),
      signal,
    });
    const body = parseJson(answer);
    if (answer.status !== 201) throw refusal(answer.status, body);
    const made = body.endpoints;
    if (!Array.isArray(made) || made.length !== endpoints.length) {
      throw new HostError("unavailable", "The leader's answer does not name the endpoints");
    }
    return made.map((endpoint: JsonObject) => String(endpoint.networkId));
  }

  /** Before a leader has been heard the own clock has to do: those of a cluster differ by little. */
  #drawMark(): string {
    const nowMs = this.#heard === null
      ? this.#clock.nowMs()
      : this.#heard.stateTimeMs + (this.#clock.monotonicMs() - this.#heard.atMs);
    return `${newId(this.#random)};from=${Math.floor(nowMs)}`;
  }

  async #send(
    request: Omit<LeaderRequest, "deadlineMs"> & { readonly signal: AbortSignal },
  ): Promise<DialResponse> {
    try {
      const longestPauseMs = LONGEST_PAUSE_MS;
      return await this.#link.request({ ...request, deadlineMs: DEADLINE_MS, longestPauseMs });
    } catch (cause) {
      if (request.signal.aborted) {
        throw new HostError("unavailable", "The client has gone before there was an answer", {
          cause,
        });
      }
      if (!(cause instanceof NodeError)) throw cause;
      throw new HostError("unavailable", `${cause.message}. Try again`, { cause });
    }
  }
}

function parseJson(answer: DialResponse): JsonObject {
  try {
    const body: unknown = JSON.parse(decodeUtf8(answer.body));
    // What JSON.parse gives is JSON.
    if (isObject(body)) return body as JsonObject;
  } catch {
    // Said below.
  }
  throw new HostError("unavailable", `The leader answered ${answer.status}, and no JSON object`);
}

/** The leader's problem, as this host's own. */
function refusal(status: number, problem: JsonObject): HostError {
  const { code, detail, field, details } = problem;
  if (typeof code !== "string" || typeof detail !== "string" || status >= 500) {
    const said = typeof detail === "string" ? `: ${detail}` : "";
    return new HostError("unavailable", `The leader answered ${status}${said}`);
  }
  return new HostError(code, detail, {
    ...(typeof field === "string" ? { field } : {}),
    ...(isObject(details) ? { details: details as JsonObject } : {}),
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
