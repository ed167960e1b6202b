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
