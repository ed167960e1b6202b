import assert from "node:assert/strict";
import type { TestProcess } from "../lab/hosts.ts";
import type { Workload } from "./cluster.ts";
import { MARKER } from "./frames.ts";
import { waitFor } from "./wait.ts";

/** For ping's `-p`. */
export const MARKER_HEX = new TextEncoder().encode(MARKER).toHex();

/** A ping that goes on, 100 times a second, until it is stopped. Every packet is full of the marker. */
export class Pinger {
  readonly #process: TestProcess;
  readonly #reading: Promise<void>;
  readonly #answered = new Set<number>();

  private constructor(process: TestProcess) {
    this.#process = process;
    this.#reading = this.#read();
  }

  /** Resolves when the first is answered. */
  static async start(from: Pick<Workload, "spawn">, ip: string): Promise<Pinger> {
    const pinger = new Pinger(from.spawn(`ping -i 0.01 -p ${MARKER_HEX} ${ip} 2>&1`));
    await pinger.goesOn();
    return pinger;
  }

  /** How many are answered so far. */
  get answered(): number {
    return this.#answered.size;
  }

  /** Waits until more are answered than are now. */
  async goesOn(): Promise<void> {
    const before = this.answered;
    await waitFor("another ping to be answered", () => this.answered > before);
  }

  /**
   * Ends it; every one that was sent before the last that was answered. The one that is under way
   * when the signal comes is not lost, only not waited for.
   */
  async stop(): Promise<{ readonly answered: number; readonly lost: readonly number[] }> {
    await this.goesOn();
    await this.#process.kill("SIGINT");
    await this.#reading;
    await this.#process.status;
    const last = Math.max(...this.#answered);
    assert(last < 65_000, "sequence numbers of ping count to 65535");
    const all = Array.from({ length: last }, (_, index) => index + 1);
    return {
      answered: this.answered,
      lost: all.filter((sequence) => !this.#answered.has(sequence)),
    };
  }

  async #read(): Promise<void> {
    let rest = "";
    await this.#process.stderr.cancel();
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const sequence = /bytes from .*icmp_seq=(\d+)/.exec(line)?.[1];
        if (sequence !== undefined) this.#answered.add(Number(sequence));
      }
    }
  }
}
