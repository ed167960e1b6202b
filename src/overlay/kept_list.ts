/** So many may have gone in a row before what comes next is taken for new. */
const GONE_MAX = 8;

/**
 * A list in a lasting order of which all that was in an earlier one, and has not changed, is the same objects:
 * who compares the two need not look into them.
 */
export class KeptList<T> {
  readonly all: T[] = [];
  readonly #before: readonly T[];
  readonly #isSame: (left: T, right: T) => boolean;
  #place = 0;

  constructor(before: readonly T[], isSame: (left: T, right: T) => boolean) {
    this.#before = before;
    this.#isSame = isSame;
  }

  add(item: T): void {
    this.all.push(this.#take(item) ?? item);
  }

  /** In the earlier list it is next, or after those that have gone; null: it was not there. */
  #take(item: T): T | null {
    const end = Math.min(this.#before.length, this.#place + GONE_MAX);
    for (let place = this.#place; place < end; place++) {
      const known = this.#before[place];
      if (known === undefined || !this.#isSame(known, item)) continue;
      this.#place = place + 1;
      return known;
    }
    return null;
  }
}
