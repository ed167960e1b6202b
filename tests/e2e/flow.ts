import assert from "node:assert/strict";
import { MARKER } from "./frames.ts";
import { UdpSocket } from "./sockets.ts";
import type { Talker } from "./talk.ts";
import { pause, waitFor } from "./wait.ts";

/** Where everybody listens. */
const PORT = 5002;
const EVERY_MS = 20;
/** A packet that was sent so long ago is on its way no more. */
const UNDER_WAY_MS = 1_000;

/** One who sends to another. */
interface Pair {
  readonly mouth: UdpSocket;
  readonly ear: UdpSocket;
  readonly ip: string;
  readonly port: number;
  readonly what: string;
  /** Of each packet that was sent, whether it has arrived. */
  readonly arrived: boolean[];
  /** The first that counts. */
  begin: number;
}

/**
 * Workloads that all send to each other, 50 numbered packets a second in each direction, until they are
 * stopped. From this process's own sockets: programs that ping would take more of the one CPU that there
 * is in the lab than all that is tested.
 */
export class Flow {
  readonly #pairs: readonly Pair[];
  readonly #timer: ReturnType<typeof setInterval>;
  #ended = false;

  private constructor(pairs: readonly Pair[]) {
    this.#pairs = pairs;
    this.#timer = setInterval(() => this.#turn(), EVERY_MS);
  }

  /** Resolves when all have heard all others; what was sent before that does not count. */
  static async start(talkers: readonly Talker[]): Promise<Flow> {
    const flow = new Flow(
      talkers.flatMap((near) =>
        talkers.filter((far) => far !== near).map((far) =>
          pairOf(near, far, PORT + talkers.indexOf(near))
        )
      ),
    );
    try {
      await flow.goesOn();
    } catch (error) {
      flow.end();
      throw error;
    }
    for (const pair of flow.#pairs) pair.begin = pair.arrived.length;
    return flow;
  }

  /** Waits until more has arrived, of everybody at everybody, than has now. */
  async goesOn(): Promise<void> {
    const before = this.#pairs.map(({ arrived }) => arrived.length);
    await waitFor("more packets to arrive", () => {
      const silent = this.#pairs.find(({ arrived }, index) =>
        arrived.lastIndexOf(true) < (before[index] ?? 0)
      );
      if (silent !== undefined) throw new Error(`${silent.what} is silent`);
      return true;
    });
  }

  /** Ends it; what was sent, and every packet that did not arrive. */
  async stop(): Promise<{ readonly sent: number; readonly lost: readonly string[] }> {
    try {
      await this.goesOn();
      clearInterval(this.#timer);
      const giveUpMs = performance.now() + UNDER_WAY_MS;
      for (;;) {
        this.#hear();
        const lost = this.#pairs.flatMap(({ what, arrived, begin }) =>
          arrived.slice(begin).flatMap((there, number) =>
            there ? [] : [`${what}: packet ${number}`]
          )
        );
        const sent = this.#pairs.reduce(
          (sum, { arrived, begin }) => sum + arrived.length - begin,
          0,
        );
        if (lost.length === 0 || performance.now() > giveUpMs) return { sent, lost };
        await pause(EVERY_MS);
      }
    } finally {
      this.end();
    }
  }

  /** As {@linkcode Flow.stop}, and nothing may be lost; how many packets that were. */
  async lostNothing(): Promise<number> {
    const { sent, lost } = await this.stop();
    assert.deepEqual(lost.slice(0, 20), [], `${lost.length} of ${sent} packets were lost`);
    return sent;
  }

  /** Ends it, whatever has become of it. Harmless when repeated. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#ended) return;
    this.#ended = true;
    for (const { mouth, ear } of this.#pairs) {
      mouth.close();
      ear.close();
    }
  }

  #turn(): void {
    for (const { mouth, ip, port, arrived } of this.#pairs) {
      const text = new Uint8Array(4 + MARKER.length);
      new DataView(text.buffer).setUint32(0, arrived.length);
      text.set(new TextEncoder().encode(MARKER), 4);
      // One that the sender's own kernel refuses is lost as well.
      mouth.send(text, ip, port);
      arrived.push(false);
    }
    this.#hear();
  }

  #hear(): void {
    for (const { ear, arrived } of this.#pairs) {
      for (const text of ear.receive()) {
        arrived[new DataView(text.buffer, text.byteOffset).getUint32(0)] = true;
      }
    }
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

function pairOf(near: Talker, far: Talker, port: number): Pair {
  const ear = UdpSocket.open(far.netns, { ip: far.ip, port });
  const what = `${near.ip} to ${far.ip}`;
  return { mouth: UdpSocket.open(near.netns), ear, ip: far.ip, port, what, arrived: [], begin: 0 };
}
