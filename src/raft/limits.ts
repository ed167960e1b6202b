/** Times, in ticks, and bounds. The defaults suit ticks of 20 ms and managers on one network. */
export interface Limits {
  /**
   * A follower that has not heard a leader for this many ticks, up to one less than twice as many,
   * stands for election; a leader that has not heard a majority for this many steps down. Several
   * times `heartbeatTicks`.
   */
  readonly electionTicks: number;
  /** How often a leader says that it leads. */
  readonly heartbeatTicks: number;
  /** The largest entry that may be proposed. */
  readonly maxEntryBytes: number;
  /** Entries in one append, by {@linkcode entryBytes}: what the transport's frames hold. */
  readonly maxAppendBytes: number;
  /** Appends under way to one member. */
  readonly maxInflight: number;
  /** Bytes under way to one member. */
  readonly maxInflightBytes: number;
  /** Bytes of proposals that are not applied yet; more are refused as `overloaded`. */
  readonly maxUncommittedBytes: number;
  /** Entries that one {@linkcode Ready} gives out to be applied, by {@linkcode entryBytes}. */
  readonly maxApplyBytes: number;
  /** A piece of a snapshot. */
  readonly snapshotPartBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  electionTicks: 30,
  heartbeatTicks: 5,
  maxEntryBytes: 512 * 1024,
  maxAppendBytes: 512 * 1024,
  maxInflight: 64,
  maxInflightBytes: 4 * 1024 * 1024,
  maxUncommittedBytes: 16 * 1024 * 1024,
  maxApplyBytes: 1024 * 1024,
  snapshotPartBytes: 256 * 1024,
};

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} when a limit is not a whole number from 1 on, or there is no time for an
 * answer to a heartbeat before the election timeout
 */
export function limitsOf(given: Partial<Limits>): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Cannot use limit ${name}: ${value} is not a whole number from 1 on`);
    }
  }
  if (limits.electionTicks < 2 * limits.heartbeatTicks) {
    throw new RangeError(
      `Cannot use limit electionTicks: ${limits.electionTicks} is less than twice heartbeatTicks`,
    );
  }
  return limits;
}
