import { type Id, newId, present } from "../base/mod.ts";
import { unlessAborted } from "./abort.ts";
import {
  type AttachRequest,
  draftEndpoints,
  inClientTerms,
  wantedEndpoints,
} from "./attachment_draft.ts";
import { AttachmentLives, type Lease } from "./attachment_lives.ts";
import { AttachmentRecords, isGoing, isSameWorkload, withNetworks } from "./attachment_records.ts";
import type { AttachmentRecord } from "./attachment_store.ts";
import type { AttachmentsOptions, AttachOrigin } from "./attachments_options.ts";
import { HostError } from "./host_error.ts";
import { OnceByRequest, type RequestKey } from "./once_by_request.ts";
import type { LocalEndpoint, LocatedWorkload } from "./ports.ts";

/** How long an endpoint that the leader has made may take to come back in a projection. */
const PROJECTION_DEADLINE_MS = 10_000;
/** The workloads of this host that are attached to networks. */
export class Attachments {
  readonly #options: AttachmentsOptions;
  readonly #records: AttachmentRecords;
  readonly #lives: AttachmentLives;
  readonly #once = new OnceByRequest<AttachmentRecord>();
  readonly #closing = new AbortController();

  /** Takes up what was attached before this process: what is gone since then is let go. */
  constructor(options: AttachmentsOptions) {
    this.#options = options;
    this.#lives = new AttachmentLives(options.workloads, (id) => this.#leave(id));
    this.#records = new AttachmentRecords(options.store);
    for (const record of this.#records.all()) this.#takeUp(record);
  }

  /** Ordered by id. */
  list(): AttachmentRecord[] {
    return this.#records.present();
  }

  /** Endpoints that the leader should delete. */
  gone(): Id[] {
    return this.#records.gone();
  }

  /** The leader has been told of these endpoints, and has none of them. */
  forget(endpointIds: readonly Id[]): void {
    const nowMs = this.#options.clock.nowMs();
    for (const record of this.#records.finished(endpointIds, nowMs)) this.#remove(record);
  }

  /** What this node should have has changed. */
  projectionChanged(): void {
    const { projection } = this.#options;
    for (const record of this.list()) {
      const left = record.endpoints.filter(({ endpointId }) => projection.has(endpointId));
      if (left.length === record.endpoints.length) continue;
      // Somebody has deleted the endpoint at the leader.
      if (left.length === 0) this.#remove(record);
      else this.#records.put({ ...record, endpoints: left });
    }
    this.#refresh();
  }

  /** Endpoints have turned out to be gone from the kernel with their workload. */
  endpointsGone(endpointIds: ReadonlySet<Id>): void {
    for (const record of this.list()) {
      const isGone = record.endpoints.every(({ endpointId }) => endpointIds.has(endpointId));
      if (isGone) this.#leave(record.id);
    }
  }

  /** An answer stands for the attachment from now on. */
  openLease(id: Id): Lease {
    return this.#lives.openLease(id);
  }

  /**
   * Attaches a workload: all networks or none; in the kernel when it resolves. Made a second time
   * (same id and body hash), it gives the attachment of the first.
   *
   * @throws {HostError} what is wrong; nothing of it is left
   */
  attach(request: AttachRequest, origin: AttachOrigin): Promise<AttachmentRecord> {
    return this.#once.run(
      origin,
      () => this.#findRequest(origin),
      () => this.#attachOrSayWhy(request, origin),
      reused,
    );
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

  /** Stops watching, and ends the leases; everything stays attached. */
  close(): void {
    this.#closing.abort();
    this.#lives.close();
    this.#records.close();
  }

  #takeUp(record: AttachmentRecord): void {
    if (record.phase === "asking") return this.#records.put({ ...record, phase: "abandoned" });
    if (record.phase !== "present") return;
    const workload = this.#options.workloads.adopt(record.workload);
    if (workload === null) return this.#letGo(record, "leaving");
    const adopted = { ...record, workload };
    this.#records.put(adopted);
    this.#lives.resume(adopted);
  }

  async #attachOrSayWhy(request: AttachRequest, origin: AttachOrigin): Promise<AttachmentRecord> {
    const signal = AbortSignal.any([origin.signal, this.#closing.signal]);
    try {
      return await this.#attach(request, { ...origin, signal });
    } catch (error) {
      if (!signal.aborted || error instanceof HostError) throw error;
      const message = "The client has gone, or the agent stops: nothing was attached";
      throw new HostError("unavailable", message, { cause: error });
    }
  }

  async #attach(request: AttachRequest, origin: AttachOrigin): Promise<AttachmentRecord> {
    const { signal } = origin;
    await this.#finishLeaving(signal);
    const record = this.#newRecord(request, origin);
    this.#records.put(record);
    let phase: "leaving" | "abandoned" = "abandoned";
    try {
      const made = await this.#createEndpoints(record, request, signal);
      phase = "leaving";
      await this.#awaitProjection(made, signal);
      const present: AttachmentRecord = { ...made, phase: "present" };
      this.#records.put(present);
      this.#lives.begin(present);
      this.#refresh();
      await this.#awaitKernel(present, signal);
      return present;
    } catch (error) {
      // A closed store keeps it as it is: it is let go at the next start.
      if (!this.#closing.signal.aborted) this.#leave(record.id, phase);
      throw error;
    }
  }

  /** What is leaving may still hold the name, the address or the interface that is wanted now. */
  async #finishLeaving(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.gone().length === 0) return;
    const { tellLeader, overlay } = this.#options;
    await unlessAborted(Promise.all([tellLeader(), overlay.settled()]), signal);
  }

  #findRequest({ requestId, bodyHash }: RequestKey): AttachmentRecord | null {
    const earlier = this.list().find((record) => record.requestId === requestId) ?? null;
    if (earlier !== null && earlier.bodyHash !== bodyHash) throw reused();
    return earlier;
  }

  #newRecord(request: AttachRequest, origin: AttachOrigin): AttachmentRecord {
    const { workloads, projection, random, clock } = this.#options;
    const workload = workloads.locate(request);
    try {
      this.#refuseAttached(workload);
      const taken = this.#records.all().flatMap((record) => record.endpoints)
        .map((endpoint) => endpoint.endpointId);
      return {
        v: 1,
        id: newId(random),
        phase: "asking",
        requestId: origin.requestId,
        bodyHash: origin.bodyHash,
        workload,
        name: request.name ?? null,
        lease: request.lease ?? false,
        endpoints: draftEndpoints(request, {
          interfaceNames: workloads.interfaceNames(workload),
          projection: projection.value,
          taken: new Set(taken),
          random,
        }),
        createdAtMs: clock.nowMs(),
      };
    } catch (error) {
      workloads.release(workload);
      throw error;
    }
  }

  #refuseAttached(workload: LocatedWorkload): void {
    for (const record of this.#records.all()) {
      if (isGoing(record) || !isSameWorkload(record.workload, workload)) continue;
      throw new HostError(
        "already-attached",
        `This workload is attached already, as ${record.id}: name all networks at once, or ` +
          "delete that attachment first",
        { field: workload.target.kind === "pid" ? "/pid" : "/netns" },
      );
    }
  }

  async #createEndpoints(
    record: AttachmentRecord,
    request: AttachRequest,
    signal: AbortSignal,
  ): Promise<AttachmentRecord> {
    const { wanted, places } = wantedEndpoints(record, request.networks);
    if (wanted.length === 0) return record;
    try {
      const networkIds = await this.#options.createEndpoints(wanted, signal);
      return withNetworks(record, new Map(wanted.map(({ id }, at) => [id, networkIds[at]])));
    } catch (error) {
      if (!(error instanceof HostError) || error.code === "unavailable") throw error;
      // A refusal has made nothing.
      this.#remove(record);
      throw inClientTerms(error, places);
    }
  }

  async #awaitProjection(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    const ids = record.endpoints.map(({ endpointId }) => endpointId);
    const deadlineMs = PROJECTION_DEADLINE_MS;
    if (await this.#options.projection.including(ids, { deadlineMs, signal })) return;
    throw new HostError(
      "unavailable",
      "The endpoints were made, but the leader has not told this host of them in time; they are " +
        "being deleted again. Try again",
    );
  }

  async #awaitKernel(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    const settled = this.#options.overlay.settled();
    const { attached, problems } = await unlessAborted(settled, signal);
    const isPresent = this.#records.get(record.id)?.phase === "present";
    for (const { endpointId, networkId } of record.endpoints) {
      if (isPresent && attached.has(endpointId)) continue;
      const reason = problems.get(endpointId) ??
        (networkId === null ? null : problems.get(networkId));
      const ended = "The workload ended, or its endpoint was deleted, before it was attached";
      throw new HostError("kernel-refused", reason ?? ended);
    }
    this.#options.onChange();
  }

  /** Out of the kernel at once; from the cluster when the leader has been told. */
  #leave(id: Id, phase: "leaving" | "abandoned" = "leaving"): void {
    const record = this.#records.get(id);
    if (record === undefined || isGoing(record)) return;
    this.#options.workloads.release(record.workload);
    this.#letGo(record, phase);
    this.#refresh();
    this.#options.onChange();
  }

  #letGo(record: AttachmentRecord, phase: "leaving" | "abandoned"): void {
    this.#lives.end(record.id);
    const going: AttachmentRecord = { ...record, phase };
    this.#records.put(going);
    if (record.endpoints.every((endpoint) => endpoint.reserved)) this.#remove(going);
  }

  #remove(record: AttachmentRecord): void {
    if (!isGoing(record)) this.#options.workloads.release(record.workload);
    this.#lives.end(record.id);
    this.#records.remove(record.id);
  }

  #refresh(): void {
    const projection = this.#options.projection.value;
    if (projection === null) return;
    const local = this.list().flatMap(({ workload, endpoints }) =>
      endpoints.map(({ endpointId, networkId, interfaceName }): LocalEndpoint => ({
        endpointId,
        networkId: present(networkId, "the network of an endpoint that was made"),
        target: workload.target,
        interfaceName,
      }))
    );
    this.#options.overlay.setDesired(projection, local);
  }
}

function reused(): HostError {
  return new HostError("request-reused", "This request id was used for another attachment");
}
