import type { StateMachine } from "../store/mod.ts";
import {
  type Applied,
  ClusterState,
  decodeEntry,
  decodeSnapshot,
  encodeSnapshot,
} from "../state/mod.ts";

/** The replicated state behind the store: what the log commits goes into it, in order. */
export class ClusterMachine implements StateMachine<Applied> {
  #state = ClusterState.empty();

  /** The state as of the last applied entry. Read it in one turn: the next entry changes it. */
  get state(): ClusterState {
    return this.#state;
  }

  apply(entry: Uint8Array): Applied {
    return this.#state.apply(decodeEntry(entry));
  }

  encodeSnapshot(): Uint8Array {
    return encodeSnapshot(this.#state);
  }

  restoreSnapshot(snapshot: Uint8Array): void {
    this.#state = decodeSnapshot(snapshot);
  }
}
