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
import type { WantedEndpoint } from "./attachments.ts";
import { HostError } from "./host_error.ts";
import type { LeaderLink } from "./leader_link.ts";

/** Header with which a forwarding node names a request, so that it may be made again. */
const REQUEST_HEADER = "agent-request";
/** A leader change is over by then, and a client still waits. */
const DEADLINE_MS = 10_000;
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
  #stateTimeMs = 0;
  #heardAtMs = 0;

  /** Sends by this link. */
  constructor(link: LeaderLink, clock: Clock, random: Random) {
    this.#link = link;
    this.#clock = clock;
    this.#random = random;
  }

  /** The state's time as a leader has just told it. */
  setStateTime(stateTimeMs: number): void {
    this.#stateTimeMs = stateTimeMs;
    this.#heardAtMs = this.#clock.monotonicMs();
  }

  /** Sends a request of the unix socket on with this node's certificate; gives the answer. */
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
    const answer = await this.#send({
      method: request.method,
      path: url.pathname + url.search,
      headers,
      ...(body === undefined || body.length === 0 ? {} : { body }),
      signal: request.signal,
    });
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

  /** Makes endpoints on this node, all or none; answers the ids of their networks, in order. */
  async createEndpoints(
    endpoints: readonly WantedEndpoint[],
    request: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<readonly Id[]> {
    const answer = await this.#send({
      method: "POST",
      path: "/v1/endpoints",
      headers: { "content-type": "application/json", [REQUEST_HEADER]: this.#drawMark() },
      body: encodeUtf8(JSON.stringify({ endpoints })),
      signal: request.signal,
    });
    const body = parseJson(answer);
    if (answer.status !== 201) throw refusal(answer.status, body);
    const made = body.endpoints;
    if (!Array.isArray(made)) throw new TypeError("The leader's answer names no endpoints");
    return made.map((endpoint: JsonObject) => String(endpoint.networkId));
  }

  #drawMark(): string {
    const nowMs = this.#stateTimeMs + (this.#clock.monotonicMs() - this.#heardAtMs);
    return `${newId(this.#random)};from=${Math.floor(nowMs)}`;
  }

  #send(request: Parameters<LeaderLink["request"]>[0]): Promise<DialResponse> {
    return this.#link.request(request, { deadlineMs: DEADLINE_MS, repeatable: "yes" });
  }
}

function parseJson(answer: DialResponse): JsonObject {
  const body: unknown = JSON.parse(decodeUtf8(answer.body));
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw new TypeError(`The leader answered ${answer.status} with something that is no object`);
  }
  return body as JsonObject;
}

/** The leader's problem, as this host's own; a field of the leader's body is one of the client's. */
function refusal(status: number, problem: JsonObject): Error {
  const { code, detail, field, details } = problem;
  if (typeof code !== "string" || typeof detail !== "string" || status >= 500) {
    return new Error(`The leader answered ${status}: ${detail}`);
  }
  return new HostError(code, detail, {
    ...(typeof field === "string" ? { field: clientField(field) } : {}),
    ...(isObject(details) ? { details } : {}),
  });
}

/** `/endpoints/1/ip` of the leader's body is `/networks/1/ip` of the client's; the name is one. */
function clientField(field: string): string {
  if (/^\/endpoints\/\d+\/name$/.test(field)) return "/name";
  return field.replace(/^\/endpoints\//, "/networks/");
}

function isObject(value: JsonObject[string]): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
