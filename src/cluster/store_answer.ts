import { NotLeaderError, OutcomeUnknownError, StoreRefusedError } from "../store/mod.ts";
import { DataLostError, StoreFailedError } from "../store/mod.ts";

/** Why a manager cannot do what only a leader with a quorum can. */
export class UnavailableError extends Error {
  /** `UnavailableError`. */
  override name = "UnavailableError";
  /** For programs. */
  readonly code: "not-leader" | "unavailable" | "body-too-large" | "quorum-at-risk";
  /** Of `not-leader`: whom to ask instead. */
  readonly leaderAddress: string | null;

  /** `message` says what to do next. */
  constructor(
    code: UnavailableError["code"],
    message: string,
    options: ErrorOptions & { readonly leaderAddress?: string } = {},
  ) {
    super(message, options);
    this.code = code;
    this.leaderAddress = options.leaderAddress ?? null;
  }
}

/**
 * What the store says, in the terms of whoever asked. `not-leader` is only said with an address that is
 * another manager's: everything else comes to a wait.
 */
export function answerOf(error: unknown, selfId: string): unknown {
  if (error instanceof NotLeaderError) {
    const { leader } = error;
    if (leader === null || leader.address === null || leader.id === selfId) {
      const message = "The managers are electing a leader: ask again in a second";
      return new UnavailableError("unavailable", message, { cause: error });
    }
    const { id, address } = leader;
    return new UnavailableError("not-leader", `${id} leads, at ${address}: ask there`, {
      cause: error,
      leaderAddress: address,
    });
  }
  if (error instanceof StoreRefusedError) {
    return new UnavailableError(codeOf(error), error.message, { cause: error });
  }
  const isUnknown = error instanceof OutcomeUnknownError || error instanceof StoreFailedError ||
    error instanceof DataLostError;
  if (!isUnknown) return error;
  return new UnavailableError("unavailable", error.message, { cause: error });
}

function codeOf({ code }: StoreRefusedError): UnavailableError["code"] {
  if (code === "too-large") return "body-too-large";
  return code === "overloaded" || code === "transferring" || code === "closing"
    ? "unavailable"
    : "quorum-at-risk";
}
