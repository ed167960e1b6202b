import assert from "node:assert/strict";
import type { NetworkView } from "../../src/api/mod.ts";
import { type Call, isLinearizable, type Operation } from "../sim/raft/history.ts";
import type { ClusterHost } from "./cluster.ts";
import { pause, waitFor } from "./wait.ts";

const REGISTER = "register";
/** Between two operations of a client: they are not to be more than the search for an order can bear. */
const PAUSE_MS = 40;

/**
 * One client on each host that reads and changes one register, a label of a network, through that host's
 * own socket, whatever becomes of the managers meanwhile: and remembers what it was told, and when.
 */
export class Historian {
  readonly #calls: Call[] = [];
  readonly #clients: readonly Promise<void>[];
  #now = 0;
  #goesOn = true;

  private constructor(hosts: readonly ClusterHost[], made: NetworkView) {
    this.#read(made, ++this.#now, hosts[0]?.name ?? "");
    this.#clients = hosts.map((host) => this.#run(host));
  }

  /** Makes the register, and begins. */
  static async start(hosts: readonly ClusterHost[]): Promise<Historian> {
    const [first] = hosts;
    assert(first !== undefined);
    return new Historian(hosts, await first.createNetwork(REGISTER, { labels: { value: "" } }));
  }

  /** How many operations were answered so far. */
  get answered(): number {
    return this.#calls.filter(({ ended }) => ended !== Infinity).length;
  }

  /** Waits until so many more are answered than now. */
  async goesOn(more = 20): Promise<void> {
    const before = this.answered;
    await waitFor(`${more} more operations`, () => this.answered >= before + more);
  }

  /** Ends, and asserts that there is an order of all operations that explains all answers. */
  async stop(): Promise<void> {
    this.#goesOn = false;
    await Promise.all(this.#clients);
    assert(isLinearizable(this.#calls), this.#calls.map((call) => JSON.stringify(call)).join("\n"));
  }

  async #run(host: ClusterHost): Promise<void> {
    let revision: number | null = null;
    for (let number = 0; this.#goesOn; number++) {
      const began = ++this.#now;
      const draw = Math.random();
      if (draw < 0.5) revision = await this.#look(host, began) ?? revision;
      else {
        const expected: number | null = draw < 0.75 ? revision : null;
        revision = await this.#change(host, `${host.name}-${number}`, expected, began) ?? revision;
      }
      await pause(PAUSE_MS);
    }
  }

  async #look(host: ClusterHost, began: number): Promise<number | null> {
    const answer = await host.socket.request("GET", `/v1/networks/${REGISTER}`).catch(() => null);
    // Without an answer it has seen nothing, and changed nothing.
    if (answer?.status !== 200) return null;
    return this.#read(answer.body as NetworkView, began, host.name);
  }

  #read({ labels, revision }: NetworkView, began: number, client: string): number {
    const seen = { value: labels.value ?? "", revision };
    this.#remember({ kind: "read", seen }, began, client);
    return revision;
  }

  /** As long as the register has the expected revision; null: whatever it has. */
  async #change(
    host: ClusterHost,
    value: string,
    expected: number | null,
    began: number,
  ): Promise<number | null> {
    const headers = expected === null ? {} : { "if-match": `"${expected}"` };
    const patch = { labels: { value } };
    const answer = await host.socket.request("PATCH", `/v1/networks/${REGISTER}`, patch, headers)
      .catch(() => null);
    const operation = (result: number | "mismatch" | null): Operation =>
      expected === null
        ? { kind: "write", value, revision: typeof result === "number" ? result : null }
        : { kind: "swap", expected, value, result };
    if (answer?.status === 200) {
      const { revision } = answer.body as NetworkView;
      this.#remember(operation(revision), began, host.name);
      return revision;
    }
    if (answer?.status === 412) {
      // One that expects nothing is put off where another came in between: it was not done.
      if (expected !== null) this.#remember(operation("mismatch"), began, host.name);
      return null;
    }
    // It may have been done, or be done later.
    this.#calls.push({ client: host.name, operation: operation(null), began, ended: Infinity });
    return null;
  }

  #remember(operation: Operation, began: number, client: string): void {
    this.#calls.push({ client, operation, began, ended: ++this.#now });
  }
}
