/** `malformed`: not what this program writes. `unknown-version`: written by a later version. */
export type StateDecodeErrorCode = "malformed" | "unknown-version";

/**
 * Bytes of the log or of a snapshot cannot be read. A replica that goes on without them would
 * no longer agree with the others: it must stop.
 */
export class StateDecodeError extends Error {
  /** For logs. */
  override name = "StateDecodeError";
  /** What is wrong with the bytes. */
  readonly code: StateDecodeErrorCode;

  /** The message says what could not be read, and what to do. */
  constructor(code: StateDecodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
