import type { Position } from "../raft/mod.ts";
import { NotLeaderError, OutcomeUnknownError } from "./errors.ts";

/** Somebody who waits for an entry to be committed. */
interface Proposal<Result> {
  readonly term: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/** Who waits for what, by index. A manager has only proposals of the term that it leads. */
export class Proposals<Result> {
  readonly #waiting = new Map<number, Proposal<Result>>();
  #term = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves when an entry with this index and term is applied. */
  wait({ index, term }: Position): Promise<Result> {
    this.#term = term;
    return new Promise((resolve, reject) => this.#waiting.set(index, { term, resolve, reject }));
  }

  /** The entry has been applied, with this result. */
  applied(position: Position, result: Result): void {
    this.#take(position)?.resolve(result);
  }

  /**
   * An entry has been applied that is none of these. In the place of one, it means that the one is in
   * no log that counts, and never will be (Log Matching).
   */
  passed(position: Position): void {
    this.#take(position);
  }

  #take({ index, term }: Position): Proposal<Result> | null {
    const proposal = this.#waiting.get(index);
    if (proposal === undefined) return null;
    this.#waiting.delete(index);
    if (proposal.term === term) return proposal;
    proposal.reject(new NotLeaderError(null));
    return null;
  }

  /**
   * This manager leads no more, or another term. The next leader has the entries or has not; to wait
   * for it could take for ever on the minority side of a cut.
   */
  abandonAllBut(term: number | null): void {
    if (this.#waiting.size === 0 || this.#term === term) return;
    this.rejectAll(
      new OutcomeUnknownError(
        "This manager lost the leadership before the entry was committed: repeat the request under " +
          "the same request id",
      ),
    );
  }

  rejectAll(error: Error): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}
