/** What the committed entries go into. It is the caller's, and is called in log order. */
export interface StateMachine<Result> {
  /** Applies one committed entry. Total: it answers for every sequence of bytes. */
  apply(entry: Uint8Array): Result;
  /** All of the state as bytes. */
  encodeSnapshot(): Uint8Array;
  /** Replaces the state by that of a snapshot. */
  restoreSnapshot(snapshot: Uint8Array): void;
}

/** A replicated log in front of a {@linkcode StateMachine}. */
export interface Store<Result> {
  /** Whether this manager leads now. A store of one manager always does. */
  readonly isLeader: boolean;
  /**
   * Appends an entry; resolves with what the state machine answered, once it is durable.
   *
   * @throws {StoreFailedError} when the disk has failed; whether the entry is durable is unknown
   */
  propose(entry: Uint8Array): Promise<Result>;
  /**
   * Resolves when the state machine may be read as of now.
   *
   * @throws {StoreFailedError} when the disk has failed
   */
  read(): Promise<void>;
  /** Calls `listener` after each batch of entries is applied, before their proposers hear of it. */
  watch(listener: (results: readonly Result[]) => void): () => void;
  /** Finishes what was proposed, and lets go of the files. */
  close(): Promise<void>;
}
