import assert from "node:assert/strict";
import type { Lab } from "./overlay_lab.ts";

/** All that is on the wire between a lab's hosts and is neither ESP nor ARP, from a point beyond any host. */
export class Wire {
  readonly #lab: Lab;
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #errors: Promise<string>;

  private constructor(lab: Lab, process: Deno.ChildProcess, errors: Promise<string>) {
    this.#lab = lab;
    this.#process = process;
    this.#reader = process.stdout.getReader();
    this.#errors = errors;
  }

  /** Begins to listen. */
  static async tap(lab: Lab): Promise<Wire> {
    const process = new Deno.Command("ip", {
      args: [
        ..."netns exec".split(" "),
        `${lab.prefix}-underlay`,
        ..."tcpdump --immediate-mode -l -n -i any ip and not ip proto 50".split(" "),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = process.stderr.getReader();
    const decoder = new TextDecoder();
    for (let text = ""; !text.includes("listening on");) {
      const { value } = await errors.read();
      assert.ok(value, `tcpdump ended too soon: ${text}`);
      text += decoder.decode(value);
    }
    return new Wire(lab, process, drain(errors));
  }

  /** Ends it, when all that was sent before has been heard: one line for each packet. */
  async close(): Promise<readonly string[]> {
    await this.#lab.in(this.#lab.host(1), "ping -q -c 1 -W 1 -s 999 192.0.2.2");
    const decoder = new TextDecoder();
    let text = "";
    while (!/ICMP echo reply.* length 1007\n/.test(text)) {
      const { value } = await this.#reader.read();
      assert.ok(value, `tcpdump ended too soon: ${text} ${value ?? await this.#errors}`);
      text += decoder.decode(value);
    }
    this.#process.kill("SIGKILL");
    await Promise.all([this.#reader.cancel(), this.#process.status, this.#errors]);
    const lines = text.split("\n");
    return lines.filter((line) => /\bIP\b/.test(line) && !/ICMP echo re.* length 1007$/.test(line));
  }
}

/** Read to its end, or the process would die of a message that nobody takes. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  for (let text = "";;) {
    const { value } = await reader.read();
    if (value === undefined) return text;
    text += decoder.decode(value);
  }
}

/** A workload that sends without a pause, as fast as a few hundred packets a second. */
export class Sender {
  readonly #process: Deno.ChildProcess;
  readonly #output: Promise<string>;

  constructor(lab: Lab, workload: string, address: string, intervalSeconds = 0.003) {
    this.#process = new Deno.Command("ip", {
      args: [
        ...`netns exec ${lab.workload(workload)} ping -q -n -i ${intervalSeconds}`.split(" "),
        address,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#output = new Response(this.#process.stdout).text();
  }

  /** How many packets were sent, and how many had no answer; the last ones may still be under way. */
  async stop(): Promise<{ readonly sent: number; readonly lost: number }> {
    try {
      this.#process.kill("SIGINT");
    } catch {
      // It could not even begin.
    }
    const text = await this.#output;
    await this.#process.status;
    const [, sent = "0", received = "0"] = /(\d+) packets transmitted, (\d+) received/.exec(text) ??
      [];
    return { sent: Number(sent), lost: Number(sent) - Number(received) };
  }
}
