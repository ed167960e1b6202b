import type { Id } from "../base/mod.ts";
import { type BootKeyPair, type Installation, Journal } from "../esp/mod.ts";

/** This host's boot key, and the journal of what was installed with it. Both are files in `/run`. */
export interface KeyRing {
  /**
   * Null while no SA may be installed: there is no key yet, or no manager has answered this process
   * that it is the committed one. Another object when the key was made anew: then none of the SAs in the
   * kernel is of any use.
   */
  readonly pair: BootKeyPair | null;
  /** What was installed with it; takes in what {@linkcode record} writes. */
  readonly journal: Journal;
  /**
   * Appends records. They are written when this returns, so it comes before the `NEWSA`.
   *
   * @throws when they could not be written: then nothing may be installed
   */
  record(installations: readonly Installation[]): void;
  /** Drops records of epochs that have retired: of each network, all up to this one. */
  compact(retired: ReadonlyMap<Id, number>): void;
}

/** Nothing is installed with it: for a host whose networks are all in the clear, or that is left. */
export const NO_KEYS: KeyRing = {
  pair: null,
  journal: new Journal(),
  record() {
    throw new Error("there is no boot key");
  },
  compact() {},
};
