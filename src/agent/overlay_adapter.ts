import type { LocalEndpoint, Overlay, OverlayStatus } from "../node/mod.ts";
import {
  buildDesired,
  type Desired,
  type KeyRing,
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
  encryption: new Map(),
  guardLack: null,
  bootKey: null,
};

/** Where a desired state came from. */
interface Origin {
  readonly digest: string;
  /** The boot key at that time. */
  readonly bootKey: KeyRing["pair"];
}

/** The reconciler as the node's data plane: remembers which projection a desired state came from. */
export class ReconciledOverlay implements Overlay {
  readonly #reconciler: Reconciler;
  readonly #onStatus: (status: OverlayStatus) => void;
  readonly #keys: KeyRing;
  readonly #origins = new WeakMap<Desired, Origin>();
  #status = NOTHING;
  #desired: Desired | null = null;

  /** Works through a reconciler; `onStatus` hears of each new status. */
  constructor(
    options: Omit<ReconcilerOptions, "onResult" | "keys"> & { readonly keys: KeyRing },
    onStatus: (status: OverlayStatus) => void,
  ) {
    this.#onStatus = onStatus;
    this.#keys = options.keys;
    this.#reconciler = new Reconciler({ ...options, onResult: (result) => this.#take(result) });
  }

  /** The newest status. */
  get status(): OverlayStatus {
    return this.#status;
  }

  /** Latest wins. */
  setDesired(projection: Projection, local: readonly LocalEndpoint[]): void {
    const desired = buildDesired(projection, local, this.#desired);
    this.#desired = desired;
    this.#origins.set(desired, { digest: projection.digest, bootKey: this.#keys.pair });
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

  /** Figures of the reconciler since the start. */
  get stats(): Reconciler["stats"] {
    return this.#reconciler.stats;
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
    const { desired, problems, attached, gone, encryption, guardLack } = result;
    const origin = desired === null ? undefined : this.#origins.get(desired);
    this.#status = {
      applied: problems.length === 0 ? origin?.digest ?? null : null,
      attached: new Set(attached),
      gone: new Set(gone),
      problems: new Map(
        problems.map((problem) => [problem.endpointId ?? problem.networkId ?? "", problem.message]),
      ),
      encryption,
      guardLack,
      bootKey: origin?.bootKey ?? null,
    };
    this.#onStatus(this.#status);
  }
}
