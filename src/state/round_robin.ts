/** What a {@linkcode RoundRobin} remembers beside what is in use. */
export interface RoundRobinState {
  readonly next: number;
  /** Oldest first. */
  readonly freed: readonly number[];
}

/**
 * Hands out whole numbers in turn. A number that has been freed lives on for a while in kernels
 * and in people's notes, so it comes last: after all that were never used or were freed long ago,
 * and among the freed, the newest last.
 */
export class RoundRobin {
  readonly first: number;
  readonly last: number;
  readonly #remembered: number;
  readonly #used = new Set<number>();
  readonly #freed = new Set<number>();
  #next: number;

  /** `remembered`: how many of the freed are kept back; those before them count as never used. */
  constructor(first: number, last: number, remembered: number) {
    this.first = first;
    this.last = last;
    this.#remembered = remembered;
    this.#next = first;
  }

  /** The number that would be handed out now, or null when all are in use. Changes nothing. */
  peek(): number | null {
    const count = this.last - this.first + 1;
    if (this.#used.size + this.#freed.size < count) {
      let candidate = this.#next;
      while (this.#used.has(candidate) || this.#freed.has(candidate)) {
        candidate = this.#after(candidate);
      }
      return candidate;
    }
    for (const oldest of this.#freed) return oldest;
    return null;
  }

  /** Hands out what {@linkcode peek} has named. */
  take(value: number): void {
    this.#used.add(value);
    if (!this.#freed.delete(value)) this.#next = this.#after(value);
  }

  release(value: number): void {
    this.#used.delete(value);
    this.#freed.add(value);
    if (this.#freed.size <= this.#remembered) return;
    for (const oldest of this.#freed) {
      this.#freed.delete(oldest);
      break;
    }
  }

  /** For a snapshot. */
  save(): RoundRobinState {
    return { next: this.#next, freed: [...this.#freed] };
  }

  /** From a snapshot, into an allocator that has handed out nothing. */
  restore(state: RoundRobinState, used: Iterable<number>): void {
    this.#next = state.next;
    for (const value of state.freed) this.#freed.add(value);
    for (const value of used) this.#used.add(value);
  }

  #after(value: number): number {
    return value >= this.last ? this.first : value + 1;
  }
}
