/** A register: one network, whose label `value` is written and whose revision tells how often. */
export type Operation =
  | { readonly kind: "read"; readonly seen: Register }
  | { readonly kind: "write"; readonly value: string; readonly revision: number | null }
  | {
    readonly kind: "swap";
    /** Only if the register has this revision. */
    readonly expected: number;
    readonly value: string;
    /** The new revision, `mismatch`, or null when nobody knows. */
    readonly result: number | "mismatch" | null;
  };

/** What is in a register. Of a value that nobody ever saw, the revision is not known. */
export interface Register {
  readonly value: string;
  readonly revision: number | null;
}

/** An operation as its client saw it. */
export interface Call {
  readonly client: string;
  readonly operation: Operation;
  /** When it was asked for. All of these numbers of a history differ. */
  readonly began: number;
  /** When it was answered; Infinity when it never was. */
  readonly ended: number;
}

/** After a change that nobody ever saw: no read can follow, and no swap fits. */
const UNSEEN: Register = { value: "", revision: null };

/**
 * Whether there is an order of the operations in which each takes effect at one moment between its
 * beginning and its end, and each sees what those before it have left (Herlihy and Wing, 1990). An
 * operation without an answer may take effect at any time, or never. The search is that of Wing and
 * Gong with the memory of Lowe ("Testing for linearizability", 2017).
 *
 * Every value is written by one operation only.
 */
export function isLinearizable(calls: readonly Call[]): boolean {
  return new Search(calls).succeeds();
}

class Search {
  readonly #revisions: ReadonlyMap<string, number>;
  /** By beginning. */
  readonly #calls: readonly Call[];
  /**
   * Lost changes that nobody saw. They explain nothing but that a swap did not fit; leaving them
   * out of the search itself keeps it from trying each of them everywhere.
   */
  readonly #unseen: readonly Call[];
  readonly #done = new Set<Call>();
  readonly #visited = new Set<string>();

  constructor(calls: readonly Call[]) {
    this.#revisions = revisionsOf(calls);
    const ordered = calls.toSorted((left, right) => left.began - right.began);
    const isUnseen = ({ ended, operation }: Call) =>
      ended === Infinity && operation.kind !== "read" && !this.#revisions.has(operation.value);
    this.#calls = ordered.filter((call) => !isUnseen(call));
    this.#unseen = ordered.filter(isUnseen);
  }

  succeeds(): boolean {
    return this.#from({ value: "", revision: this.#revisions.get("") ?? null }, 0);
  }

  /** Whether what is left, all of it at or after `first`, can follow upon this register. */
  #from(register: Register, first: number): boolean {
    const done = this.#done;
    while (first < this.#calls.length && this.#isDone(first)) first++;
    // Only what began before the earliest end of all that is left can be next; what is done out of
    // its turn is among it.
    const next: Call[] = [];
    let limit = Infinity;
    let key = `${first} ${register.revision} ${register.value} `;
    for (const call of this.#calls.slice(first)) {
      if (call.began > limit) break;
      key += done.has(call) ? "+" : "-";
      if (done.has(call)) continue;
      next.push(call);
      limit = Math.min(limit, call.ended);
    }
    // Whatever is left was never answered.
    if (limit === Infinity) return true;
    key += this.#unseen.map((call) => done.has(call) ? "+" : "-").join("");
    if (this.#visited.has(key)) return false;
    this.#visited.add(key);
    return next.some((call) => call.began <= limit && this.#tryNext(call, register, first, limit));
  }

  #tryNext(call: Call, register: Register, first: number, limit: number): boolean {
    const left = this.#effectOf(call.operation, register);
    if (left !== null) return this.#with([call], left, first);
    const { operation } = call;
    if (operation.kind !== "swap" || operation.result !== "mismatch") return false;
    // It did fit, so something that nobody saw must have come before it.
    return this.#unseen.some((other) =>
      !this.#done.has(other) && other.began <= limit && this.#with([other, call], UNSEEN, first)
    );
  }

  #with(calls: readonly Call[], register: Register, first: number): boolean {
    for (const call of calls) this.#done.add(call);
    if (this.#from(register, first)) return true;
    for (const call of calls) this.#done.delete(call);
    return false;
  }

  #isDone(at: number): boolean {
    const call = this.#calls[at];
    return call !== undefined && this.#done.has(call);
  }

  /** What an operation leaves of a register, or null when it cannot have been answered like this. */
  #effectOf(operation: Operation, register: Register): Register | null {
    if (operation.kind === "read") {
      const { value, revision } = operation.seen;
      return value === register.value && revision === register.revision ? register : null;
    }
    const { value } = operation;
    const changed = { value, revision: this.#revisions.get(value) ?? null };
    if (operation.kind === "write") return changed;
    const fits = register.revision === operation.expected;
    if (operation.result === "mismatch") return fits ? null : register;
    // A lost swap that does not fit may have been answered so, unheard.
    if (operation.result === null && !fits) return register;
    return fits ? changed : null;
  }
}

/** The revision of each value, from whoever saw it. */
function revisionsOf(calls: readonly Call[]): Map<string, number> {
  const revisions = new Map<string, number>();
  for (const { operation } of calls) {
    if (operation.kind === "read") {
      if (operation.seen.revision !== null) {
        revisions.set(operation.seen.value, operation.seen.revision);
      }
    } else if (operation.kind === "write") {
      if (operation.revision !== null) revisions.set(operation.value, operation.revision);
    } else if (typeof operation.result === "number") {
      revisions.set(operation.value, operation.result);
    }
  }
  return revisions;
}
