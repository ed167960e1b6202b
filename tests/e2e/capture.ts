import assert from "node:assert/strict";
import type { TestHost, TestProcess } from "../lab/hosts.ts";
import { waitFor } from "./wait.ts";

/** Where packets are looked at. */
export interface CapturePoint {
  readonly host: TestHost;
  /** Name of a network namespace on the host; the host's own by default. */
  readonly netns?: string;
  readonly device: string;
  /** `in`: not what is sent from here. */
  readonly direction?: "in";
  /** What is captured, in tcpdump's words; everything by default. */
  readonly filter?: string;
}

let captures = 0;

/**
 * Packets captured by tcpdump into a file, until {@linkcode Capture.stop}. "Nothing came" is worth
 * as much as the certainty that it would have been seen: so wait for a packet that must come after
 * what is looked for, with {@linkcode Capture.sees}, before looking.
 */
export class Capture {
  readonly #host: TestHost;
  readonly #file: string;
  readonly #process: TestProcess;
  readonly #said: Promise<string>;

  private constructor(host: TestHost, file: string, process: TestProcess, said: Promise<string>) {
    this.#host = host;
    this.#file = file;
    this.#process = process;
    this.#said = said;
  }

  /** Captures from the moment at which this resolves. */
  static async start({ host, netns, device, direction, filter }: CapturePoint): Promise<Capture> {
    const file = `/run/capture-${captures++}.pcap`;
    const where = netns === undefined ? [] : ["ip", "netns", "exec", netns];
    const process = host.spawn([
      ...where,
      ...["tcpdump", "-n", "-U", "--immediate-mode", "-B", "8192", "-Z", "root"],
      ...["-i", device, "-w", file, ...(direction === undefined ? [] : ["-Q", direction])],
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

  /** Waits until a packet has come that `pattern` matches. */
  async sees(pattern: RegExp): Promise<void> {
    await waitFor(`a packet with ${pattern}`, async () => {
      return (await this.packets()).some((line) => pattern.test(line));
    });
  }

  /** Ends it; it must not have lost a packet. All packets, or those of `filter`. */
  async stop(filter = ""): Promise<string[]> {
    await this.#process.kill("SIGINT");
    await this.#process.status;
    assert.match(await this.#said, /^0 packets dropped by kernel$/m);
    return await this.packets(filter);
  }
}
