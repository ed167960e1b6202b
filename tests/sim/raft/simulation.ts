/**
 * A cluster in one process, from one seed: real managers' cores and real state, on simulated
 * networks, disks and clocks that go wrong, with clients who write down what they saw.
 *
 * @module
 */
import { DEFAULT_SETTINGS } from "../../../src/state/mod.ts";
import { Checker, Violation } from "./checker.ts";
import { Client, idOf } from "./client.ts";
import { Disk } from "./disk.ts";
import { type Fault, Faults } from "./faults.ts";
import { isLinearizable } from "./history.ts";
import { drawLimits, isEqual, Manager, type World } from "./manager.ts";
import { Network } from "./network.ts";
import { Operator } from "./operator.ts";
import { Prng } from "./prng.ts";
import type { Program } from "./program.ts";
import { Timeline } from "./timeline.ts";

/** How long things go wrong. */
const TROUBLE_MS = 8000;
/** After that all is well, and this long may it take until everybody can work again. */
const RECOVERY_MS = 6000;
const CLIENTS = 4;
const REGISTERS = 3;
const TRACED = 60;

/** What came of one run. */
export interface Run {
  readonly seed: number;
  /** What went wrong that must not, or null. */
  readonly violation: string | null;
  /** The last lines of what happened, when they were asked for. */
  readonly trace: readonly string[];
  readonly events: number;
  readonly operations: number;
  readonly elections: number;
  readonly entries: number;
  readonly changes: number;
  readonly faults: ReadonlyMap<Fault, number>;
}

/** What may be said of a run beside its seed. */
export interface Options {
  /** Whether to keep the last lines of what happens; none by default. */
  readonly trace?: "none" | "last";
  /** Which faults there may be; drawn by default. */
  readonly faults?: readonly Fault[];
}

/** Runs one simulation. */
export function simulate(
  program: Program,
  seed: number,
  options: Options = {},
): Run {
  const simulation = new Simulation(program, seed, options);
  let violation: string | null = null;
  try {
    simulation.run();
  } catch (error) {
    // Whatever is thrown is a violation, an assertion of the core's too.
    violation = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (error instanceof Error && !(error instanceof Violation)) {
      simulation.trace.push(error.stack ?? "");
    }
  }
  return simulation.report(violation);
}

class Simulation {
  readonly trace: string[] = [];
  readonly #seed: number;
  readonly #timeline = new Timeline();
  readonly #checker = new Checker();
  readonly #managers: Manager[] = [];
  readonly #world: World;
  readonly #operator: Operator;
  readonly #faults: Faults;
  readonly #clients: readonly Client[];
  readonly #registers: readonly string[];

  constructor(program: Program, seed: number, { trace = "none", faults }: Options) {
    this.#seed = seed;
    const prng = new Prng(seed);
    const timeline = this.#timeline;
    const network = new Network(timeline, prng, (message) => {
      this.#managers.find(({ id }) => id === message.to)?.receive(message);
    });
    this.#world = {
      program,
      timeline,
      prng,
      checker: this.#checker,
      limits: drawLimits(prng),
      send: (message) => network.send(message),
      managers: () => this.#managers,
      trace: trace === "none" ? () => {} : (line) => {
        this.trace.push(`${timeline.nowMs} ms ${line()}`);
        if (this.trace.length > TRACED) this.trace.shift();
      },
      snapshots: new Map(),
    };
    const voters = ["m1", "m2", "m3", "m4", "m5"].slice(0, prng.pick([3, 3, 3, 4, 5]));
    for (const id of voters) {
      this.#managers.push(new Manager(id, new Disk({ voters, learners: [] }), this.#world));
    }
    this.#operator = new Operator(this.#world, this.#managers);
    this.#faults = new Faults(this.#world, network, this.#operator, faults);
    this.#registers = Array.from({ length: REGISTERS }, (_, at) => idOf(`register ${at}`));
    this.#clients = Array.from(
      { length: CLIENTS },
      (_, at) => new Client(`c${at}`, this.#registers, this.#world),
    );
  }

  run(): void {
    for (const manager of this.#managers) manager.start();
    this.#prepare();
    this.#faults.run();
    for (const client of this.#clients) client.run();
    const end = this.#timeline.nowMs + TROUBLE_MS;
    while (this.#timeline.step(end));
    this.#faults.stop();
    this.#recover();
    this.#checkHistories();
  }

  report(violation: string | null): Run {
    return {
      seed: this.#seed,
      violation,
      trace: this.trace,
      events: this.#timeline.count,
      operations: this.#clients.reduce((sum, client) => sum + client.answered, 0),
      elections: this.#checker.leaders.size,
      entries: this.#checker.appliedCount,
      changes: this.#operator.changes,
      faults: this.#faults.counts,
    };
  }

  /** Makes the cluster and the registers, before anything goes wrong. */
  #prepare(): void {
    const founder = new Client("founder", this.#registers, this.#world);
    const certificate = {
      serial: "01",
      spkiHash: "A".repeat(43),
      notAfterMs: 2_000_000_000_000,
      certificate: "AAAA",
    };
    const facts = {
      hostname: "host1",
      controlAddress: "192.0.2.1:7443",
      vtepAddress: "192.0.2.1",
      underlayMtuBytes: 1500,
      hostRoutes: [],
      encryption: "ok",
      agentVersion: "0.1.0",
      featureLevel: 1,
    };
    const node = { id: idOf("node"), role: "manager", labels: {}, facts, certificate };
    const commands: [string, unknown][] = [
      ["cluster.create", {
        clusterId: idOf("cluster"),
        incarnation: idOf("incarnation"),
        authority: { roots: ["AAAA"], rootKey: "AAAA" },
        settings: DEFAULT_SETTINGS,
        node,
      }],
      ...this.#registers.map((id, at): [string, unknown] => [
        "network.create",
        { id, name: `register-${at}`, labels: {}, allowedNodes: "any" },
      ]),
    ];
    let left = commands.length;
    const next = () => {
      const command = commands[commands.length - left];
      if (command !== undefined) founder.insist(...command, () => (left--, next()));
    };
    next();
    while (left > 0) {
      if (!this.#timeline.step(20_000)) throw new Violation("The cluster does not begin to work");
    }
  }

  /** All is well again: now everybody must get on, and agree. */
  #recover(): void {
    const before = new Map(this.#clients.map((client) => [client, client.answered]));
    const deadline = this.#timeline.nowMs + RECOVERY_MS;
    const gotOn = () =>
      this.#clients.every((client) => client.answered >= (before.get(client) ?? 0) + 3);
    while (!gotOn() || !this.#agree()) {
      // Looking at everything after every event would cost more than the events.
      let some = 200;
      while (some-- > 0 && this.#timeline.step(deadline));
      if (some >= 0) {
        const waiting = this.#clients.filter((client) =>
          client.answered < (before.get(client) ?? 0) + 3
        );
        throw new Violation(
          `No progress in ${RECOVERY_MS} ms after all faults were over: ` +
            (waiting.length > 0
              ? `${waiting.map(({ name }) => name).join(" ")} are not served`
              : "the managers do not agree"),
        );
      }
      if (gotOn()) { for (const client of this.#clients) client.active = false; }
    }
  }

  /** Whether all members have applied the same, and so are in the same state. */
  #agree(): boolean {
    const leader = this.#managers.find((manager) => manager.leads);
    const status = leader?.status;
    if (leader === undefined || status === null || status === undefined) return false;
    const members = this.#managers.filter((manager) =>
      status.membership.voters.includes(manager.id) && manager.damage === null &&
      !this.#operator.isGone(manager)
    );
    if (members.some((member) => member.status?.applied !== status.last.index)) return false;
    const state = leader.encodeState();
    if (members.every((member) => isEqual(member.encodeState(), state))) return true;
    throw new Violation("State Machine Safety: managers have applied the same, and differ");
  }

  #checkHistories(): void {
    for (const register of this.#registers) {
      const calls = this.#clients.flatMap((client) => client.callsOf(register));
      if (!isLinearizable(calls)) {
        throw new Violation(
          `Linearizability: no order explains what clients saw of register ` +
            `${this.#registers.indexOf(register)}`,
        );
      }
    }
  }
}
