import type { Clock, Id } from "../base/mod.ts";
import type { Desired, DesiredEndpoint, DesiredNetwork } from "./desired.ts";
import { Endpoints } from "./endpoints.ts";
import type { Host } from "./host.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { encryptedGate, holdBack } from "./encrypted_gate.ts";
import { HostIpsec, type Note } from "./ipsec/host_ipsec.ts";
import { formatIpsecOperation } from "./ipsec/operation.ts";
import type { KeyRing } from "./key_ring.ts";
import { linkNamed } from "./model.ts";
import { BRIDGE, sandboxName } from "./names.ts";
import { formatOperation, type Operation } from "./operation.ts";
import { deviceOf, planSandbox, type SandboxPlan } from "./plan.ts";
import { previewSandbox } from "./preview.ts";
import type { Problem, ReconcileResult } from "./result.ts";
import { SandboxApplier } from "./sandbox_applier.ts";
import { Sandboxes } from "./sandboxes.ts";
import { Slicer } from "./slicer.ts";
import { bySandbox, type Wanted } from "./wanted.ts";

/** What a round did. */
export interface RoundReport {
  /** Everything was read anew. */
  readonly full: boolean;
  /** How many operations there were. */
  readonly operations: number;
  /** One line for each of those that put back what had been right. */
  readonly repairs: readonly string[];
}

/** The kernel of one host, as far as overlay networks go: looks, plans and applies. */
export class HostKernel {
  readonly slicer: Slicer;
  readonly #host: Host;
  readonly #sandboxes: Sandboxes;
  readonly #endpoints: Endpoints;
  readonly #applier: SandboxApplier;
  readonly #ipsec: HostIpsec;
  /** By sandbox, or by endpoint. */
  readonly #problems = new Map<string, Problem>();
  /** Sandboxes that were as desired when last looked at. */
  readonly #settled = new Set<string>();
  /** Names of sandboxes that may not be right; "all" for every one that there is or should be. */
  #pending: Set<string> | "all" = new Set();
  #full = true;

  /** @param onWork called when the kernel tells of a change that makes a round necessary */
  constructor(host: Host, clock: Clock, keys: KeyRing, onWork: () => void) {
    this.#host = host;
    this.slicer = new Slicer(clock);
    this.#sandboxes = new Sandboxes(host, this.slicer, {
      onChange: (name) => {
        this.#expect(name);
        onWork();
      },
      onPeerChange: (name, port) => {
        this.#endpoints.distrust(port);
        this.#expect(name);
        onWork();
      },
    });
    this.#endpoints = new Endpoints(host, this.#sandboxes.hostNamespace);
    this.#applier = new SandboxApplier(host, this.#sandboxes, this.slicer);
    this.#ipsec = new HostIpsec({
      host,
      namespace: this.#sandboxes.hostNamespace,
      connection: this.#sandboxes.hostConnection,
      portId: this.#sandboxes.hostPortId,
      slicer: this.slicer,
      clock,
      keys,
      onNews: onWork,
    });
  }

  /** Whether a round is necessary. */
  get hasWork(): boolean {
    return this.#pending === "all" || this.#pending.size > 0 || this.#ipsec.hasWork;
  }

  /** Has the next round go over everything. */
  expectAll(): void {
    this.#pending = "all";
  }

  /** Has the next round read everything anew. */
  distrustAll(): void {
    this.#full = true;
    this.#sandboxes.distrustAll();
    this.#endpoints.distrust(null);
    this.#ipsec.distrust();
    this.expectAll();
  }

  /**
   * Looks at what no notification tells of: names of sandboxes, paths that may appear, settings, and
   * whether there is another key.
   */
  expectWhatNobodyTells(desired: Desired): void {
    if (this.#ipsec.tick()) this.expectAll();
    for (const name of this.#sandboxes.renamed()) this.#expect(name);
    for (const [name, endpoints] of bySandbox(desired).endpoints) {
      for (const { id, target } of endpoints) {
        const kind = this.#endpoints.kindOf(id);
        if (target.kind !== "path" || (kind !== "waiting" && kind !== "gone")) continue;
        const namespace = this.#host.openTarget(target);
        namespace?.close();
        if (namespace !== null) this.#expect(name);
      }
    }
  }

  /**
   * Looks, plans and applies.
   *
   * @param isNewest false ends it at the next step
   * @returns null when it was ended; everything is expected again then
   */
  async round(desired: Desired, isNewest: () => boolean): Promise<RoundReport | null> {
    this.slicer.begin();
    const wanted = bySandbox(desired);
    const all = this.#pending === "all";
    const full = this.#full && all;
    const names = new Set(this.#pending === "all" ? this.#namesOfAll(wanted) : this.#pending);
    this.#pending = new Set();
    if (full) this.#full = false;
    if (all) this.#problems.clear();
    const report: Report = { full, operations: 0, repairs: [] };
    const due = await this.#ipsec.begin(desired);
    for (const { id, name } of desired.networks) {
      if (!due.has(id)) continue;
      names.add(sandboxName(name));
      // What somebody did to it is put right at once: it may stand open.
      this.#problems.delete(sandboxName(name));
    }
    for (const name of names) {
      if (this.#isBackingOff(name)) continue;
      if (!isNewest()) return this.#giveUp(full);
      await this.#sandboxRound(name, wanted, report);
      await this.slicer.pause();
    }
    await this.#sweep(report);
    // In the order in which they were asked for, whatever networks they are on: it decides which is
    // `eth0`.
    const places = new Map(desired.networks.map(({ id, name }) => [id, sandboxName(name)]));
    for (const endpoint of desired.endpoints) {
      const name = places.get(endpoint.networkId);
      if (name === undefined || !names.has(name) || this.#isBackingOff(endpoint.id)) continue;
      if (!isNewest()) return this.#giveUp(full);
      await this.#endpointRound(name, endpoint, wanted, report);
      await this.slicer.pause();
    }
    if (all) this.#endpoints.keepOnly(desired.endpoints);
    return report;
  }

  /**
   * What failed is tried again in a round over everything only. An attempt makes the kernel tell of
   * changes, and with a round for each of those there would be no end.
   */
  #isBackingOff(key: string): boolean {
    return this.#problems.has(key);
  }

  #giveUp(full: boolean): null {
    this.expectAll();
    this.#full ||= full;
    return null;
  }

  /** What is known after a round. */
  status(desired: Desired): Omit<ReconcileResult, "desired"> {
    const ofKind = (wanted: string) =>
      desired.endpoints.map(({ id }) => id).filter((id) => this.#endpoints.kindOf(id) === wanted);
    return {
      problems: [...this.#problems.values()],
      attached: ofKind("attached"),
      waiting: ofKind("waiting"),
      gone: ofKind("gone"),
      encryption: this.#ipsec.status(),
      guardLack: this.#ipsec.guardLack,
    };
  }

  /** What a round over everything would do, one line for each operation, from a fresh look. */
  async preview(desired: Desired): Promise<readonly string[]> {
    this.slicer.begin();
    this.distrustAll();
    const wanted = bySandbox(desired);
    const lines: string[] = [];
    await this.#ipsec.begin(desired);
    for (const name of this.#namesOfAll(wanted)) {
      const live = await this.#sandboxes.look(name);
      const network = wanted.networks.get(name) ?? null;
      if (network !== null && network.encryption !== null) {
        const refusal = this.#ipsec.refusal(network);
        lines.push(...refusal === null ? [] : [`${name}: refused: ${refusal}`]);
        lines.push(...this.#ipsec.preview(network).map((line) => `${name}: ${line}`));
      }
      lines.push(...previewSandbox(name, wanted, live, this.#endpoints));
      this.#releaseForeign(live);
    }
    lines.push(...this.#ipsec.previewSweep(this.#sandboxes.encryptedPorts));
    this.#full = false;
    return lines;
  }

  /** Removes every sandbox of ours, also those that an agent before this one has left. */
  async removeAll(): Promise<readonly Problem[]> {
    this.slicer.begin();
    this.#problems.clear();
    const nothing: Wanted = { networks: new Map(), endpoints: new Map() };
    const report: Report = { full: true, operations: 0, repairs: [] };
    this.#ipsec.distrust();
    await this.#ipsec.begin(NOTHING_DESIRED);
    for (const name of this.#sandboxes.list()) await this.#sandboxRound(name, nothing, report);
    await this.#sweep(report);
    const { drainedInMs } = this.#ipsec;
    if (drainedInMs !== null) {
      await this.slicer.sleep(drainedInMs);
      await this.#sweep(report);
    }
    return [...this.#problems.values()];
  }

  /** Closes everything; the kernel goes on forwarding. */
  close(): void {
    this.#ipsec.close();
    this.#sandboxes.close();
  }

  #expect(name: string): void {
    if (this.#pending !== "all") this.#pending.add(name);
  }

  /** What goes comes first: it may hold a VNI, or the name of an interface, that another wants. */
  #namesOfAll({ networks }: Wanted): readonly string[] {
    const there = this.#sandboxes.list().filter((name) => !networks.has(name));
    return [...there, ...networks.keys()];
  }

  async #sandboxRound(name: string, wanted: Wanted, report: Report): Promise<void> {
    const network = wanted.networks.get(name) ?? null;
    let failures = await this.#trySandbox(name, wanted, report);
    if (failures.length > 0 && this.#settled.has(name)) {
      // What somebody changed just now may not have been heard of yet: look again.
      this.#sandboxes.get(name)?.distrust();
      failures = await this.#trySandbox(name, wanted, report);
    }
    if (network !== null && failures.length === 0) this.#settled.add(name);
    else this.#settled.delete(name);
    this.#setProblem(name, network?.id ?? null, null, failures, describeNetwork(name, network));
  }

  /** @returns why it is not as it should be */
  async #trySandbox(name: string, wanted: Wanted, report: Report): Promise<readonly string[]> {
    const network = wanted.networks.get(name) ?? null;
    const endpoints = wanted.endpoints.get(name) ?? [];
    let live: LiveSandbox | null = null;
    try {
      live = await this.#sandboxes.look(name);
      const note = this.#noteOf(name, report);
      if (network !== null && network.encryption !== null) {
        const refusal = await holdBack(this.#ipsec, this.#applier, network, live, note);
        if (refusal !== null) return [refusal];
      }
      const plan = planSandbox(network, endpoints, live?.sandbox ?? null, live?.settled ?? null);
      const changes = live?.changes ?? 0;
      this.#note(name, plan, report);
      const gate = encryptedGate(this.#ipsec, this.#applier, network, live, note);
      const failures = await this.#applier.apply(name, network, live, plan, gate);
      if (failures.length === 0 && network !== null) {
        const { remotes } = network;
        live?.settle({ remotes, endpoints: new Set(endpoints.map(({ id }) => id)) }, changes);
      }
      return failures;
    } catch (error) {
      live?.distrust();
      return [messageOf(error)];
    } finally {
      this.#releaseForeign(live);
    }
  }

  async #endpointRound(
    name: string,
    endpoint: DesiredEndpoint,
    wanted: Wanted,
    report: Report,
  ): Promise<void> {
    const network = wanted.networks.get(name);
    const live = this.#sandboxes.get(name);
    const bridge = live === null ? null : linkNamed(live.sandbox.links, BRIDGE);
    if (network === undefined || live === null || bridge === null || this.#problems.has(name)) {
      // The problem of its network is told already.
      return this.#endpoints.noteUnusable(endpoint, live);
    }
    const { id, networkId, ip } = endpoint;
    const what = `endpoint ${ip} of network ${network.name}`;
    try {
      const context = this.#applier.context(network);
      const done = await this.#endpoints.round(context, live, deviceOf(bridge), endpoint);
      report.operations += done.operations.length;
      if (done.wasAttached) report.repairs.push(...formatted(name, done.operations));
      if (done.wasAttached && done.failures.length > 0) {
        // As above; and its sandbox may have to be put right first.
        live.distrust();
        this.#expect(name);
        return;
      }
      this.#setProblem(id, networkId, id, done.failures, what);
    } catch (error) {
      this.#setProblem(id, networkId, id, [messageOf(error)], what);
    }
  }

  /** What nobody wants of the host's IPsec state goes when the sandboxes are as they should be. */
  async #sweep(report: Report): Promise<void> {
    const ports = this.#sandboxes.encryptedPorts;
    const note = this.#noteOf("host", report);
    let failures: readonly string[];
    try {
      failures = await this.#ipsec.sweep(ports, note);
    } catch (error) {
      failures = [messageOf(error)];
    }
    this.#setProblem("", null, null, failures, "what is left of encrypted networks");
  }

  #noteOf(name: string, report: Report): Note {
    return (operations, why) => {
      report.operations += operations.length;
      if (why !== "repair") return;
      for (const operation of operations) {
        report.repairs.push(`${name}: ${formatIpsecOperation(operation)}`);
      }
    };
  }

  #note(name: string, plan: SandboxPlan, report: Report): void {
    for (const operations of [plan.removals, plan.devices, plan.entries]) {
      report.operations += operations.length;
      if (this.#settled.has(name)) report.repairs.push(...formatted(name, operations));
    }
  }

  #setProblem(
    key: string,
    networkId: Id | null,
    endpointId: Id | null,
    failures: readonly string[],
    what: string,
  ): void {
    const [first] = failures;
    if (first === undefined) {
      this.#problems.delete(key);
      return;
    }
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more of the kind)` : "";
    const message = `Cannot set up ${what}: ${first}${more}`;
    this.#problems.set(key, { networkId, endpointId, message });
  }

  #releaseForeign(live: LiveSandbox | null): void {
    if (live === null || this.#sandboxes.get(live.name) !== live) return;
    if (this.#sandboxes.owner(live) === null) this.#sandboxes.release(live);
  }
}

const NOTHING_DESIRED: Desired = {
  host: {
    clusterId: "",
    incarnation: "",
    nodeId: "",
    index: 0,
    vtepAddress: "0.0.0.0",
    bootPublicKey: null,
  },
  networks: [],
  endpoints: [],
  retained: [],
};

/** A {@linkcode RoundReport} that is being written. What is of no use to anybody is not put into words. */
interface Report {
  readonly full: boolean;
  operations: number;
  readonly repairs: string[];
}

function formatted(name: string, operations: readonly Operation[]): readonly string[] {
  return operations.map((operation) => `${name}: ${formatOperation(operation)}`);
}

function describeNetwork(name: string, network: DesiredNetwork | null): string {
  return network === null ? `the end of namespace ${name}` : `network ${network.name}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
