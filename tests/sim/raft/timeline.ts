interface Event {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

/** Simulated time: events happen in the order of their times, and of two at a time in that of their making. */
export class Timeline {
  /** Milliseconds since the beginning. */
  nowMs = 0;
  /** How many events have happened. */
  count = 0;
  #made = 0;
  readonly #heap: Event[] = [];

  /** Lets something happen, `delayMs` from now. */
  after(delayMs: number, happen: () => void): void {
    const event = { at: this.nowMs + delayMs, order: this.#made++, happen };
    const heap = this.#heap;
    let child = heap.push(event) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isEarlier(event, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = event;
  }

  /** Lets the next event happen; false when there is none before `untilMs`. */
  step(untilMs: number): boolean {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.at > untilMs) return false;
    const last = heap.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    this.nowMs = first.at;
    this.count++;
    first.happen();
    return true;
  }

  #sink(event: Event): void {
    const heap = this.#heap;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      let below = heap[child];
      const right = heap[child + 1];
      if (below !== undefined && right !== undefined && isEarlier(right, below)) {
        child++;
        below = right;
      }
      if (below === undefined || isEarlier(event, below)) break;
      heap[parent] = below;
      parent = child;
    }
    heap[parent] = event;
  }
}

function isEarlier(left: Event, right: Event): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}
