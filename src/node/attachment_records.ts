import type { Id } from "../base/mod.ts";
import type { AttachmentRecord, AttachmentStore } from "./attachment_store.ts";
import type { LocatedWorkload } from "./ports.ts";

/**
 * By then no request that asked for an attachment's endpoints can be done any more: the leader
 * refuses those that are over a minute old, and they are sent for ten seconds.
 */
const ABANDONED_MS = 90_000;

/** The attachments of this host, in memory as on disk. */
export class AttachmentRecords {
  readonly #store: AttachmentStore;
  readonly #byId = new Map<Id, AttachmentRecord>();

  /** Reads what an earlier process has left. */
  constructor(store: AttachmentStore) {
    this.#store = store;
    for (const record of store.readAll()) this.#byId.set(record.id, record);
  }

  get(id: Id): AttachmentRecord | undefined {
    return this.#byId.get(id);
  }

  /** In whatever phase. */
  all(): AttachmentRecord[] {
    return [...this.#byId.values()];
  }

  /** Those that are attached, ordered by id. */
  present(): AttachmentRecord[] {
    const present = this.all().filter(({ phase }) => phase === "present");
    return present.sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  /** Adds or replaces; durable when it returns. */
  put(record: AttachmentRecord): void {
    this.#store.write(record);
    this.#byId.set(record.id, record);
  }

  /** Forgets it. */
  remove(id: Id): void {
    this.#store.remove(id);
    this.#byId.delete(id);
  }

  /** Endpoints that the leader should delete. */
  gone(): Id[] {
    return this.all().filter(isGoing)
      .flatMap(({ endpoints }) => endpoints)
      .filter(({ reserved }) => !reserved)
      .map(({ endpointId }) => endpointId);
  }

  /** Those of which nothing is left, now that the leader has none of these endpoints. */
  finished(told: readonly Id[], nowMs: number): AttachmentRecord[] {
    const ids = new Set(told);
    return this.all().filter(isGoing).filter(({ phase, createdAtMs, endpoints }) => {
      // The clock may have been set back meanwhile.
      if (phase === "abandoned" && Math.abs(nowMs - createdAtMs) < ABANDONED_MS) return false;
      return endpoints.every(({ endpointId, reserved }) => reserved || ids.has(endpointId));
    });
  }

  /** Lets go of the file. */
  close(): void {
    this.#store.close();
  }
}

/** Whether it is on its way out: its workload is not its any more. */
export function isGoing({ phase }: AttachmentRecord): boolean {
  return phase === "leaving" || phase === "abandoned";
}

/** One path is one workload, whatever it stands for at the moment. */
export function isSameWorkload(one: LocatedWorkload, other: LocatedWorkload): boolean {
  return one.namespace === other.namespace ||
    (one.target.kind === "path" && other.target.kind === "path" &&
      one.target.path === other.target.path);
}

/** With the networks that the leader has named, by endpoint. */
export function withNetworks(
  record: AttachmentRecord,
  networkOf: ReadonlyMap<Id, Id | undefined>,
): AttachmentRecord {
  const endpoints = record.endpoints.map((endpoint) => ({
    ...endpoint,
    networkId: networkOf.get(endpoint.endpointId) ?? endpoint.networkId,
  }));
  return { ...record, endpoints };
}
