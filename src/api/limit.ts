/** Counts what is in flight and lets no more in than the limit: memory stays bounded in a flood. */
export class InFlightLimit {
  readonly #limit: number;
  #count = 0;
  #refused = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many are in flight. */
  get count(): number {
    return this.#count;
  }

  /** How many were not let in. */
  get refused(): number {
    return this.#refused;
  }

  /** Lets one in, who has to {@linkcode leave}; false when there are too many. */
  enter(): boolean {
    if (this.#count >= this.#limit) {
      this.#refused++;
      return false;
    }
    this.#count++;
    return true;
  }

  /** One is done. */
  leave(): void {
    this.#count--;
  }
}
