import type { JsonObject } from "../base/mod.ts";
import type { Rejection, RejectionCode } from "./types.ts";

/**
 * Leaves the checks of a command. Only `apply` catches it, and every check comes before the first
 * change, so nothing has to be undone.
 */
export class Rejected extends Error {
  override name = "Rejected";
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(rejection.message);
    this.rejection = rejection;
  }
}

/** Rejects the command that is being checked. `field` points into its body. */
export function reject(
  code: RejectionCode,
  message: string,
  more: { readonly field?: string; readonly details?: JsonObject } = {},
): never {
  throw new Rejected({ code, message, ...more });
}

/** Rejects a value of the body that is wrong by itself. */
export function rejectValue(field: string, message: string): never {
  reject("invalid-value", message, field === "" ? {} : { field });
}

/** A person's text in a message: quoted, and cut so that no answer is larger than its question. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** Compares what the caller has seen with what is there. */
export function requireRevision(found: number, expected: number | undefined): void {
  if (expected === undefined || expected === found) return;
  reject(
    "revision-mismatch",
    `The object has changed: its revision is ${found}, not ${expected}. ` +
      "Read it again and repeat the change",
    { details: { revision: found } },
  );
}
