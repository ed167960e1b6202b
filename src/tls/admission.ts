import type { Socket } from "node:net";
import type { ListenerLimits } from "./limits.ts";

/** A TCP connection that is not a TLS connection yet. */
interface Handshake {
  readonly socket: Socket;
  /** Kept, because a socket that ends forgets it. */
  readonly ip: string;
}

/**
 * Counts those who have not shown yet that they are members, apart from those who have, so that no
 * number of strangers keeps a member out.
 */
export class Admission {
  readonly #limits: ListenerLimits;
  /** Handshakes under way, oldest first, by the address and port of the other end. */
  readonly #handshakes = new Map<string, Handshake>();
  /** Connections of strangers by IP address. */
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;

  constructor(limits: ListenerLimits) {
    this.#limits = limits;
  }

  /**
   * Notes a TCP connection. When there are too many handshakes the oldest ends, and not the new
   * one: those who only hold a place make way for a member, who needs it for milliseconds.
   */
  handshakeStarted(socket: Socket): void {
    const ip = ipOf(socket);
    const ofIp = [...this.#handshakes].filter(([, handshake]) => handshake.ip === ip);
    if (ofIp.length >= this.#limits.handshakesPerAddress) this.#evict(ofIp[0]);
    else if (this.#handshakes.size >= this.#limits.handshakes) {
      this.#evict(this.#handshakes.entries().next().value);
    }
    const key = endpointOf(socket);
    this.#handshakes.set(key, { socket, ip });
    socket.once("close", () => {
      if (this.#handshakes.get(key)?.socket === socket) this.#handshakes.delete(key);
    });
  }

  /** Notes that a handshake is over, however it ended. */
  handshakeDone(socket: Socket): void {
    this.#handshakes.delete(endpointOf(socket));
  }

  /** Ends every handshake under way. */
  closeHandshakes(): void {
    for (const entry of [...this.#handshakes]) this.#evict(entry);
  }

  #evict(entry: readonly [string, Handshake] | undefined): void {
    if (entry === undefined) return;
    const [key, { socket }] = entry;
    this.#handshakes.delete(key);
    socket.destroy();
  }

  /** Takes one of the strangers' places until the socket closes, if there is one. */
  takeStranger(socket: Socket): boolean {
    const ip = ipOf(socket);
    const ofIp = this.#strangers.get(ip) ?? 0;
    if (this.#strangerCount >= this.#limits.strangers) return false;
    if (ofIp >= this.#limits.strangersPerAddress) return false;
    this.#strangerCount++;
    this.#strangers.set(ip, ofIp + 1);
    socket.once("close", () => {
      this.#strangerCount--;
      const left = (this.#strangers.get(ip) ?? 0) - 1;
      if (left > 0) this.#strangers.set(ip, left);
      else this.#strangers.delete(ip);
    });
    return true;
  }
}

/** The other end's IP address; that of an IPv4 client is the same on an IPv6 socket. */
function ipOf(socket: Socket): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}

/** The other end, `192.0.2.1:40000` or `[2001:db8::1]:40000`. */
export function endpointOf(socket: Socket): string {
  const ip = ipOf(socket);
  return `${ip.includes(":") ? `[${ip}]` : ip}:${socket.remotePort ?? 0}`;
}
