import type { MemberId, RefusalCode } from "../raft/mod.ts";

/** Where to ask instead. */
export interface LeaderHint {
  /** The member that leads. */
  readonly id: MemberId;
  /** Its control address, where that is known. */
  readonly address: string | null;
}

/** The disk has lost entries that were acknowledged, or holds damaged ones. */
export class DataLostError extends Error {
  /** `DataLostError`. */
  override name = "DataLostError";
}

/** The disk refused a write, or the program is broken: nothing can be acknowledged any more. */
export class StoreFailedError extends Error {
  /** `StoreFailedError`. */
  override name = "StoreFailedError";
}

/** Another manager leads, or none at the moment. What was asked for has not been done and will not be. */
export class NotLeaderError extends Error {
  /** `NotLeaderError`. */
  override name = "NotLeaderError";
  /** Whom to ask; `null` while nobody is known to lead. */
  readonly leader: LeaderHint | null;

  /** Names the leader in its message. */
  constructor(leader: LeaderHint | null) {
    super(
      leader === null
        ? "No manager is known to lead at the moment: ask again in a second"
        : `This manager does not lead: ask ${leader.id}${
          leader.address === null ? "" : ` at ${leader.address}`
        }`,
    );
    this.leader = leader;
  }
}

/**
 * The entry may or may not have become part of the log. Whoever asked repeats the request under the
 * same request id, which is done once however often it arrives.
 */
export class OutcomeUnknownError extends Error {
  /** `OutcomeUnknownError`. */
  override name = "OutcomeUnknownError";
}

/**
 * Why a leader has not taken a request up; `closing`: the store is being closed; `alone`: it was opened
 * without a transport.
 */
export type StoreRefusalCode = Exclude<RefusalCode, "not-leader"> | "closing" | "alone";

/** The leader did not take the request up: nothing has changed. */
export class StoreRefusedError extends Error {
  /** `StoreRefusedError`. */
  override name = "StoreRefusedError";
  /** For a program. */
  readonly code: StoreRefusalCode;

  /** `message` is one sentence for a person. */
  constructor(code: StoreRefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}
