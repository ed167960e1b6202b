// A host that has joined, with its agent. Only its data plane is simulated.
import type { Clock } from "../base/mod.ts";
import { realClock } from "../cluster/testing_clock.ts";
import { keepingLogger, type LogLine } from "../cluster/testing_plane.ts";
import { MachineWorkloads, RunDirectory, StateFiles } from "../machine/mod.ts";
import type { CheckOrder, CheckReport, NodeFacts } from "../state/mod.ts";
import { systemRandom, Watcher } from "../sys/mod.ts";
import type { TlsIdentity, Trust } from "../tls/mod.ts";
import {
  type AttachRequest,
  BootKeys,
  HostAgent,
  IdentityStore,
  type NodeRecord,
  type Overlay,
  type OverlayStatus,
  type OwnLeader,
} from "./mod.ts";
import { SimulatedOverlay } from "./testing_overlay.ts";

export interface HostOptions {
  /** What it says of itself. */
  readonly facts?: Partial<NodeFacts>;
  readonly clock?: Clock;
  /** Of the joining alone. */
  readonly joinClock?: Clock;
  readonly ownLeader?: OwnLeader | null;
  readonly onIdentity?: (identity: TlsIdentity, trust: Trust) => void;
  /** Of all hosts of a crowd: each watcher takes a thread, and the runtime's pool has 32 of them. */
  readonly watcher?: Watcher;
  /** A data plane that is not simulated; it ends with the host. */
  readonly dataPlane?: (
    keys: BootKeys,
    onStatus: (status: OverlayStatus) => void,
  ) => Overlay & { close(): Promise<void> };
}

/** A host with its agent. */
export class TestHost {
  readonly directory: string;
  /** Its kernel's; another one after a reboot. */
  bootId = "boot-1";
  readonly record: NodeRecord;
  facts: NodeFacts;
  bootKeys: BootKeys;
  readonly lines: LogLine[] = [];
  readonly identity: IdentityStore;
  removed = 0;
  /** Orders that came. */
  readonly orders: CheckOrder[] = [];
  overlay: SimulatedOverlay;
  agent: HostAgent;
  workloads: MachineWorkloads;
  readonly options: HostOptions;
  #watcher: Watcher;
  #closeDataPlane: () => Promise<void> = () => Promise.resolve();
  #isRunning = true;

  constructor(directory: string, record: NodeRecord, facts: NodeFacts, options: HostOptions) {
    this.directory = directory;
    this.record = record;
    this.facts = facts;
    this.options = options;
    this.identity = new IdentityStore(new StateFiles(directory));
    this.#watcher = options.watcher ?? new Watcher();
    this.bootKeys = this.#openBootKeys();
    [this.workloads, this.overlay, this.agent] = this.#start();
  }

  /** Finds that all is well, with nobody. */
  checked(order: CheckOrder): CheckReport {
    this.orders.push(order);
    const { networkId, checkId } = order;
    return { v: 1, networkId, checkId, problem: null, neededMtuBytes: 0, refused: [], peers: [] };
  }

  /** As `kill -9`: nothing that the agent would do at its end happens, but for what is closed. */
  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.agent.close();
    await this.#closeDataPlane();
    if (this.options.watcher === undefined) await this.#watcher.close();
  }

  /** Another agent with what the last one has left. */
  start(): void {
    this.#watcher = this.options.watcher ?? new Watcher();
    this.bootKeys = this.#openBootKeys();
    [this.workloads, this.overlay, this.agent] = this.#start();
    this.#isRunning = true;
  }

  /** Its kernel begins anew: what was in memory is gone. */
  async reboot(): Promise<void> {
    await this.stop();
    this.bootId = `boot-${systemRandom.below(2 ** 32)}`;
    Deno.removeSync(this.runDirectory, { recursive: true });
    this.start();
  }

  /** The same machine once more, as it is now: its disk and its memory. */
  copy(): TestHost {
    const directory = Deno.makeTempDirSync({ prefix: "agent-node-" });
    const { success } = new Deno.Command("cp", { args: ["-a", `${this.directory}/.`, directory] })
      .outputSync();
    if (!success) throw new Error("the machine could not be copied");
    return new TestHost(directory, this.record, this.facts, this.options);
  }

  async end(): Promise<void> {
    await this.stop();
    Deno.removeSync(this.directory, { recursive: true });
  }

  attach(
    request: AttachRequest,
    order: { readonly requestId?: string; readonly signal?: AbortSignal } = {},
  ): ReturnType<HostAgent["attach"]> {
    const { requestId = this.agent.newId(), signal = new AbortController().signal } = order;
    return this.agent.attach({ request, requestId, bodyHash: JSON.stringify(request), signal });
  }

  /** What does not survive a reboot. */
  get runDirectory(): string {
    return `${this.directory}/run`;
  }

  #openBootKeys(): BootKeys {
    return new BootKeys({
      files: new RunDirectory(this.runDirectory),
      bootId: this.bootId,
      firstReportNumber: Date.now(),
      random: systemRandom,
      logger: keepingLogger(this.lines),
    });
  }

  #start(): [MachineWorkloads, SimulatedOverlay, HostAgent] {
    const { clock = realClock, ownLeader = null, onIdentity = () => {}, dataPlane } = this.options;
    const workloads = new MachineWorkloads(this.#watcher);
    const overlay = new SimulatedOverlay(this.bootKeys, (target) => {
      const namespace = workloads.open(target);
      namespace?.close();
      return namespace !== null;
    });
    const plane = dataPlane?.(this.bootKeys, (status) => agent.overlayChanged(status)) ?? null;
    if (plane !== null) this.#closeDataPlane = () => plane.close();
    const agent = new HostAgent({
      files: new StateFiles(this.directory),
      attachmentsPath: `${this.directory}/attachments.db`,
      workloads,
      overlay: plane ?? overlay,
      bootKeys: this.bootKeys,
      ownLeader,
      clock,
      random: systemRandom,
      logger: keepingLogger(this.lines),
      facts: () => this.facts,
      ipsec: () => null,
      check: (order) => Promise.resolve(this.checked(order)),
      onIdentity,
      onAccepted: () => {},
      onRemoved: () => void this.removed++,
    });
    overlay.onStatus = (status) => agent.overlayChanged(status);
    return [workloads, overlay, agent];
  }
}
