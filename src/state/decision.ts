import type { Id } from "../base/mod.ts";
import type { CommandBodies, CommandKind } from "./command.ts";
import type { CommandValues } from "./outcome.ts";
import type { Tables } from "./tables.ts";

/** What a change touched; what is absent was not. */
export interface Touched {
  readonly nodes?: Iterable<Id>;
  readonly removedNodes?: readonly Id[];
  readonly reroledNodes?: readonly Id[];
  readonly settings?: true;
  readonly authority?: true;
  readonly managers?: true;
}

/** A command that has passed all its checks. */
export type Decision<Kind extends CommandKind> =
  /** There is nothing to change. */
  | { readonly value: CommandValues[Kind] }
  /** Does it, cannot fail; `revision` is the state's new one. */
  | {
    readonly commit: (
      revision: number,
    ) => { readonly value: CommandValues[Kind]; readonly touched: Touched };
  };

/**
 * Checks a command against the state, at the state time, without changing anything.
 *
 * @throws {Rejected} when it cannot be done
 */
export type Decide<Kind extends CommandKind> = (
  tables: Tables,
  body: CommandBodies[Kind],
) => Decision<Kind>;
