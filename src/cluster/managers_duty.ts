import type { Cancel, Clock, Logger } from "../base/mod.ts";
import type { Applied, ClusterState } from "../state/mod.ts";
import { type Store, StoreRefusedError } from "../store/mod.ts";
import { managerAddresses } from "./managers.ts";

/** A member that catches up is looked at this often. */
const LOOK_AGAIN_MS = 200;

/** What {@linkcode ManagersDuty} stands on. */
export interface ManagersDutyOptions {
  readonly store: Store<Applied>;
  readonly state: () => ClusterState;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The leader's care for who decides: the managers that the state names, and nobody else. One that is new
 * receives everything first, and votes when it has caught up; one that is no manager any more is taken
 * out. A leader that dies in the middle leaves nothing behind: the next one compares again.
 */
export class ManagersDuty {
  readonly #options: ManagersDutyOptions;
  #isWorking = false;
  #isWanted = false;
  #isClosed = false;
  #cancel: Cancel = () => {};
  #trouble: string | null = null;

  constructor(options: ManagersDutyOptions) {
    this.#options = options;
    this.look();
  }

  /** The managers of the state may be others now. */
  look(): void {
    this.#isWanted = true;
    if (!this.#isWorking && !this.#isClosed) void this.#work();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    this.#cancel();
    let next: "again" | "later" | "done" = "again";
    while ((next === "again" || this.#isWanted) && !this.#isClosed) {
      this.#isWanted = false;
      next = await this.#step();
    }
    this.#isWorking = false;
    if (next !== "later" || this.#isClosed) return;
    this.#cancel = this.#options.clock.schedule(LOOK_AGAIN_MS, () => this.look());
  }

  /** Makes the first change that is due. */
  async #step(): Promise<"again" | "later" | "done"> {
    const { store, logger } = this.#options;
    const change = this.#due();
    if (change === null) {
      this.#trouble = null;
      return store.status().learners.length > 0 ? "later" : "done";
    }
    try {
      await change.make();
      logger.info("The managers' membership has changed", { change: change.what });
      return "again";
    } catch (error) {
      // Of a leader no more, or one whose disk has failed: the next one sees to it.
      if (!(error instanceof StoreRefusedError)) return "done";
      if (error.code === "alone") return "done";
      const trouble = `${change.what}: ${error.message}`;
      if (trouble !== this.#trouble) {
        logger.warn("The managers' membership cannot be changed yet", {
          change: change.what,
          reason: error.message,
        });
      }
      this.#trouble = trouble;
      return "later";
    }
  }

  #due(): { readonly what: string; readonly make: () => Promise<void> } | null {
    const { store, state } = this.#options;
    const { id: self, voters, learners, members } = store.status();
    const wanted = new Set(managerAddresses(state()).map(({ id }) => id));
    const present = [...voters, ...learners];
    const extra = present.find((id) => !wanted.has(id) && id !== self);
    if (extra !== undefined) {
      return { what: `remove ${extra}`, make: () => store.remove(extra) };
    }
    if (!wanted.has(self)) {
      return { what: "hand over", make: () => store.transferLeadership() };
    }
    const missing = [...wanted].find((id) => !present.includes(id));
    if (missing !== undefined) {
      return { what: `add ${missing}`, make: () => store.addLearner(missing) };
    }
    const ready = members.find(({ voter, caughtUp }) => !voter && caughtUp);
    if (ready === undefined) return null;
    return { what: `promote ${ready.id}`, make: () => store.promote(ready.id) };
  }
}
