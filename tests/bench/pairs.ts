/**
 * Two ways of doing the same, measured in turn.
 *
 * @module
 */
import { type Pair, ratioSpread, type Spread, spread } from "./statistics.ts";
import type { Measurement, Path } from "./traffic.ts";

/** What is printed of each figure, and how many decimals of it. */
export type Titles = Readonly<Record<string, readonly [title: string, digits: number]>>;

/**
 * Measures each figure of both paths, in short runs that lie close together, in the order A B B A: so
 * what changes on the machine meanwhile weighs on both alike.
 */
export async function runPair(
  [first, second]: readonly [Path, Path],
  measurements: readonly Measurement[],
): Promise<Record<string, Pair>> {
  const sums: Record<Path["label"], Record<string, number>> = { "ours": {}, "by hand": {} };
  const order = [first, second, second, first];
  for (const measurement of measurements) {
    for (const path of order) {
      const sum = sums[path.label];
      for (const [name, value] of Object.entries(await measurement.run(path))) {
        sum[name] = (sum[name] ?? 0) + value / 2;
      }
    }
  }
  return Object.fromEntries(
    Object.entries(sums.ours).map(([name, ours]) => {
      return [name, { ours, byHand: sums["by hand"][name] ?? Number.NaN }];
    }),
  );
}

/** The same many times, the order swapped from pair to pair; each is printed. */
export async function runPairs(
  paths: readonly [Path, Path],
  measurements: readonly Measurement[],
  { pairs, titles }: { readonly pairs: number; readonly titles: Titles },
): Promise<readonly Record<string, Pair>[]> {
  const [ours, byHand] = paths;
  const swapped = [byHand, ours] as const;
  const measured: Record<string, Pair>[] = [];
  for (let number = 0; number < pairs; number++) {
    const order = number % 2 === 0 ? paths : swapped;
    const pair = await runPair(order, measurements);
    measured.push(pair);
    const figures = Object.entries(pair).map(([name, figure]) => {
      const digits = titles[name]?.[1];
      return `${name} ${figure.ours.toFixed(digits)} / ${figure.byHand.toFixed(digits)}`;
    });
    console.log(`pair ${number + 1}, ${order[0].label} first: ${figures.join(", ")}`);
  }
  return measured;
}

function show({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/**
 * Prints the figures of all pairs.
 *
 * @returns the ratios, by `<name>_ratio`
 */
export function report(
  pairs: readonly Record<string, Pair>[],
  titles: Titles,
): Record<string, number> {
  const result: Record<string, number> = {};
  console.log(`\nmedian (min–max) of ${pairs.length} pairs`);
  console.log(
    "".padEnd(30) + "ours".padEnd(26) + "by hand".padEnd(26) + "ours ÷ by hand, pairwise",
  );
  for (const [name, [title, digits]] of Object.entries(titles)) {
    const all = pairs.flatMap((pair) => pair[name] ?? []);
    const ratio = ratioSpread(all);
    result[`${name}_ratio`] = Number(ratio.median.toFixed(4));
    const [ours, byHand] = [all.map((pair) => pair.ours), all.map((pair) => pair.byHand)].map(
      (values) => show(spread(values), digits).padEnd(26),
    );
    console.log(`${title.padEnd(30)}${ours}${byHand}${show(ratio, 3)}`);
  }
  return result;
}
