/**
 * Why a host cannot be the node it should be:
 *
 * - `not-a-member`: it has not joined;
 * - `damaged`: what it keeps on disk cannot be read;
 * - `unavailable`: no manager can be reached, or none leads, or the agent is stopping;
 * - `superseded`: a manager speaks for another incarnation of the cluster than this node is in.
 */
export type NodeErrorCode = "not-a-member" | "damaged" | "unavailable" | "superseded";

/** A node cannot do what it should. */
export class NodeError extends Error {
  /** `NodeError`. */
  override name = "NodeError";
  /** For programs. */
  readonly code: NodeErrorCode;

  /** Makes an error with a sentence for a person. */
  constructor(code: NodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What went wrong on the way into a cluster. */
export type JoinErrorCode =
  | "bad-token"
  | "no-answer"
  | "wrong-pin"
  | "not-a-manager"
  | "not-verified"
  | "clock"
  | "refused"
  | "port-busy"
  | "not-our-address";

/** A host was not taken in; nothing has been left behind. */
export class JoinError extends Error {
  /** `JoinError`. */
  override name = "JoinError";
  /** For programs. */
  readonly code: JoinErrorCode;

  /** Makes an error with a sentence for a person. */
  constructor(code: JoinErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
