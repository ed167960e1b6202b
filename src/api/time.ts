import type { Timestamp } from "./types.ts";

/** RFC 3339 in UTC of milliseconds since 1970. */
export function formatTime(timeMs: number): Timestamp {
  return new Date(timeMs).toISOString();
}
