import * as esp from "../../../src/esp/mod.ts";

/** The rules under test; a planted bug is another rule in the place of one of them. */
export interface Rules {
  readonly decideSa: typeof esp.decideSa;
  readonly decideBootKey: typeof esp.decideBootKey;
  readonly mayInstall: typeof esp.mayInstall;
  readonly nextEpoch: typeof esp.nextEpoch;
  /** Slots and indexes are used again when no host reports SAs with them, or at once. */
  readonly reuse: "when-gone" | "at-once";
  /** A record is written before the installation, or after it. */
  readonly record: "before" | "after";
}

/** As they are. */
export const RULES: Rules = { ...esp, reuse: "when-gone", record: "before" };
