/** How long a condition may take unless a test says otherwise; only a fault takes so long. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;

/**
 * Waits until `condition` gives something other than null, undefined and false, and gives that.
 * What it throws counts as "not yet", and is told when time is up.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<Exclude<T, null | undefined | false>> {
  const giveUpMs = performance.now() + patienceMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (isSomething(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > giveUpMs) {
      throw new Error(`Waited ${patienceMs} ms in vain for: ${what} (at last: ${last})`, {
        cause: last,
      });
    }
    await pause(PAUSE_MS);
  }
}

/** Lets time go by between two looks; never instead of one. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isSomething<T>(value: T): value is Exclude<T, null | undefined | false> {
  return value !== null && value !== undefined && value !== false;
}
