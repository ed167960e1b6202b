import type { Id } from "../base/mod.ts";
import type { Endpoint } from "./types.ts";

/** Endpoints that are changed one at a time and read in the order of their ids, many times. */
export class EndpointSet {
  readonly #byId = new Map<Id, Endpoint>();
  #ordered: readonly Endpoint[] | null = [];

  get size(): number {
    return this.#byId.size;
  }

  add(endpoint: Endpoint): void {
    this.#byId.set(endpoint.id, endpoint);
    this.#ordered = null;
  }

  delete(endpoint: Endpoint): void {
    this.#byId.delete(endpoint.id);
    this.#ordered = null;
  }

  /** A list of its own: it does not change with the set. */
  ordered(): readonly Endpoint[] {
    this.#ordered ??= [...this.#byId.values()].sort((left, right) => left.id < right.id ? -1 : 1);
    return this.#ordered;
  }
}
