const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads `30s`, `24h` or `90d` as milliseconds; null when it is nothing of that kind. */
export function parseDurationMs(text: string): number | null {
  const [, digits, unit] = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ""];
  return unitMs === undefined ? null : Number(digits) * unitMs;
}

/** The same back, in the largest unit that says it without a fraction. */
export function formatDurationMs(durationMs: number): string {
  const units = Object.entries(UNIT_MS).reverse();
  const [unit, unitMs] = units.find(([, unitMs]) => durationMs % unitMs === 0) ?? ["ms", 1];
  return `${durationMs / unitMs}${unit}`;
}
