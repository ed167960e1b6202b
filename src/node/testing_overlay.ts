import type { Id } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";
import type { LocalEndpoint, Overlay, OverlayStatus, WorkloadTarget } from "./mod.ts";

/** The data plane as a kernel would have it, in memory: a workload's end takes its interfaces along. */
export class SimulatedOverlay implements Overlay {
  /** What is in the workloads. */
  readonly interfaces = new Map<Id, LocalEndpoint>();
  /** Digests in the order in which they were desired. */
  readonly desired: string[] = [];
  /** What the kernel refuses, and why; by endpoint. */
  readonly refusals = new Map<Id, string>();
  /** Hears of each new status. */
  onStatus: (status: OverlayStatus) => void = () => {};
  /** While it is set, nothing is done. */
  gate: Promise<void> | null = null;
  /** Refuses all, whatever it is. */
  refusesAll: string | null = null;
  readonly #isThere: (target: WorkloadTarget) => boolean;
  readonly #seen = new Set<Id>();
  #projection: Projection | null = null;
  #local: readonly LocalEndpoint[] = [];
  #status: OverlayStatus = {
    applied: null,
    attached: new Set(),
    gone: new Set(),
    problems: new Map(),
  };

  constructor(isThere: (target: WorkloadTarget) => boolean) {
    this.#isThere = isThere;
  }

  get status(): OverlayStatus {
    return this.#status;
  }

  setDesired(projection: Projection, local: readonly LocalEndpoint[]): void {
    this.#projection = projection;
    this.#local = local;
    this.desired.push(projection.digest);
    void this.settled();
  }

  async settled(): Promise<OverlayStatus> {
    await Promise.resolve();
    while (this.gate !== null) await this.gate;
    this.#reconcile();
    return this.#status;
  }

  plan(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  #reconcile(): void {
    const gone = new Set<Id>();
    const problems = new Map<Id, string>();
    const wanted = new Map(this.#local.map((one) => [one.endpointId, one]));
    for (const id of [...this.interfaces.keys()]) {
      if (!wanted.has(id)) this.interfaces.delete(id);
    }
    for (const [id, endpoint] of wanted) {
      const refusal = this.refusals.get(id) ?? this.refusesAll;
      if (!this.#isThere(endpoint.target)) {
        this.interfaces.delete(id);
        if (this.#seen.has(id) || endpoint.target.kind === "pid") gone.add(id);
      } else if (refusal !== null) problems.set(id, refusal);
      else {
        this.#seen.add(id);
        this.interfaces.set(id, endpoint);
      }
    }
    const applied = problems.size === 0 ? this.#projection?.digest ?? null : null;
    const attached = new Set(this.interfaces.keys());
    const before = JSON.stringify(this.#texts());
    this.#status = { applied, attached, gone, problems };
    if (JSON.stringify(this.#texts()) !== before) this.onStatus(this.#status);
  }

  #texts(): unknown[] {
    const { applied, attached, gone, problems } = this.#status;
    return [applied, [...attached], [...gone], [...problems]];
  }
}
