import type { Raft } from "../raft/mod.ts";
import type { Leadership } from "./port.ts";

/** Tells whether this manager leads with a state machine that is up to date, and who wants to know. */
export class Leading {
  readonly #raft: Raft;
  readonly #watchers = new Set<(leadership: Leadership | null) => void>();
  /** The last term of which an entry was applied while this manager led it. */
  #begun: Leadership | null = null;
  #announced: Leadership | null = null;

  constructor(raft: Raft) {
    this.#raft = raft;
  }

  /** As of now, whether or not it has been announced. */
  get now(): Leadership | null {
    const { role, term } = this.#raft;
    return role === "leader" && this.#begun?.term === term ? this.#begun : null;
  }

  /** An entry of this term has been applied: whatever was acknowledged before it has been, too. */
  applied(term: number): void {
    if (this.#raft.role === "leader" && term === this.#raft.term && term !== this.#begun?.term) {
      this.#begun = { term };
    }
  }

  watch(watcher: (leadership: Leadership | null) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#announced !== null) watcher(this.#announced);
    return () => this.#watchers.delete(watcher);
  }

  /** Tells the watchers if there is news; a change of the term is two of them. */
  announce(leadership: Leadership | null = this.now): void {
    if (leadership === this.#announced) return;
    if (leadership !== null && this.#announced !== null) this.announce(null);
    this.#announced = leadership;
    for (const watcher of [...this.#watchers]) watcher(leadership);
  }
}
