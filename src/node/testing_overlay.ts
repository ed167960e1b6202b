import type { Id } from "../base/mod.ts";
import { type BootKeyPair, outboundEpoch } from "../esp/mod.ts";
import type { ProjectedEncryption, Projection } from "../state/mod.ts";
import type {
  BootKeys,
  EncryptionStatus,
  LocalEndpoint,
  Overlay,
  OverlayStatus,
  WorkloadTarget,
} from "./mod.ts";

/**
 * The data plane as a kernel would have it, in memory: a workload's end takes its interfaces along. Of
 * encrypted networks it has all SAs that it may have, at once, and sends as the rules say.
 */
export class SimulatedOverlay implements Overlay {
  /** What is in the workloads. */
  readonly interfaces = new Map<Id, LocalEndpoint>();
  /** Digests in the order in which they were desired. */
  readonly desired: string[] = [];
  /** What the kernel refuses, and why; by endpoint or network. */
  readonly refusals = new Map<Id, string>();
  /** Hears of each new status. */
  onStatus: (status: OverlayStatus) => void = () => {};
  /** While it is set, nothing is done. */
  gate: Promise<void> | null = null;
  /** Refuses all, whatever it is. */
  refusesAll: string | null = null;
  /** It has no SAs of epochs above this one. */
  newestEpoch = Infinity;
  readonly #keys: Pick<BootKeys, "pair">;
  #bootKey: BootKeyPair | null = null;
  readonly #isThere: (target: WorkloadTarget) => boolean;
  readonly #seen = new Set<Id>();
  #projection: Projection | null = null;
  #local: readonly LocalEndpoint[] = [];
  #status: OverlayStatus = {
    applied: null,
    attached: new Set(),
    gone: new Set(),
    problems: new Map(),
    encryption: new Map(),
    guardLack: null,
    bootKey: null,
  };

  constructor(keys: Pick<BootKeys, "pair">, isThere: (target: WorkloadTarget) => boolean) {
    this.#keys = keys;
    this.#isThere = isThere;
  }

  get status(): OverlayStatus {
    return this.#status;
  }

  setDesired(projection: Projection, local: readonly LocalEndpoint[]): void {
    this.#projection = projection;
    this.#bootKey = this.#keys.pair;
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
      const ofNetwork = this.refusals.get(endpoint.networkId) ?? null;
      const refusal = this.refusals.get(id) ?? ofNetwork ?? this.refusesAll;
      if (!this.#isThere(endpoint.target)) {
        this.interfaces.delete(id);
        if (this.#seen.has(id) || endpoint.target.kind === "pid") gone.add(id);
      } else if (refusal !== null) problems.set(ofNetwork ? endpoint.networkId : id, refusal);
      else {
        this.#seen.add(id);
        this.interfaces.set(id, endpoint);
      }
    }
    const applied = problems.size === 0 ? this.#projection?.digest ?? null : null;
    const attached = new Set(this.interfaces.keys());
    const before = JSON.stringify(this.#texts());
    const bootKey = this.#bootKey;
    const encryption = bootKey === null ? this.#status.encryption : this.#encryption();
    this.#status = { applied, attached, gone, problems, encryption, guardLack: null, bootKey };
    if (JSON.stringify(this.#texts()) !== before) this.onStatus(this.#status);
  }

  #encryption(): Map<Id, EncryptionStatus> {
    const networks = new Map<Id, EncryptionStatus>();
    for (const { id, epochs } of this.#projection?.retained ?? []) {
      const installed = [...epochs].reverse();
      networks.set(id, { installed, upTo: 0, oldestSending: null, wantsAfter: null });
    }
    for (const { id, encryption } of this.#projection?.networks ?? []) {
      if (encryption === null) continue;
      const installed = encryption.epochs.map(({ epoch }) => epoch).reverse()
        .filter((epoch) => epoch <= this.newestEpoch);
      const upTo = Math.max(0, ...encryption.holders.map(({ revision }) => revision));
      const oldestSending = this.#oldestSending(id, encryption, installed);
      networks.set(id, { installed, upTo, oldestSending, wantsAfter: null });
    }
    return networks;
  }

  #oldestSending(
    networkId: Id,
    { holders, epochs }: ProjectedEncryption,
    own: readonly number[],
  ): number | null {
    const self = this.#projection?.node.id;
    const since = holders.find(({ nodeId }) => nodeId === self)?.revision ?? Infinity;
    let oldest: number | null = null;
    for (const holder of holders) {
      if (holder.nodeId === self || holder.state === "left") continue;
      const peer = this.#projection?.installed.find((one) =>
        one.networkId === networkId && one.nodeId === holder.nodeId && one.upTo >= since
      );
      const epoch = outboundEpoch(epochs.map(({ epoch }) => epoch), own, peer?.epochs ?? []);
      if (epoch !== null) oldest = Math.min(epoch, oldest ?? epoch);
    }
    return oldest;
  }

  #texts(): unknown[] {
    const { applied, attached, gone, problems, encryption, bootKey } = this.#status;
    return [applied, [...attached], [...gone], [...problems], [...encryption], bootKey?.publicKey];
  }
}
