import type { Run } from "./simulation.ts";

/** What many runs have come to. */
export interface Summary {
  readonly seeds: number;
  readonly events: number;
  readonly operations: number;
  readonly elections: number;
  readonly entries: number;
  readonly membershipChanges: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly violations: readonly { readonly seed: number; readonly violation: string }[];
}

export const NOTHING: Summary = {
  seeds: 0,
  events: 0,
  operations: 0,
  elections: 0,
  entries: 0,
  membershipChanges: 0,
  faults: {},
  violations: [],
};

/** Adds a run. */
export function withRun(summary: Summary, run: Run): Summary {
  const faults: Record<string, number> = { ...summary.faults };
  for (const [fault, count] of run.faults) faults[fault] = (faults[fault] ?? 0) + count;
  const { seed, violation } = run;
  return {
    seeds: summary.seeds + 1,
    events: summary.events + run.events,
    operations: summary.operations + run.operations,
    elections: summary.elections + run.elections,
    entries: summary.entries + run.entries,
    membershipChanges: summary.membershipChanges + run.changes,
    faults,
    violations: violation === null
      ? summary.violations
      : [...summary.violations, { seed, violation }],
  };
}

/** What to say about a run that went wrong: enough to begin with, and how to see it again. */
export function formatFailure(run: Run): string {
  return [
    ...run.trace,
    `seed ${run.seed}: ${run.violation}`,
    `see it again: scripts/sim --seed ${run.seed}`,
  ].join("\n");
}
