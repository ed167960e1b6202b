import assert from "node:assert/strict";
import type { TestHost, TestProcess } from "../lab/hosts.ts";
import { waitFor } from "./wait.ts";

/** A host, or the underlay between the hosts. */
type Place = Pick<TestHost, "spawn" | "output" | "path">;

/** Where packets are looked at. */
export interface CapturePoint {
  readonly host: Place;
  /** Name of a network namespace on the host; the host's own by default. */
  readonly netns?: string;
  readonly device: string;
  /** `in`: not what is sent from here. */
  readonly direction?: "in";
  /** What is captured, in tcpdump's words; everything by default. */
  readonly filter?: string;
  /** So much of each packet; by default all. The kernel's buffer has room for a few of the largest only. */
  readonly snapBytes?: number;
}

let captures = 0;

/**
 * Packets captured by tcpdump into a file, until {@linkcode Capture.stop}. "Nothing came" is worth
 * as much as the certainty that it would have been seen: so wait for a packet that must come after
 * what is looked for, with {@linkcode Capture.sees}, before looking.
 */
export class Capture {
  readonly #host: Place;
  readonly #file: string;
  readonly #process: TestProcess;
  readonly #said: Promise<string>;

  private constructor(host: Place, file: string, process: TestProcess, said: Promise<string>) {
    this.#host = host;
    this.#file = file;
    this.#process = process;
    this.#said = said;
  }

  /** Captures from the moment at which this resolves. */
  static async start(point: CapturePoint): Promise<Capture> {
    const { host, netns, device, direction, filter, snapBytes } = point;
    const file = `/run/capture-${captures++}.pcap`;
    const where = netns === undefined ? [] : ["ip", "netns", "exec", netns];
    const process = host.spawn([
      ...where,
      ...["tcpdump", "-n", "-U", "--immediate-mode", "-B", "8192", "-Z", "root"],
      ...["-i", device, "-w", file, ...(direction === undefined ? [] : ["-Q", direction])],
      ...(snapBytes === undefined ? [] : ["-s", `${snapBytes}`]),
      ...(filter === undefined ? [] : [filter]),
    ]);
    await process.stdout.cancel();
    let said = "";
    const listening = Promise.withResolvers<void>();
    const end = (async () => {
      for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
        said += text;
        if (/listening on/.test(said)) listening.resolve();
      }
      listening.reject(new Error(`tcpdump has ended: ${said}`));
      return said;
    })();
    await listening.promise;
    return new Capture(host, file, process, end);
  }

  /** Packets so far, each on a line as tcpdump prints it; those of `filter`, if there is one. */
  async packets(filter = ""): Promise<string[]> {
    const { stdout } = await this.#host.output([
      ...["tcpdump", "-n", "-e", "-t", "-r", this.#file],
      ...(filter === "" ? [] : [filter]),
    ]);
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** The file so far, in pcap's format; the last packet may be half written. */
  bytes(): Uint8Array<ArrayBuffer> {
    return Deno.readFileSync(this.#host.path(this.#file));
  }

  /** Whether these letters are anywhere in what was captured, in whatever packet. */
  async contains(letters: string): Promise<boolean> {
    const { status } = await this.#host.output(["grep", "-a", "-q", "-F", letters, this.#file]);
    return status === 0;
  }

  /** Waits until a packet has come that `pattern` matches. */
  async sees(pattern: RegExp): Promise<void> {
    await waitFor(`a packet with ${pattern}`, async () => {
      return (await this.packets()).some((line) => pattern.test(line));
    });
  }

  /** Ends it; it must not have lost a packet. */
  async end(): Promise<void> {
    await this.#process.kill("SIGINT");
    await this.#process.status;
    assert.match(await this.#said, /^0 packets dropped by kernel$/m);
  }

  /** As {@linkcode Capture.end}; all packets, or those of `filter`. */
  async stop(filter = ""): Promise<string[]> {
    await this.end();
    return await this.packets(filter);
  }
}
