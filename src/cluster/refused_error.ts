import type { JsonObject } from "../base/mod.ts";
import type { Rejection, RejectionCode } from "../state/mod.ts";

/** The leader refuses a request; the rejection says why, and nothing has changed. */
export class RefusedError extends Error {
  /** `RefusedError`. */
  override name = "RefusedError";
  /** For programs. */
  readonly code: RejectionCode;
  /** Which field of the request is at fault, as a JSON pointer. */
  readonly field?: string;
  /** More for programs. */
  readonly details?: JsonObject;

  /** Makes the error that says what the rejection says. */
  constructor(rejection: Rejection) {
    super(rejection.message);
    this.code = rejection.code;
    if (rejection.field !== undefined) this.field = rejection.field;
    if (rejection.details !== undefined) this.details = rejection.details;
  }
}
