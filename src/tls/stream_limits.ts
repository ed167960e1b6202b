/** A frame of the streams' own: answers at once, please. Kinds from 240 on are not the callers'. */
export const PING_KIND = 254;
/** A frame of the streams' own: `{ received }`, how many bytes of the stream have been dealt with. */
export const ACK_KIND = 255;

/** How much may be under way to a manager, and how long it may say nothing. */
export interface StreamLimits {
  /**
   * Bytes that are sent and not acknowledged; what would exceed it is dropped. More than the sender's
   * protocol has under way to one that keeps up, so that only who does not keep up meets it.
   */
  readonly windowBytes: number;
  /** The receiver acknowledges after so many bytes, and when it is pinged. */
  readonly ackEveryBytes: number;
  /** Bytes that wait for a connection that is being made. */
  readonly queueBytes: number;
  /** How often the other end is pinged. */
  readonly pingIntervalMs: number;
  /** Without a word for so long, the other end, or the way to it, is dead. */
  readonly deadAfterMs: number;
  /** Until a connection is there. */
  readonly connectTimeoutMs: number;
  /** Before the second attempt to connect; each one after that waits twice as long. */
  readonly firstRetryMs: number;
  /** But no longer than this. */
  readonly lastRetryMs: number;
  /** A stream to a manager that is no peer, or a snapshot's, ends when nothing was sent for so long. */
  readonly idleMs: number;
}

/**
 * Raft has 4 MiB under way at most, and a frame has 1 MiB. A network that is cut leaves no trace on a
 * connection: without pings it would be found out after many minutes.
 */
export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  windowBytes: 6 * 1024 * 1024,
  ackEveryBytes: 64 * 1024,
  queueBytes: 256 * 1024,
  pingIntervalMs: 1_000,
  deadAfterMs: 3_000,
  connectTimeoutMs: 5_000,
  firstRetryMs: 50,
  lastRetryMs: 1_000,
  idleMs: 30_000,
};
