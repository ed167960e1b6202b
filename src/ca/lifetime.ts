/** How far notBefore lies before the issue, so that a clock somewhat behind still takes it. */
export const BACKDATE_MS = 3_600_000;

/** Certificates count whole seconds. */
export const SECOND_MS = 1000;

/** The last whole second that is not after `timeMs`. */
export function wholeSecond(timeMs: number): number {
  return Math.floor(timeMs / SECOND_MS) * SECOND_MS;
}
