import type { Cancel, Id } from "../base/mod.ts";
import type { AttachmentRecord } from "./attachment_store.ts";
import type { Workloads } from "./ports.ts";

/** An open answer that stands for an attachment. */
export interface Lease {
  /** Settles when the attachment is no more, or the agent stops. */
  readonly ended: Promise<void>;
  /** Once or more. */
  close(): void;
}

interface Life {
  record: AttachmentRecord;
  leases: number;
  cancelWatch: Cancel;
  readonly ending: PromiseWithResolvers<void>;
}

/** How long attachments last: leases, and the last process in each namespace. */
export class AttachmentLives {
  readonly #workloads: Workloads;
  readonly #onEnd: (id: Id) => void;
  readonly #lives = new Map<Id, Life>();

  /** @param onEnd called when an attachment has outlived its workload */
  constructor(workloads: Workloads, onEnd: (id: Id) => void) {
    this.#workloads = workloads;
    this.#onEnd = onEnd;
  }

  /** It is attached: from now on its workload is watched. */
  begin(record: AttachmentRecord): void {
    const ending = Promise.withResolvers<void>();
    const life: Life = { record, leases: 0, cancelWatch: () => {}, ending };
    this.#lives.set(record.id, life);
    // The answer of one that has just been asked for is still to be opened.
    if (record.workload.target.kind === "pid") this.#watch(life);
  }

  /** As {@linkcode AttachmentLives.begin}, after a restart: whatever stood for it is gone. */
  resume(record: AttachmentRecord): void {
    this.begin(record);
    this.openLease(record.id).close();
  }

  /**
   * Closing a lease only triggers a look, for a workload may have closed descriptors that it does not
   * know: the attachment goes when no process is left in its namespace. While it is open, a namespace
   * at a path may wait for its first process.
   */
  openLease(id: Id): Lease {
    const life = this.#lives.get(id);
    if (life === undefined) return { ended: Promise.resolve(), close: () => {} };
    life.leases++;
    if (life.record.workload.target.kind === "path") life.cancelWatch();
    let isOpen = true;
    return {
      ended: life.ending.promise,
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        life.leases--;
        if (life.record.lease && this.#lives.get(id) === life) this.#watch(life);
      },
    };
  }

  /** It is no more. */
  end(id: Id): void {
    const life = this.#lives.get(id);
    if (life === undefined) return;
    this.#lives.delete(id);
    life.cancelWatch();
    life.ending.resolve();
  }

  /** Stops watching, and ends the leases; the attachments stay. */
  close(): void {
    for (const id of [...this.#lives.keys()]) this.end(id);
  }

  #watch(life: Life): void {
    if (life.leases > 0 && life.record.workload.target.kind === "path") return;
    life.cancelWatch();
    life.cancelWatch = this.#workloads.onEmpty(
      life.record.workload,
      () => this.#onEnd(life.record.id),
    );
  }
}
