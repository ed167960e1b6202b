import type { Clock, Id } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";

/** What this node should have, as it last heard from a leader. */
export class NewestProjection {
  readonly #clock: Clock;
  #value: Projection | null = null;
  #endpointIds: ReadonlySet<Id> = new Set();
  readonly #waiters = new Set<() => void>();

  /** Nothing was heard yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Null before the first. */
  get value(): Projection | null {
    return this.#value;
  }

  /** Another one has come. */
  set(projection: Projection): void {
    this.#value = projection;
    this.#endpointIds = new Set(
      projection.networks.flatMap(({ endpoints }) => endpoints.map(({ id }) => id)),
    );
    for (const wake of [...this.#waiters]) wake();
  }

  /** Whether an endpoint is in it. */
  has(endpointId: Id): boolean {
    return this.#endpointIds.has(endpointId);
  }

  /**
   * Waits until all these endpoints are in it.
   *
   * @returns false when they are not in time
   * @throws the signal's reason when it aborts
   */
  async including(
    endpointIds: readonly Id[],
    options: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { deadlineMs, signal } = options;
    const endMs = this.#clock.monotonicMs() + deadlineMs;
    for (;;) {
      signal.throwIfAborted();
      if (endpointIds.every((id) => this.has(id))) return true;
      const leftMs = endMs - this.#clock.monotonicMs();
      if (leftMs <= 0) return false;
      await this.#change(leftMs, signal);
    }
  }

  #change(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal.removeEventListener("abort", wake);
        this.#waiters.delete(wake);
        resolve();
      };
      const cancel = this.#clock.schedule(timeoutMs, wake);
      signal.addEventListener("abort", wake);
      this.#waiters.add(wake);
    });
  }
}
