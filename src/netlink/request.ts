import type { Message } from "./message.ts";

/** One request, ready to be sent but for its sequence number. */
export interface Request {
  /** What it asks, for errors: `create vxlan link vxlan0`. Called only when there is one. */
  readonly describe: () => string;
  /** `RTM_…` or `XFRM_MSG_…`. */
  readonly type: number;
  /** `NLM_F_…`. */
  readonly flags: number;
  /** The family's struct and its attributes. */
  readonly payload: Uint8Array;
}

/** A request for exactly one object. */
export interface Query<T> extends Request {
  /** Tells it from a {@linkcode Dump}. */
  readonly answer: "one";
  /** Reads the answer. @throws {DecodeError} */
  readonly decode: (message: Message) => T;
}

/** A request for a whole table. */
export interface Dump<T> extends Request {
  /** Tells it from a {@linkcode Query}. */
  readonly answer: "many";
  /** Reads one object; null for an object that is of another kind and left out. @throws {DecodeError} */
  readonly decode: (message: Message) => T | null;
}

/** A {@linkcode Dump} of a table that can be told to be the same as before, whatever its objects count. */
export interface ComparableDump<T> extends Dump<T> {
  /**
   * Sets to zero, in a copy of a message's payload, what changes while an object stays the same: its
   * counters, and when it was used. @throws {DecodeError}
   */
  readonly blank: (payload: Uint8Array) => void;
}
