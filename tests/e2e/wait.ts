/** How long a condition may take unless a test says otherwise; only a fault takes so long. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;
/** On one CPU whoever looks all the time delays what is waited for: the longer it takes, the rarer. */
const LONGEST_PAUSE_MS = 200;

/**
 * Waits until `condition` gives something other than null, undefined and false, and gives that.
 * What it throws counts as "not yet", and is told when time is up.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<Exclude<T, null | undefined | false>> {
  const beganMs = performance.now();
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (isSomething(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    const waitedMs = performance.now() - beganMs;
    if (waitedMs > patienceMs) {
      throw new Error(`Waited ${patienceMs} ms in vain for: ${what} (at last: ${last})`, {
        cause: last,
      });
    }
    await pause(Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, waitedMs / 10)));
  }
}

/** Lets time go by between two looks; never instead of one. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isSomething<T>(value: T): value is Exclude<T, null | undefined | false> {
  return value !== null && value !== undefined && value !== false;
}
