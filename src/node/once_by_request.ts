/** What makes two tries the same request. */
export interface RequestKey {
  readonly requestId: string;
  /** With another one it is another request. */
  readonly bodyHash: string;
}

interface UnderWay {
  readonly bodyHash: string;
  readonly settled: Promise<unknown>;
}

/** Lets one try of a request work at a time; a second one waits, and then looks what came of it. */
export class OnceByRequest<Result> {
  readonly #underWay = new Map<string, UnderWay>();

  /**
   * Answers with what `find` gives, or else does `work`. Between the two nothing else of the same
   * request can happen.
   *
   * @param onReuse makes the error for a request id that is used with another body
   */
  async run(
    { requestId, bodyHash }: RequestKey,
    find: () => Result | null,
    work: () => Promise<Result>,
    onReuse: () => Error,
  ): Promise<Result> {
    for (;;) {
      const other = this.#underWay.get(requestId);
      if (other === undefined) break;
      if (other.bodyHash !== bodyHash) throw onReuse();
      await other.settled;
    }
    const earlier = find();
    if (earlier !== null) return earlier;
    const result = work();
    this.#underWay.set(requestId, { bodyHash, settled: result.catch(() => {}) });
    try {
      return await result;
    } finally {
      this.#underWay.delete(requestId);
    }
  }
}
