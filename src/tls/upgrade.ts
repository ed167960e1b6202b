import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Bytes } from "../base/mod.ts";
import type { PeerIdentity } from "../ca/mod.ts";
import { headersOf } from "./dial_exchange.ts";
import type { Guest } from "./guest.ts";

/** Who hears of a {@linkcode ByteStream}. */
export interface ByteReceiver {
  /** Bytes have come. */
  onData(bytes: Bytes): void;
  /** It has ended, for whatever reason; nothing comes after this. */
  onClose(): void;
}

/**
 * A connection that has left HTTP behind (RFC 9110 section 7.8): bytes both ways, between two that
 * have proved who they are. It ends by itself when the other's certificate runs out.
 *
 * Reading has no back-pressure, and writing tells nothing about whether anybody reads: who writes
 * has to have a window that the reader opens.
 */
export class ByteStream {
  /** Who is at the other end. */
  readonly peer: PeerIdentity;
  /** Headers of the request that began it. */
  readonly headers: Headers;
  /** Where the other end is: for log lines. */
  readonly address: string;
  readonly #socket: TLSSocket;
  #receiver: ByteReceiver | null = null;
  /** What came before there was a receiver. */
  #early: Bytes[] = [];
  #isClosed = false;

  /** The socket is this stream's from now on; `head` is what has been read of it already. */
  constructor(
    socket: TLSSocket,
    head: Uint8Array,
    about: {
      readonly peer: PeerIdentity;
      readonly headers: Headers;
      readonly address: string;
    },
  ) {
    this.peer = about.peer;
    this.headers = about.headers;
    this.address = about.address;
    this.#socket = socket;
    socket.setNoDelay(true);
    if (head.length > 0) this.#early.push(new Uint8Array(head));
    socket.on("data", (part: Uint8Array) => {
      // The runtime may use its buffer again.
      const bytes = new Uint8Array(part);
      if (this.#receiver === null) this.#early.push(bytes);
      else if (!this.#isClosed) this.#receiver.onData(bytes);
    });
    socket.on("error", () => {});
    socket.once("end", () => socket.destroy());
    socket.once("close", () => this.#closed());
    if (socket.destroyed) this.#closed();
  }

  /** Gives what comes, and what has come already, to `receiver`. Once. */
  start(receiver: ByteReceiver): void {
    this.#receiver = receiver;
    for (const bytes of this.#early) if (!this.#isClosed) receiver.onData(bytes);
    this.#early = [];
    if (this.#isClosed) receiver.onClose();
  }

  /** Bytes that are written and not with the kernel yet. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Writes; after the end it does nothing. */
  write(bytes: Uint8Array): void {
    if (!this.#isClosed && !this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Ends it, without waiting for what is still to be written. */
  close(): void {
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#receiver?.onClose();
  }
}

/** A protocol that managers speak on the cluster's port instead of HTTP. */
export interface Upgrade {
  /** Its name in the `Upgrade` header, as `agent-raft/1`. */
  readonly protocol: string;
  /** Takes a stream that a manager has opened. Who may not have one ends it. */
  accept(stream: ByteStream): void;
}

/** Gives a manager its stream, or says why not; the connection has been answered either way. */
export function answerUpgrade(
  { socket, peer: { identity, address }, standing }: Guest,
  incoming: IncomingMessage,
  head: Uint8Array,
  { offered }: { readonly offered: Upgrade | undefined },
): string | null {
  // Otherwise a worker could write to the log whatever it likes.
  if (standing !== "member" || identity?.role !== "manager") {
    refuse(socket, 403);
    return "Refused an upgrade: only managers may have one";
  }
  if (offered === undefined || !asksFor(incoming, offered.protocol)) {
    refuse(socket, 426);
    return "Refused an upgrade: this manager does not speak that protocol, or is stopping";
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${offered.protocol}\r\n\r\n`,
  );
  const headers = headersOf(incoming.headers);
  offered.accept(new ByteStream(socket, head, { peer: identity, headers, address }));
  return null;
}

function refuse(socket: TLSSocket, status: 403 | 426): void {
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

/** Whether a request asks for this protocol (RFC 9110 section 7.8: names are compared without case). */
export function asksFor(incoming: IncomingMessage, protocol: string): boolean {
  return incoming.headers.upgrade?.toLowerCase() === protocol.toLowerCase();
}
