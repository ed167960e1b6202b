import type { Clock, Id, Logger } from "../base/mod.ts";
import type { ClusterState } from "../state/mod.ts";
import { UnavailableError } from "./store_answer.ts";

/** It is in every request of every member, so it is not logged each time. */
const LOG_INTERVAL_MS = 60_000;

/**
 * What a leader does when members know better which incarnation of the cluster lives: the cluster was
 * recovered or restored without it, and it has come back with its old disk.
 */
export class Superseded {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #loggedAtMs = -Infinity;

  constructor(ports: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** @throws {UnavailableError} when the member's incarnation is a later one, or another of this generation */
  check(
    state: ClusterState,
    heard: { readonly generation: number; readonly id: Id },
  ): void {
    if (!state.exists || heard.generation < state.generation) return;
    if (heard.generation === state.generation && heard.id === state.incarnation) return;
    const message = "This manager speaks for an earlier incarnation of the cluster " +
      `(${state.incarnation}, generation ${state.generation}), which was recovered or restored without ` +
      `it (${heard.id}, generation ${heard.generation}): stop it, run \`agent leave --force\` on it, and ` +
      "join again";
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedAtMs >= LOG_INTERVAL_MS) {
      this.#loggedAtMs = nowMs;
      this.#logger.error(message);
    }
    throw new UnavailableError("unavailable", message);
  }
}
