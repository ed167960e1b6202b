import { MARKER } from "./frames.ts";
import { TcpPair, UdpSocket } from "./sockets.ts";
import { pause, waitFor } from "./wait.ts";

/** Somebody in a network. */
export interface Talker {
  /** Its network namespace. */
  readonly netns: string;
  readonly ip: string;
}

/** Where the far one listens. */
const PORT = 5000;
/** Where nobody does. */
const CLOSED_PORT = 5001;
const TEXT = new TextEncoder().encode(MARKER.repeat(4));
/** As many as a receiver's buffer surely holds. */
const BURST = 50;

/**
 * Two workloads of which one talks to the other, each packet with the marker in it. What it offers is
 * counted, so that silence on the underlay is not taken for secrecy.
 */
export class Talk implements Disposable {
  /** How many packets the near one's kernel has taken to be sent. */
  offered = 0;
  readonly #near: Talker;
  readonly #far: Talker;
  readonly #mouth: UdpSocket;
  readonly #ear: UdpSocket;

  constructor(near: Talker, far: Talker) {
    this.#near = near;
    this.#far = far;
    this.#mouth = UdpSocket.open(near.netns);
    this.#ear = UdpSocket.open(far.netns, { ip: far.ip, port: PORT });
  }

  /** Says something so often; how often it was heard. */
  say(times: number): number {
    let heard = 0;
    for (let left = times; left > 0; left -= BURST) {
      const burst = Math.min(BURST, left);
      for (let i = 0; i < burst; i++) this.#send(PORT);
      let missing = burst;
      do missing -= this.#ear.receiveAll(); while (missing > 0 && this.#ear.hasSome());
      heard += burst - missing;
    }
    return heard;
  }

  /** How often anything was heard since the last look. */
  heard(): number {
    return this.#ear.receiveLate();
  }

  /** Says it where nobody listens, which is answered by errors. */
  provoke(times: number): void {
    for (let i = 0; i < times; i++) this.#send(CLOSED_PORT);
  }

  /** Waits until it is heard; how long that took. */
  async getsThrough(patienceMs?: number): Promise<number> {
    const beganMs = performance.now();
    await waitFor("packets to get through", () => this.say(1) > 0, patienceMs);
    return performance.now() - beganMs;
  }

  /** Goes on saying it, every few milliseconds, until the result is called. */
  goOn(everyMs = 4): () => void {
    const timer = setInterval(() => void this.say(1), everyMs);
    return () => clearInterval(timer);
  }

  /** Sends so many bytes over TCP, until they have arrived. */
  async stream(bytes: number): Promise<void> {
    using pair = TcpPair.connect(this.#near.netns, this.#far.netns, this.#far.ip, PORT);
    const text = new TextEncoder().encode(MARKER.repeat(1024));
    let arrived = 0;
    await waitFor(`${bytes} bytes to arrive over TCP`, async () => {
      // Acknowledgements may be waiting for a timer of the kernel; an arrival is reason to go on at once.
      for (let more = -1; more !== 0 && arrived < bytes; arrived += more) more = pair.push(text);
      if (arrived < bytes) await pause(1);
      return arrived >= bytes;
    });
  }

  #send(port: number): void {
    if (this.#mouth.send(TEXT, this.#far.ip, port)) this.offered++;
  }

  [Symbol.dispose](): void {
    this.#mouth.close();
    this.#ear.close();
  }
}
