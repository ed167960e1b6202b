/** How quick managers are to find that one is gone. */
export interface Timing {
  /** The unit of the others. */
  readonly tickMs: number;
  /** Ticks between two heartbeats. */
  readonly heartbeatTicks: number;
  /** Ticks without a leader until an election, up to one less than twice as many. */
  readonly electionTicks: number;
}

/** For managers on one network: heartbeats every 100 ms, elections after 600 to 1200 ms. */
export const LOCAL_TIMING: Timing = { tickMs: 20, heartbeatTicks: 5, electionTicks: 30 };

/**
 * For managers that are far apart: heartbeats every 800 ms, elections after 4.8 to 9.6 s. A packet that is
 * lost over 200 ms of round trip comes again after half a second, one that is lost twice after 1.5 s. The
 * same but for the tick, so that a cluster goes from one to the other while it runs.
 */
export const WIDE_AREA_TIMING: Timing = { ...LOCAL_TIMING, tickMs: 160 };
