import type { JsonObject } from "../base/mod.ts";

/**
 * A request of the host's own socket cannot be done. `code` is one of the API's problem codes: the
 * leader's own when it was the leader that refused.
 */
export class HostError extends Error {
  /** `HostError`. */
  override name = "HostError";
  /** For programs. */
  readonly code: string;
  /** Which field of the request is at fault, as a JSON pointer. */
  readonly field?: string;
  /** More for programs. */
  readonly details?: JsonObject;

  /** Makes an error with a sentence for a person. */
  constructor(
    code: string,
    message: string,
    more: {
      readonly field?: string;
      readonly details?: JsonObject;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: more.cause });
    this.code = code;
    if (more.field !== undefined) this.field = more.field;
    if (more.details !== undefined) this.details = more.details;
  }
}
