import type { Id, Random } from "../base/mod.ts";
import type { MemberId, Position } from "../raft/mod.ts";
import { DataLostError } from "./errors.ts";
import { openDisk } from "./open.ts";
import type { StateMachine } from "./port.ts";

/** What {@linkcode salvageStore} needs. */
export interface SalvageOptions<Result> {
  /** Of a store that nobody has open. */
  readonly directory: string;
  /** Whose it is. */
  readonly memberId: MemberId;
  /** Where everything goes; it must be empty. */
  readonly machine: StateMachine<Result>;
  /** The store is not written to, but might be. */
  readonly random: Random;
}

/** What a store held. */
export interface Salvaged {
  /** Of the cluster, when it was written. */
  readonly incarnation: Id;
  /** Place of the last entry: of several disks that with the later one knows more. */
  readonly last: Position;
  /** Entries at the end of which this member never heard that they are committed. */
  readonly uncommitted: number;
}

/**
 * Reads all that one member's disk has, committed or not, without the other members. For when they are
 * lost: an entry that was acknowledged may be on this disk though its member never heard so, and what
 * was never acknowledged may have been done, for all that its client could know.
 *
 * @throws {DataLostError} when the disk has less than was promised with it, or is damaged
 */
export function salvageStore<Result>(options: SalvageOptions<Result>): Salvaged {
  const { directory, machine } = options;
  const disk = openDisk(options);
  try {
    const { commit, serial } = disk.hardState();
    if (serial < disk.floor) {
      throw new DataLostError(
        `The store in ${directory} has lost writes that were promised with it: it is no base to go on ` +
          "from. Nothing was changed. Take another manager's, or a backup",
      );
    }
    const snapshot = disk.snapshot();
    if (snapshot.index > 0) machine.restoreSnapshot(disk.snapshotBytes());
    const last = { term: disk.term(disk.lastIndex()), index: disk.lastIndex() };
    let next = snapshot.index + 1;
    while (next <= last.index) {
      const entries = disk.entries(next, last.index, Number.MAX_SAFE_INTEGER);
      for (const { kind, data } of entries) if (kind === "data") machine.apply(data);
      next += entries.length;
    }
    const known = Math.max(commit, snapshot.index);
    return { incarnation: disk.incarnation, last, uncommitted: Math.max(0, last.index - known) };
  } finally {
    disk.release();
  }
}
