import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Clock, type Id, type Logger } from "../base/mod.ts";
import { PeerVerifier, type Trust } from "../ca/mod.ts";
import { Admission } from "./admission.ts";
import { ConnectionTable } from "./connection_table.ts";
import { createExchange } from "./exchange.ts";
import { assess, evidenceOf, type Guest, standingOf } from "./guest.ts";
import type { TlsIdentity } from "./identity.ts";
import { DEFAULT_LIMITS, type ListenerLimits } from "./limits.ts";
import type { PeerInfo, Standing } from "./peer.ts";
import { RefusalLog } from "./refusal_log.ts";
import { answerUpgrade, type Upgrade } from "./upgrade.ts";

/** What {@linkcode Listener.start} needs. */
export interface ListenerOptions {
  /** The address to listen on; by default all, IPv6 and IPv4. */
  readonly host?: string;
  /** 0 = any that is free. */
  readonly port: number;
  /** What it shows to clients; a manager's. */
  readonly identity: TlsIdentity;
  /** Whose certificates it believes. */
  readonly trust: Trust;
  /** For dates, idle times and limits. */
  readonly clock: Clock;
  /** Hears of whom it refuses. */
  readonly logger: Logger;
  /** Only where they differ from the defaults. */
  readonly limits?: Partial<ListenerLimits>;
  /**
   * What this peer may have, by certificate and state: neither alone is enough. Asked on every
   * connection, before every request and by {@linkcode Listener.recheck}, so it must be cheap.
   */
  authorize(peer: PeerInfo): Standing;
  /**
   * Answers a request whose body has been read whole, within the limit. `request.signal` aborts
   * when the client goes away, also while the response's body is being sent.
   */
  handle(request: Request, peer: PeerInfo, standing: Standing): Response | Promise<Response>;
  /**
   * What managers may speak instead of HTTP: members whose certificate is a manager's. The connection
   * goes on being watched as every other is.
   */
  readonly upgrade?: Upgrade;
}

/** How often the runtime looks for requests that take too long. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;
const MAX_HEADER_BYTES = 16 * 1024;

/** The cluster's TCP port. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #limits: ListenerLimits;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #guests: ConnectionTable<Guest>;
  readonly #refusals: RefusalLog;
  readonly #verifier: PeerVerifier;
  readonly #exchange: ReturnType<typeof createExchange>;
  #closed: Promise<void> | null = null;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#verifier = new PeerVerifier(options.trust);
    this.#admission = new Admission(this.#limits);
    this.#guests = new ConnectionTable(options.clock);
    this.#refusals = new RefusalLog(options.clock, options.logger);
    this.#exchange = createExchange({
      logger: options.logger,
      handle: (request, guest) => options.handle(request, guest.peer, guest.standing),
    });
    this.#server = createServer({
      ...secureContext(options.identity),
      requestCert: true,
      // Who the peer is, is decided here and not by the runtime, which is wrong on resumed sessions.
      rejectUnauthorized: false,
      handshakeTimeout: this.#limits.handshakeTimeoutMs,
      headersTimeout: this.#limits.headersTimeoutMs,
      requestTimeout: this.#limits.requestTimeoutMs,
      keepAliveTimeout: this.#limits.idleTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    this.#server.on("connection", (socket) => {
      if (socket instanceof Socket) this.#admission.handshakeStarted(socket);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      this.#admission.handshakeDone(socket);
      options.logger.debug("A TLS handshake failed", { error: error.message });
      socket.destroy();
    });
    // After node:https's own, which attaches the HTTP parser; both run before a request is parsed.
    this.#server.on("secureConnection", (socket) => this.#greet(socket));
    this.#server.on("request", (incoming, outgoing) => this.#serve(incoming, outgoing));
    this.#server.on(
      "upgrade",
      (incoming: IncomingMessage, _socket: unknown, head: Uint8Array) =>
        this.#upgrade(incoming, head),
    );
  }

  /** Listens; resolves when connections are taken. */
  static async start(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const server = listener.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port: options.port, ...(options.host && { host: options.host }) }, () => {
        server.off("error", reject).on("error", (error) => {
          options.logger.error("The listener failed", { error: error.message });
        });
        resolve();
      });
    });
    return listener;
  }

  /** Where it listens: `192.0.2.1:7443` or `[::]:7443`. */
  get address(): string {
    const { address, port } = this.#bound();
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** The port it listens on. */
  get port(): number {
    return this.#bound().port;
  }

  /** Shows this certificate from the next connection on; open ones go on undisturbed. */
  setIdentity(identity: TlsIdentity): void {
    this.#server.setSecureContext(secureContext(identity));
  }

  /** Believes these roots from now on; connections whose certificate they do not cover end. */
  setTrust(trust: Trust): void {
    this.#verifier.setTrust(trust);
    this.recheck();
  }

  /** Ends the open connections of this node at once (it has been removed). */
  closePeer(nodeId: Id): void {
    for (const guest of this.#guests.values()) {
      if (guest.peer.identity?.id === nodeId) this.#end(guest, "it has been removed");
    }
  }

  /** Asks again who every open connection is, and ends those that have lost their standing. */
  recheck(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const guest of this.#guests.values()) {
      const { peer } = assess(guest.evidence, this.#verifier, nowMs);
      const isSame = peer.identity?.id === guest.peer.identity?.id;
      if (!isSame || !this.#keepsStanding(guest)) this.#end(guest, "it has lost its standing");
    }
  }

  /** Takes no more connections, lets requests finish for `graceMs`, ends the rest. */
  close(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#shutDown(options.graceMs ?? 0);
    return this.#closed;
  }

  async #shutDown(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#admission.closeHandshakes();
    for (const guest of this.#guests.values()) {
      if (guest.requestsUnderWay === 0) guest.socket.destroy();
    }
    const cancel = this.#options.clock.schedule(graceMs, () => this.#guests.closeAll());
    await closed;
    cancel();
  }

  #bound(): { readonly address: string; readonly port: number } {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") {
      throw new TypeError("Cannot tell the listener's address: it is closed");
    }
    return bound;
  }

  /** Decides who a new connection is, before a request of it can be handled. */
  #greet(socket: TLSSocket): void {
    this.#admission.handshakeDone(socket);
    if (socket.destroyed) return;
    const { clock } = this.#options;
    const evidence = evidenceOf(socket);
    const { peer, reason } = assess(evidence, this.#verifier, clock.nowMs());
    const standing = standingOf(evidence, peer, this.#options.authorize(peer));
    const guest: Guest = {
      socket,
      evidence,
      peer,
      standing,
      notAfterMs: peer.identity?.notAfterMs ?? Infinity,
      requestsUnderWay: 0,
      requestsServed: 0,
    };
    const refusal = this.#refusalOf(guest, reason);
    if (refusal !== null) return this.#end(guest, refusal);
    this.#guests.add(guest);
    if (standing === "member") return;
    const cancel = clock.schedule(this.#limits.strangerLifetimeMs, () => socket.destroy());
    socket.once("close", cancel);
  }

  /** Why this connection ends at once, or `null`; takes a stranger's place for it if need be. */
  #refusalOf(guest: Guest, reason: string | null): string | null {
    const { peer, standing, socket } = guest;
    if (this.#closed !== null) return "the agent is stopping";
    if (standing === "member") {
      const open = this.#guests.values().filter((other) =>
        other.peer.identity?.id === peer.identity?.id
      );
      return open.length < this.#limits.connectionsPerMember ? null : "it has too many connections";
    }
    // A certificate that verified gets an answer (403), any other refusal ends the connection.
    if (standing === "refused" && peer.identity === null) {
      return reason ?? "it may not connect";
    }
    return this.#admission.takeStranger(socket) ? null : "too many strangers are connected";
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const guest = this.#admit(incoming);
    if (guest === null) return;
    const isMember = guest.standing === "member";
    guest.requestsUnderWay++;
    guest.requestsServed++;
    if (!isMember || this.#closed !== null) outgoing.shouldKeepAlive = false;
    outgoing.once("close", () => {
      guest.requestsUnderWay--;
      if (this.#closed !== null && guest.requestsUnderWay === 0) guest.socket.destroySoon();
    });
    const limit = isMember ? this.#limits.memberBodyBytes : this.#limits.strangerBodyBytes;
    void this.#exchange(incoming, outgoing, guest, limit);
  }

  #upgrade(incoming: IncomingMessage, head: Uint8Array): void {
    const guest = this.#admit(incoming);
    if (guest === null) return;
    guest.requestsServed++;
    const refusal = answerUpgrade(guest, incoming, head, {
      offered: this.#closed === null ? this.#options.upgrade : undefined,
    });
    if (refusal !== null) this.#refusals.note(refusal, { peer: guest.peer.address });
  }

  /** Whose request this is; `null` when the connection had to be ended over it. */
  #admit({ socket }: IncomingMessage): Guest | null {
    const guest = socket instanceof TLSSocket ? this.#guests.get(socket) : undefined;
    if (guest === undefined) {
      socket.destroy();
      return null;
    }
    const refusal = this.#refusalOfRequest(guest);
    if (refusal === null) return guest;
    this.#end(guest, refusal);
    return null;
  }

  #refusalOfRequest(guest: Guest): string | null {
    const isMember = guest.standing === "member";
    if (guest.notAfterMs <= this.#options.clock.nowMs()) return "its certificate has run out";
    if (!this.#keepsStanding(guest)) return "it has lost its standing";
    if (guest.requestsUnderWay >= (isMember ? this.#limits.requestsPerConnection : 1)) {
      return "it has too many requests under way";
    }
    return !isMember && guest.requestsServed > 0 ? "it had its one request" : null;
  }

  #keepsStanding(guest: Guest): boolean {
    const granted = this.#options.authorize(guest.peer);
    return standingOf(guest.evidence, guest.peer, granted) === guest.standing;
  }

  #end(guest: Guest, why: string): void {
    const { identity, address } = guest.peer;
    this.#refusals.note(`Ended a connection: ${why}`, {
      peer: address,
      ...(identity !== null && { principal: `${identity.role}:${identity.id}` }),
    });
    guest.socket.destroy();
  }
}

function secureContext(identity: TlsIdentity) {
  return {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: "TLSv1.3",
  } as const;
}
