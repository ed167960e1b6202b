import type { Id } from "../base/mod.ts";
import type { NodeFacts, NodeReport, ReportedEpochs, ReportedIpsec } from "../state/mod.ts";
import type { BootKeys } from "./boot_keys.ts";
import type { OverlayStatus } from "./ports.ts";

/** The leader takes no report with a longer one. */
const MAX_ERROR_LENGTH = 1024;

/** What a report is made of. */
export interface ReportParts {
  /** Digest of the newest projection. */
  readonly received: string | null;
  /** What the kernel has. */
  readonly status: OverlayStatus;
  /** Endpoints that the leader should delete. */
  readonly gone: readonly Id[];
  /** Numbers the report: what is made has to be sent, or to be lost for good. */
  readonly bootKeys: Pick<BootKeys, "pair" | "nextReport">;
  /** What IPsec has carried and refused. */
  readonly ipsec: ReportedIpsec | null;
  /** What the host is like. */
  readonly facts: NodeFacts;
}

/** The report as it would be now. */
export function reportOf(parts: ReportParts): NodeReport {
  const { received, status, gone, bootKeys, ipsec, facts } = parts;
  return {
    v: 1,
    received,
    applied: status.applied,
    attached: [...status.attached],
    gone,
    lastError: lastErrorOf(status),
    ...bootKeys.nextReport(),
    epochs: epochsOf(status, bootKeys),
    ipsec,
    facts,
  };
}

/** Why the kernel does not have all that it should, or null. */
export function lastErrorOf({ problems }: OverlayStatus): string | null {
  const [problem] = problems.values();
  return problem?.slice(0, MAX_ERROR_LENGTH) ?? null;
}

/** Null until the data plane has looked at its SAs with the present boot key. */
function epochsOf(
  { encryption, bootKey }: OverlayStatus,
  { pair }: Pick<BootKeys, "pair">,
): readonly ReportedEpochs[] | null {
  if (bootKey === null || bootKey !== pair) return null;
  return [...encryption].map(([networkId, status]) => ({ networkId, ...status }));
}
