/** So many may have gone in a row before what comes next is taken for new. */
const GONE_MAX = 8;

/** How items of a {@linkcode KeptList} come from what they are made of. */
export interface Making<Source, Item> {
  /** Whether it would be made of this source, as it is now. */
  isOf(item: Item, source: Source): boolean;
  make(source: Source): Item;
}

/**
 * A list in a lasting order of which all that was in an earlier one, and has not changed, is the same objects:
 * who compares the two need not look into them, and none is made twice.
 */
export class KeptList<Source, Item> {
  readonly all: Item[] = [];
  readonly #before: readonly Item[];
  readonly #making: Making<Source, Item>;
  #place = 0;

  constructor(before: readonly Item[], making: Making<Source, Item>) {
    this.#before = before;
    this.#making = making;
  }

  add(source: Source): void {
    this.all.push(this.#take(source) ?? this.#making.make(source));
  }

  /** In the earlier list it is next, or after those that have gone; null: it was not there. */
  #take(source: Source): Item | null {
    const end = Math.min(this.#before.length, this.#place + GONE_MAX);
    for (let place = this.#place; place < end; place++) {
      const known = this.#before[place];
      if (known === undefined || !this.#making.isOf(known, source)) continue;
      this.#place = place + 1;
      return known;
    }
    return null;
  }
}
