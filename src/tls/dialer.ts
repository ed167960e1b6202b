import type { TLSSocket } from "node:tls";
import { type Bytes, type Clock, decodeUtf8 } from "../base/mod.ts";
import { managerServerName, type PeerIdentity, PeerVerifier, type Trust } from "../ca/mod.ts";
import { parseEndpoint } from "./address.ts";
import { ByteQueue } from "./byte_queue.ts";
import { ConnectionTable } from "./connection_table.ts";
import { Deadline } from "./deadline.ts";
import { type Begun, exchangeHeaders, headersOf, readBody } from "./dial_exchange.ts";
import { diagnose } from "./diagnose.ts";
import { closedError, tooLargeError } from "./dial_error.ts";
import type { TlsIdentity } from "./identity.ts";
import { exchangeUpgrade } from "./dial_upgrade.ts";
import type { ByteStream } from "./upgrade.ts";
import { type Link, VerifiedAgent, verifyManager } from "./verified_agent.ts";

/** What {@linkcode Dialer} needs. */
export interface DialerOptions {
  /** `null`: show no certificate (joining). */
  readonly identity: TlsIdentity | null;
  /** Whose certificates it believes. */
  readonly trust: Trust;
  /** For dates, timeouts and idle times. */
  readonly clock: Clock;
}

/** One request to a manager. */
export interface DialRequest {
  /** `192.0.2.1:7443` or `[2001:db8::1]:7443`; never a name, for identity is the certificate's. */
  readonly address: string;
  /** `GET`, `POST`, … */
  readonly method: string;
  /** With its query, from the first `/`. */
  readonly path: string;
  /** `host` and `content-length` are set for it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent whole. */
  readonly body?: Uint8Array;
  /** Gives the request, or the stream, up. */
  readonly signal?: AbortSignal;
  /**
   * For {@linkcode Dialer.request} until the answer is complete, for
   * {@linkcode Dialer.openStream} until its headers are there. 10 s by default.
   */
  readonly timeoutMs?: number;
  /** A connection, with a full handshake, for this request alone. */
  readonly freshConnection?: boolean;
  /** Ends the answer when it is longer. 4 MiB by default; for a stream, what waits unread. */
  readonly maxResponseBytes?: number;
}

/** A complete answer. */
export interface DialResponse {
  /** The HTTP status, whatever it is. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /** All of it. */
  readonly body: Bytes;
  /** The manager that answered. */
  readonly peer: PeerIdentity;
  /**
   * The body as text.
   *
   * @throws {TypeError} when the body is not UTF-8
   */
  text(): string;
  /**
   * The body as JSON says it: not checked against anything.
   *
   * @throws {TypeError | SyntaxError} when the body is not UTF-8, or not JSON
   */
  json(): unknown;
}

/** An answer whose body is still coming. */
export interface DialStream {
  /** The HTTP status, whatever it is. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /** The manager that answers. */
  readonly peer: PeerIdentity;
  /**
   * The body in pieces as they arrive, once. It ends when the server ends it or after
   * {@linkcode DialStream.close}, and throws {@linkcode TlsDialError} when the connection breaks.
   */
  readonly chunks: AsyncIterable<Bytes>;
  /** Ends the connection. */
  close(): void;
}

/** What {@linkcode Dialer.openUpgrade} needs. */
export interface UpgradeRequest
  extends Pick<DialRequest, "address" | "path" | "headers" | "signal" | "timeoutMs"> {
  /** Its name in the `Upgrade` header. */
  readonly protocol: string;
}

/** The same, as `fetch` would give it. */
interface Answer extends Begun {
  readonly status: number;
  readonly headers: Headers;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_RESPONSE_BYTES = 4 * 1024 * 1024;
/** Shorter than the listener's, so that a connection does not end just when it is used again. */
const IDLE_TIMEOUT_MS = 30_000;

/** Makes requests to managers of one cluster. */
export class Dialer {
  readonly #clock: Clock;
  readonly #verifier: PeerVerifier;
  readonly #links: ConnectionTable<Link>;
  #identity: TlsIdentity | null;
  #trust: Trust;
  readonly #connecting = new Map<TLSSocket, VerifiedAgent>();
  #pooled: VerifiedAgent;

  /**
   * Connects to nobody yet.
   *
   * @throws {RootRejectedError} when `trust` is broken
   */
  constructor(options: DialerOptions) {
    this.#clock = options.clock;
    this.#identity = options.identity;
    this.#trust = options.trust;
    this.#verifier = new PeerVerifier(options.trust);
    this.#links = new ConnectionTable(options.clock, () => this.#closeIdle());
    this.#pooled = this.#newAgent("keep");
  }

  /** Shows this certificate from the next connection on; requests under way finish on theirs. */
  setIdentity(identity: TlsIdentity): void {
    this.#identity = identity;
    this.#replacePool();
  }

  /** Believes these roots from now on; connections to others end. */
  setTrust(trust: Trust): void {
    this.#verifier.setTrust(trust);
    this.#trust = trust;
    this.#replacePool();
    const nowMs = this.#clock.nowMs();
    for (const { socket, endpoint, certificate } of this.#links.values()) {
      const peer = verifyManager(endpoint.address, certificate, this.#verifier, nowMs);
      if (peer instanceof Error) socket.destroy();
    }
  }

  /**
   * Sends a request and reads the answer, whatever its status.
   *
   * @throws {TlsDialError} when there is no complete answer; the signal's reason when it aborts
   */
  async request(request: DialRequest): Promise<DialResponse> {
    const { address, freshConnection = false } = request;
    const deadline = this.#deadlineOf(request);
    const agent = freshConnection ? this.#newAgent("once") : this.#pooled;
    try {
      const { message, status, headers, peer } = await this.#send(request, agent, deadline);
      const limit = request.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
      const body = await readBody(message, limit, address, deadline);
      const text = () => decodeUtf8(body);
      return { status, headers, body, peer, text, json: () => JSON.parse(text()) };
    } finally {
      deadline.cancel();
      if (freshConnection) agent.closeConnecting();
    }
  }

  /**
   * As {@linkcode Dialer.request}, on a connection of its own, without waiting for the body.
   *
   * @throws {TlsDialError} when no answer begins; the signal's reason when it aborts
   */
  async openStream(request: DialRequest): Promise<DialStream> {
    const agent = this.#newAgent("once");
    const deadline = this.#deadlineOf(request);
    let answer: Answer;
    try {
      answer = await this.#send(request, agent, deadline);
    } catch (error) {
      deadline.cancel();
      agent.closeConnecting();
      throw error;
    }
    deadline.cancelTimer();
    const { message, status, headers, peer } = answer;
    const limit = request.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
    const chunks = new ByteQueue();
    const finish = (error: Error | null) => {
      deadline.cancel();
      chunks.end(error);
      message.destroy();
    };
    deadline.onEnd(finish);
    message.on("data", (part: Uint8Array) => {
      chunks.push(new Uint8Array(part));
      if (chunks.lengthBytes > limit) finish(tooLargeError(request.address, limit));
    });
    message.on("end", () => finish(null));
    message.on("error", (cause) => finish(closedError(request.address, cause)));
    message.on("close", () => finish(closedError(request.address)));
    if (message.destroyed) finish(closedError(request.address));
    return { status, headers, peer, chunks, close: () => finish(null) };
  }

  /**
   * Leaves HTTP behind, on a connection of its own with a full handshake.
   *
   * @throws {TlsDialError} when the manager does not agree (`protocol`), or as
   * {@linkcode Dialer.request}
   */
  async openUpgrade(request: UpgradeRequest): Promise<ByteStream> {
    const agent = this.#newAgent("once");
    const deadline = this.#deadlineOf(request);
    const endpoint = parseEndpoint(request.address);
    const servername = managerServerName(this.#trust.clusterId);
    try {
      return await exchangeUpgrade(request, endpoint, servername, agent, this.#links, deadline);
    } catch (cause) {
      agent.closeConnecting();
      if (deadline.error !== null) throw deadline.error;
      throw await diagnose(endpoint, servername, this.#verifier, this.#clock, cause);
    } finally {
      deadline.cancel();
    }
  }

  /** Ends every connection; requests under way fail. */
  closeAll(): void {
    for (const socket of [...this.#connecting.keys()]) socket.destroy();
    this.#links.closeAll();
  }

  #deadlineOf(
    request: Pick<DialRequest, "address" | "signal" | "timeoutMs">,
  ): Deadline {
    const { address, signal, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
    return new Deadline({ clock: this.#clock, address, timeoutMs, ...(signal && { signal }) });
  }

  #newAgent(pooling: "keep" | "once"): VerifiedAgent {
    return new VerifiedAgent({
      identity: this.#identity,
      trust: this.#trust,
      verifier: this.#verifier,
      clock: this.#clock,
      links: this.#links,
      connecting: this.#connecting,
      pooling,
    });
  }

  #replacePool(): void {
    const old = this.#pooled;
    this.#pooled = this.#newAgent("keep");
    old.retire();
  }

  #closeIdle(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { socket, idleSinceMs } of this.#links.values()) {
      if (idleSinceMs !== null && nowMs - idleSinceMs >= IDLE_TIMEOUT_MS) socket.destroy();
    }
  }

  async #send(request: DialRequest, agent: VerifiedAgent, deadline: Deadline): Promise<Answer> {
    const endpoint = parseEndpoint(request.address);
    const servername = managerServerName(this.#trust.clusterId);
    try {
      const links = this.#links;
      const begun = await exchangeHeaders(request, endpoint, servername, agent, links, deadline);
      const { statusCode = 0, headers } = begun.message;
      return { ...begun, status: statusCode, headers: headersOf(headers) };
    } catch (cause) {
      if (deadline.error !== null) throw deadline.error;
      throw await diagnose(endpoint, servername, this.#verifier, this.#clock, cause);
    }
  }
}
