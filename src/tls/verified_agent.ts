import { Agent } from "node:https";
import type { Duplex } from "node:stream";
import type { ClientRequest } from "node:http";
import { connect, type ConnectionOptions, TLSSocket } from "node:tls";
import type { Bytes, Cancel, Clock } from "../base/mod.ts";
import {
  certificateToPem,
  managerServerName,
  type PeerIdentity,
  PeerRejectedError,
  type PeerVerifier,
  type Trust,
} from "../ca/mod.ts";
import { type Endpoint, endpointOf } from "./address.ts";
import type { Connection, ConnectionTable } from "./connection_table.ts";
import {
  closedError,
  notManagerError,
  rejectionError,
  timeoutError,
  type TlsDialError,
} from "./dial_error.ts";
import { presentedCertificate } from "./guest.ts";
import type { TlsIdentity } from "./identity.ts";

/** A connection to a manager. */
export interface Link extends Connection {
  readonly certificate: Bytes;
  readonly peer: PeerIdentity;
  readonly endpoint: Endpoint;
  /** Since when it waits for the next request, as monotonic time; `null` while it is used. */
  idleSinceMs: number | null;
}

/** What {@linkcode VerifiedAgent} needs. */
export interface VerifiedAgentOptions {
  readonly identity: TlsIdentity | null;
  readonly trust: Trust;
  /** Believes {@linkcode VerifiedAgentOptions.trust}. */
  readonly verifier: PeerVerifier;
  readonly clock: Clock;
  readonly links: ConnectionTable<Link>;
  /** Connections that are still being made, and by which agent. */
  readonly connecting: Map<TLSSocket, VerifiedAgent>;
  /** Whether connections are kept for the next request. */
  readonly pooling: "keep" | "once";
}

interface Target {
  readonly host?: unknown;
  readonly port?: unknown;
}

type SocketCallback = (error: Error | null, socket: Duplex) => void;

const CONNECT_TIMEOUT_MS = 10_000;
/** With one listener; a member may have twice as many there, streams included. */
const MAX_POOLED_PER_ADDRESS = 32;

/**
 * Hands `node:https` a connection only after its server has been verified as a manager, so that no
 * byte of a request can leave earlier. Both the runtime and `ca` have to agree: the runtime alone
 * would accept a certificate whose issuer only has the right name.
 */
export class VerifiedAgent extends Agent {
  readonly #options: VerifiedAgentOptions;
  #isRetired = false;

  constructor(options: VerifiedAgentOptions) {
    const isPooled = options.pooling === "keep";
    super({ keepAlive: isPooled, maxSockets: isPooled ? MAX_POOLED_PER_ADDRESS : Infinity });
    this.#options = options;
    // Not a method: the documented form that gives its socket to the callback later, and returns
    // nothing, is missing from the declared types.
    Object.assign(this, {
      createConnection: (target: Target, callback: SocketCallback) =>
        this.#connect(endpointOf(String(target.host), Number(target.port)), callback),
    });
  }

  /** Called by the base class when a request is over: whether its connection is kept. */
  override keepSocketAlive(socket: Duplex): boolean {
    const link = socket instanceof TLSSocket ? this.#options.links.get(socket) : undefined;
    if (link === undefined || this.#isRetired) return false;
    link.idleSinceMs = this.#options.clock.monotonicMs();
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    const link = socket instanceof TLSSocket ? this.#options.links.get(socket) : undefined;
    if (link !== undefined) link.idleSinceMs = null;
  }

  /** Ends connections that are not in use, and the others as soon as their request is over. */
  retire(): void {
    this.#isRetired = true;
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  /** Ends connections that are still being made for it. */
  closeConnecting(): void {
    for (const [socket, agent] of this.#options.connecting) {
      if (agent === this) socket.destroy();
    }
  }

  #connect(endpoint: Endpoint, callback: SocketCallback): void {
    const { clock, links, connecting, verifier } = this.#options;
    const { address } = endpoint;
    const socket = connect(this.#connectionOptions(endpoint));
    connecting.set(socket, this);
    let cancel: Cancel = () => {};
    const settle = (error: Error | null) => {
      if (!connecting.delete(socket)) return;
      cancel();
      if (error !== null) socket.destroy();
      callback(error, socket);
    };
    const onTimeout = () => settle(timeoutError(address, CONNECT_TIMEOUT_MS));
    cancel = clock.schedule(CONNECT_TIMEOUT_MS, onTimeout);
    // Stays: nobody else hears an error of a connection that waits for its next request.
    socket.on("error", settle);
    socket.once("close", () => settle(closedError(address)));
    socket.once("secureConnect", () => {
      const certificate = presentedCertificate(socket) ?? new Uint8Array();
      const peer = verifyManager(address, certificate, verifier, clock.nowMs());
      if (peer instanceof Error) return settle(peer);
      const { notAfterMs } = peer;
      links.add({ socket, endpoint, certificate, peer, notAfterMs, idleSinceMs: null });
      settle(null);
    });
  }

  #connectionOptions({ address, host, port }: Endpoint): ConnectionOptions {
    const { identity, trust, verifier, clock } = this.#options;
    return {
      host,
      port,
      minVersion: "TLSv1.3",
      servername: managerServerName(trust.clusterId),
      ca: trust.roots.map((root) => certificateToPem(root)),
      ...(identity !== null && { key: identity.privateKeyPem, cert: identity.certificatePem }),
      checkServerIdentity: (_name, certificate) => {
        const peer = verifyManager(
          address,
          new Uint8Array(certificate.raw),
          verifier,
          clock.nowMs(),
        );
        return peer instanceof Error ? peer : undefined;
      },
    };
  }
}

/** Who the certificate says the server is, or why it must not be asked. */
export function verifyManager(
  address: string,
  certificate: Bytes,
  verifier: PeerVerifier,
  nowMs: number,
): PeerIdentity | TlsDialError {
  try {
    const peer = verifier.verify(certificate, nowMs);
    return peer.role === "manager" ? peer : notManagerError(address, peer.role);
  } catch (error) {
    if (error instanceof PeerRejectedError) return rejectionError(address, error);
    throw error;
  }
}
