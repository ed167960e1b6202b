import { type Cancel, type Clock, type Id, type Logger, newId, type Random } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";
import type {
  AttachedEndpoint,
  AttachmentPhase,
  AttachmentRecord,
  AttachmentStore,
} from "./attachment_store.ts";
import { HostError } from "./host_error.ts";
import type { LocalEndpoint, LocatedWorkload, Overlay, Workloads } from "./ports.ts";

/** How long an endpoint that the leader has made may take to come back in a projection. */
const PROJECTION_DEADLINE_MS = 10_000;

/** What a client of the host's socket wants attached. */
export interface AttachRequest {
  /** Path of its network namespace. */
  readonly netns?: string | undefined;
  /** A process in it. */
  readonly pid?: number | undefined;
  /** One or several: all or none. */
  readonly networks: readonly {
    readonly network: string;
    readonly ip?: string | undefined;
    readonly interface?: string | undefined;
  }[];
  /** Name of its endpoints. */
  readonly name?: string | undefined;
  /** Whether it ends with its last process. */
  readonly lease?: boolean | undefined;
}

/** One endpoint that the leader is asked for. */
export interface WantedEndpoint {
  readonly id: Id;
  readonly network: string;
  readonly name?: string;
  readonly ip?: string;
}

/** What {@linkcode Attachments} stands on. */
export interface AttachmentsOptions {
  readonly store: AttachmentStore;
  readonly workloads: Workloads;
  readonly overlay: Overlay;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /**
   * Asks the leader for endpoints on this node, all or none; answers the ids of their networks, in
   * order. Throws a {@linkcode HostError} when the leader refuses, any other error when it is not
   * known whether they were made.
   */
  readonly createEndpoints: (
    wanted: readonly WantedEndpoint[],
    request: { readonly requestId: string; readonly signal: AbortSignal },
  ) => Promise<readonly Id[]>;
  /** Something that the leader should hear of has changed. */
  readonly onChange: () => void;
}

/** The workloads of this host that are attached to networks. */
export class Attachments {
  readonly #options: AttachmentsOptions;
  readonly #records = new Map<Id, AttachmentRecord>();
  readonly #watches = new Map<Id, Cancel>();
  readonly #endings = new Map<Id, PromiseWithResolvers<void>>();
  #projection: Projection | null = null;
  #projectionWaiters: (() => void)[] = [];

  /** Takes up what was attached before this process: what is gone since then is let go. */
  constructor(options: AttachmentsOptions) {
    this.#options = options;
    for (const record of options.store.readAll()) {
      this.#endings.set(record.id, Promise.withResolvers());
      const workload = record.phase === "present" ? options.workloads.adopt(record.workload) : null;
      this.#records.set(record.id, record);
      if (workload === null) this.#leave(record.id);
      else this.#watch(record.id, workload);
    }
  }

  /** Ordered by id. */
  list(): AttachmentRecord[] {
    const present = [...this.#records.values()].filter((record) => record.phase === "present");
    return present.sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  /** Endpoints that the leader should delete. */
  gone(): Id[] {
    return [...this.#records.values()].filter((record) => record.phase === "leaving")
      .flatMap((record) => record.endpoints)
      .filter((endpoint) => !endpoint.reserved)
      .map((endpoint) => endpoint.endpointId);
  }

  /** The leader has been told of these endpoints and has deleted them. */
  forget(endpointIds: readonly Id[]): void {
    for (const record of [...this.#records.values()]) {
      if (record.phase !== "leaving") continue;
      const done = record.endpoints.every(({ endpointId, reserved }) =>
        reserved || endpointIds.includes(endpointId)
      );
      if (done) this.#remove(record.id);
    }
  }

  /** What this node should have has changed. */
  setProjection(projection: Projection): void {
    this.#projection = projection;
    const known = new Set(
      projection.networks.flatMap((network) => network.endpoints).map((endpoint) => endpoint.id),
    );
    for (const record of this.list()) {
      const left = record.endpoints.filter((endpoint) => known.has(endpoint.endpointId));
      if (left.length === record.endpoints.length) continue;
      // Somebody has deleted the endpoint at the leader.
      if (left.length === 0) this.#remove(record.id);
      else this.#save({ ...record, endpoints: left });
    }
    for (const wake of this.#projectionWaiters.splice(0)) wake();
    this.#refresh();
  }

  /** Endpoints have turned out to be gone from the kernel with their workload. */
  endpointsGone(endpointIds: ReadonlySet<Id>): void {
    for (const record of this.list()) {
      const isGone = record.endpoints.every(({ endpointId }) => endpointIds.has(endpointId));
      if (isGone) this.#leave(record.id);
    }
  }

  /** Settles when the attachment is no more. */
  ended(id: Id): Promise<void> {
    return this.#endings.get(id)?.promise ?? Promise.resolve();
  }

  /**
   * Attaches a workload: all networks or none; in the kernel when it resolves.
   *
   * @throws {HostError} what is wrong; nothing of it is left
   */
  async attach(
    request: AttachRequest,
    origin: { readonly requestId: string; readonly bodyHash: string; readonly signal: AbortSignal },
  ): Promise<AttachmentRecord> {
    const earlier = this.#findRequest(origin.requestId, origin.bodyHash);
    if (earlier !== null) return earlier;
    const workload = this.#options.workloads.locate(request);
    let record: AttachmentRecord;
    try {
      this.#refuseAttached(workload);
      record = this.#newRecord(request, origin, workload);
    } catch (error) {
      this.#options.workloads.release(workload);
      throw error;
    }
    this.#endings.set(record.id, Promise.withResolvers());
    this.#save(record);
    try {
      record = await this.#createEndpoints(record, request, origin);
      await this.#projected(record, origin.signal);
      this.#watch(record.id, workload);
      await this.#inKernel(record, origin.signal);
      return this.#records.get(record.id) ?? record;
    } catch (error) {
      this.#leave(record.id);
      throw error;
    }
  }

  /**
   * Takes a workload off its networks; out of the kernel when it resolves.
   *
   * @throws {HostError} `not-found`
   */
  async detach(id: Id): Promise<void> {
    if (this.#records.get(id)?.phase !== "present") {
      throw new HostError("not-found", `No attachment ${id} on this host`);
    }
    this.#leave(id);
    await this.#options.overlay.settled();
  }

  /** Stops watching; everything stays attached. */
  close(): void {
    for (const cancel of this.#watches.values()) cancel();
    this.#options.store.close();
  }

  #findRequest(requestId: string, bodyHash: string): AttachmentRecord | null {
    for (const record of this.#records.values()) {
      if (record.requestId !== requestId || record.phase === "leaving") continue;
      if (record.bodyHash === bodyHash && record.phase === "present") return record;
      throw new HostError(
        "request-reused",
        "This request id was used for another attachment, or is being worked on",
      );
    }
    return null;
  }

  #refuseAttached(workload: LocatedWorkload): void {
    for (const record of this.#records.values()) {
      if (record.phase === "leaving" || record.workload.namespace !== workload.namespace) continue;
      throw new HostError(
        "already-attached",
        `This workload is attached already, as ${record.id}: name all networks at once, or ` +
          "delete that attachment first",
        { field: workload.target.kind === "pid" ? "/pid" : "/netns" },
      );
    }
  }

  #newRecord(
    request: AttachRequest,
    origin: { readonly requestId: string; readonly bodyHash: string },
    workload: LocatedWorkload,
  ): AttachmentRecord {
    const { random, clock } = this.#options;
    return {
      v: 1,
      id: newId(random),
      phase: "asking",
      requestId: origin.requestId,
      bodyHash: origin.bodyHash,
      workload,
      name: request.name ?? null,
      lease: request.lease ?? false,
      endpoints: request.networks.map((wanted): AttachedEndpoint => {
        const reserved = this.#findReserved(wanted, request.name);
        return {
          endpointId: reserved?.endpointId ?? newId(random),
          networkId: reserved?.networkId ?? null,
          interfaceName: wanted.interface ?? null,
          reserved: reserved !== null,
        };
      }),
      createdAtMs: clock.nowMs(),
    };
  }

  /** An endpoint that a person has reserved for a workload of this name on this host. */
  #findReserved(
    wanted: { readonly network: string; readonly ip?: string | undefined },
    name: string | undefined,
  ): { endpointId: Id; networkId: Id } | null {
    if (name === undefined || this.#projection === null) return null;
    const taken = new Set(
      [...this.#records.values()].flatMap((record) => record.endpoints)
        .map((endpoint) => endpoint.endpointId),
    );
    const network = this.#projection.networks.find(({ id, name }) =>
      id === wanted.network || name === wanted.network
    );
    const endpoint = network?.endpoints.find((candidate) =>
      candidate.nodeId === this.#projection?.node.id && candidate.name === name &&
      !taken.has(candidate.id) && (wanted.ip === undefined || wanted.ip === candidate.ip)
    );
    if (network === undefined || endpoint === undefined) return null;
    return { endpointId: endpoint.id, networkId: network.id };
  }

  async #createEndpoints(
    record: AttachmentRecord,
    request: AttachRequest,
    origin: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<AttachmentRecord> {
    const wanted: WantedEndpoint[] = [];
    request.networks.forEach(({ network, ip }, index) => {
      const endpoint = record.endpoints[index];
      if (endpoint === undefined || endpoint.reserved) return;
      wanted.push({
        id: endpoint.endpointId,
        network,
        ...(request.name === undefined ? {} : { name: request.name }),
        ...(ip === undefined ? {} : { ip }),
      });
    });
    let made: readonly Id[] = [];
    if (wanted.length > 0) {
      try {
        made = await this.#options.createEndpoints(wanted, origin);
      } catch (error) {
        // A refusal has made nothing; of anything else nobody knows, so it is to be deleted.
        if (error instanceof HostError) this.#remove(record.id);
        throw error;
      }
    }
    const networkOf = new Map(wanted.map(({ id }, index) => [id, made[index] ?? null]));
    const present: AttachmentRecord = {
      ...record,
      phase: "present",
      endpoints: record.endpoints.map((endpoint) => ({
        ...endpoint,
        networkId: networkOf.get(endpoint.endpointId) ?? endpoint.networkId,
      })),
    };
    return present;
  }

  /** Waits until the projection has every endpoint, then lets the record count. */
  async #projected(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + PROJECTION_DEADLINE_MS;
    const isThere = () =>
      record.endpoints.every(({ endpointId }) =>
        this.#projection?.networks.some(({ endpoints }) =>
          endpoints.some(({ id }) => id === endpointId)
        )
      );
    while (!isThere()) {
      signal.throwIfAborted();
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0) {
        throw new HostError(
          "unavailable",
          "The endpoints were made, but the leader has not told this host of them in time; they " +
            "are being deleted again. Try again",
        );
      }
      await new Promise<void>((resolve) => {
        const cancel = clock.schedule(leftMs, resolve);
        this.#projectionWaiters.push(() => {
          cancel();
          resolve();
        });
      });
    }
    this.#save(record);
    this.#refresh();
  }

  async #inKernel(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    const { attached, problems } = await this.#options.overlay.settled();
    signal.throwIfAborted();
    for (const { endpointId, networkId } of record.endpoints) {
      if (attached.has(endpointId)) continue;
      const reason = problems.get(endpointId) ??
        (networkId === null ? null : problems.get(networkId));
      throw new HostError(
        "kernel-refused",
        reason ?? "The workload ended before it could be attached",
      );
    }
    this.#options.onChange();
  }

  #watch(id: Id, workload: LocatedWorkload): void {
    const record = this.#records.get(id);
    if (record === undefined || (workload.target.kind === "path" && !record.lease)) return;
    this.#watches.get(id)?.();
    this.#watches.set(id, this.#options.workloads.onEmpty(workload, () => this.#leave(id)));
  }

  #leave(id: Id): void {
    const record = this.#records.get(id);
    if (record === undefined || record.phase === "leaving") return;
    this.#unwatch(id);
    this.#options.workloads.release(record.workload);
    const phase: AttachmentPhase = "leaving";
    this.#save({ ...record, phase });
    this.#endings.get(id)?.resolve();
    if (record.endpoints.every((endpoint) => endpoint.reserved)) this.#remove(id);
    this.#refresh();
    this.#options.onChange();
  }

  #remove(id: Id): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    this.#unwatch(id);
    if (record.phase !== "leaving") this.#options.workloads.release(record.workload);
    this.#options.store.remove(id);
    this.#records.delete(id);
    this.#endings.get(id)?.resolve();
    this.#endings.delete(id);
  }

  #unwatch(id: Id): void {
    this.#watches.get(id)?.();
    this.#watches.delete(id);
  }

  #save(record: AttachmentRecord): void {
    this.#options.store.write(record);
    this.#records.set(record.id, record);
  }

  #refresh(): void {
    if (this.#projection === null) return;
    const local = this.list().flatMap(({ workload, endpoints }) =>
      endpoints.flatMap(({ endpointId, networkId, interfaceName }): LocalEndpoint[] =>
        networkId === null
          ? []
          : [{ endpointId, networkId, target: workload.target, interfaceName }]
      )
    );
    this.#options.overlay.setDesired(this.#projection, local);
  }
}
