import type { TLSSocket } from "node:tls";
import type { Cancel, Clock } from "../base/mod.ts";

/** An open connection, in either direction. */
export interface Connection {
  readonly socket: TLSSocket;
  /** When it has to end at the latest, as wall-clock time; `Infinity` without a certificate. */
  readonly notAfterMs: number;
}

/** Wall clocks jump, so what they decide is looked at again this often. */
const MAX_SWEEP_INTERVAL_MS = 5_000;

/**
 * The open connections, each until its socket closes, and the one timer that ends those whose
 * certificate has run out: a certificate lives as long as 90 days, and timers wrap after 25.
 */
export class ConnectionTable<T extends Connection> {
  readonly #connections = new Map<TLSSocket, T>();
  readonly #clock: Clock;
  readonly #onSweep: () => void;
  #sweepAtMs = Infinity;
  #cancelSweep: Cancel = () => {};

  /** @param onSweep called after each look, at least every five seconds while there are any */
  constructor(clock: Clock, onSweep: () => void = () => {}) {
    this.#clock = clock;
    this.#onSweep = onSweep;
  }

  /** A socket that is closed already is not taken in. */
  add(connection: T): void {
    const { socket } = connection;
    if (socket.destroyed) return;
    this.#connections.set(socket, connection);
    socket.once("close", () => {
      this.#connections.delete(socket);
      if (this.#connections.size === 0) this.#stop();
    });
    this.#plan(connection.notAfterMs);
  }

  get(socket: TLSSocket): T | undefined {
    return this.#connections.get(socket);
  }

  get size(): number {
    return this.#connections.size;
  }

  /** As they are now: closing one while walking through them is safe. */
  values(): T[] {
    return [...this.#connections.values()];
  }

  closeAll(): void {
    for (const { socket } of this.values()) socket.destroy();
  }

  #sweep(): void {
    this.#sweepAtMs = Infinity;
    const nowMs = this.#clock.nowMs();
    let earliestMs = Infinity;
    for (const { socket, notAfterMs } of this.values()) {
      if (notAfterMs <= nowMs) socket.destroy();
      else earliestMs = Math.min(earliestMs, notAfterMs);
    }
    this.#onSweep();
    if (this.#connections.size > 0) this.#plan(earliestMs);
  }

  #plan(notAfterMs: number): void {
    const nowMs = this.#clock.nowMs();
    const atMs = Math.min(notAfterMs, nowMs + MAX_SWEEP_INTERVAL_MS);
    if (atMs >= this.#sweepAtMs) return;
    this.#cancelSweep();
    this.#sweepAtMs = atMs;
    this.#cancelSweep = this.#clock.schedule(Math.max(0, atMs - nowMs), () => this.#sweep());
  }

  #stop(): void {
    this.#cancelSweep();
    this.#sweepAtMs = Infinity;
  }
}
