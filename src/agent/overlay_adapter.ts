import type { LocalEndpoint, Overlay, OverlayStatus } from "../node/mod.ts";
import {
  buildDesired,
  type Desired,
  Reconciler,
  type ReconcileResult,
  type ReconcilerOptions,
} from "../overlay/mod.ts";
import type { Projection } from "../state/mod.ts";

const NOTHING: OverlayStatus = {
  applied: null,
  attached: new Set(),
  gone: new Set(),
  problems: new Map(),
};

/** The reconciler as the node's data plane: remembers which projection a desired state came from. */
export class ReconciledOverlay implements Overlay {
  readonly #reconciler: Reconciler;
  readonly #onStatus: (status: OverlayStatus) => void;
  readonly #digests = new WeakMap<Desired, string>();
  #status = NOTHING;

  /** Works through a reconciler; `onStatus` hears of each new status. */
  constructor(
    options: Omit<ReconcilerOptions, "onResult">,
    onStatus: (status: OverlayStatus) => void,
  ) {
    this.#onStatus = onStatus;
    this.#reconciler = new Reconciler({ ...options, onResult: (result) => this.#take(result) });
  }

  /** The newest status. */
  get status(): OverlayStatus {
    return this.#status;
  }

  /** Latest wins. */
  setDesired(projection: Projection, local: readonly LocalEndpoint[]): void {
    const desired = buildDesired(projection, local);
    this.#digests.set(desired, projection.digest);
    this.#reconciler.setDesired(desired);
    // A desired state that makes no difference to the kernel has to be told as applied, too.
    this.#reconciler.settled().then((result) => this.#take(result));
  }

  /** Resolves when what was desired last has been tried in full. */
  async settled(): Promise<OverlayStatus> {
    this.#take(await this.#reconciler.settled());
    return this.#status;
  }

  /** One line for each operation that it would do now. */
  plan(): Promise<readonly string[]> {
    return this.#reconciler.plan();
  }

  /** Removes everything of ours from the kernel. */
  removeAll(): ReturnType<Reconciler["removeAll"]> {
    return this.#reconciler.removeAll();
  }

  /** Stops; the kernel stays as it is. */
  close(): Promise<void> {
    return this.#reconciler.close();
  }

  #take(result: ReconcileResult): void {
    const { desired, problems, attached, gone } = result;
    const isWhole = desired !== null && problems.length === 0;
    this.#status = {
      applied: isWhole ? this.#digests.get(desired) ?? null : null,
      attached: new Set(attached),
      gone: new Set(gone),
      problems: new Map(
        problems.map((problem) => [problem.endpointId ?? problem.networkId ?? "", problem.message]),
      ),
    };
    this.#onStatus(this.#status);
  }
}
