/**
 * What the benchmarks reckon with: medians, percentiles, and ratios of what was measured in pairs.
 *
 * @module
 */

/** Middle and ends of a set of figures. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What one pair of runs, one right after the other, has measured. */
export interface Pair {
  readonly ours: number;
  readonly byHand: number;
}

/** The middle value, or the mean of the two middle ones. @throws {RangeError} of no values */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/**
 * The value below which `percent` of the values lie, interpolated between neighbours.
 *
 * @throws {RangeError} of no values
 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const rank = (sorted.length - 1) * percent / 100;
  const below = sorted[Math.floor(rank)];
  const above = sorted[Math.ceil(rank)];
  if (below === undefined || above === undefined) {
    throw new RangeError("Cannot take a percentile of no values");
  }
  return below + (above - below) * (rank % 1);
}

/**
 * The same of values that a coarse scale has cut down to multiples of `step`: each stands for an
 * even spread over [value, value + step). Without that, a median of a few steps could not tell of
 * changes smaller than one.
 *
 * @throws {RangeError} of no values
 */
export function groupedPercentile(
  values: readonly number[],
  percent: number,
  step: number,
): number {
  const found = percentile(values, percent);
  // The value at the rank itself, not an interpolation between two groups.
  const group = Math.floor(found / step + 1e-6);
  const groups = values.map((value) => Math.round(value / step));
  const before = groups.filter((value) => value < group).length;
  const inside = groups.filter((value) => value === group).length;
  if (inside === 0) return found;
  const share = (values.length * percent / 100 - before) / inside;
  return (group + Math.min(1, Math.max(0, share))) * step;
}

/** Median, least and greatest. @throws {RangeError} of no values */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: percentile(values, 0), max: percentile(values, 100) };
}

/**
 * Ratios within each pair: what disturbs both runs of a pair alike cancels out, which it would not in
 * a ratio of two medians.
 *
 * @throws {RangeError} of no pairs
 */
export function ratioSpread(pairs: readonly Pair[]): Spread {
  return spread(pairs.map(({ ours, byHand }) => ours / byHand));
}
