// needs:
/**
 * The store in figures: three managers as processes, mutual TLS between them, fsync on. Writes a second
 * and their latencies by the number of proposers, reads a second, and beside them, in the same run
 * before and after, what the disk can do: one small write and fdatasync after the other.
 *
 * Usage: scripts/bench store [--seconds N] [--managers N] [--under DIRECTORY]
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { LoadResult } from "../../src/store/testing_manager_child.ts";
import { ChildManagers } from "../../src/store/testing_processes.ts";
import { diskOf, fsyncsPerSecond } from "./disk.ts";

const PROPOSERS = [1, 8, 32, 128];
const ENTRY_BYTES = 256;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    managers: { type: "string", default: "3" },
    under: { type: "string", default: Deno.cwd() },
  },
});

const { under } = values;
const fileSystem = await diskOf(under);
console.log(
  `file system: ${fileSystem}; entries of ${ENTRY_BYTES} bytes; ${values.managers} managers`,
);

await using managers = await ChildManagers.create(Number(values.managers), {
  under,
  record: false,
});
const leader = await managers.leader();
const ms = Number(values.seconds) * 1000;
const result: Record<string, number> = { fsyncs_per_s: fsyncsPerSecond(under) };
for (const proposers of PROPOSERS) {
  const load = await leader.ask<LoadResult>({
    op: "load",
    kind: "write",
    proposers,
    ms,
    bytes: ENTRY_BYTES,
  });
  result[`writes_per_s_${proposers}`] = Math.round(load.perSecond);
  result[`p50_ms_${proposers}`] = Number(load.p50Ms.toFixed(2));
  result[`p99_ms_${proposers}`] = Number(load.p99Ms.toFixed(2));
  console.log(
    `${String(proposers).padStart(4)} proposers: ${
      load.perSecond.toFixed(0).padStart(6)
    } writes/s, ` +
      `p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(2)} ms`,
  );
}
const reads = await leader.ask<LoadResult>({
  op: "load",
  kind: "read",
  proposers: 32,
  ms,
  bytes: 0,
});
result.reads_per_s = Math.round(reads.perSecond);
const after = fsyncsPerSecond(under);
console.log(
  `reads by 32: ${result.reads_per_s}/s; fsyncs: ${result.fsyncs_per_s}/s before, ${after}/s after`,
);
result.fsyncs_per_s = Math.round(((result.fsyncs_per_s ?? 0) + after) / 2);
console.log(JSON.stringify(result));
