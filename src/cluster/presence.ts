import type { Clock, Id } from "../base/mod.ts";
import type { NodeReport, ReportedIpsec } from "../state/mod.ts";

/** A node that has been silent for longer is not alive: it reports every three seconds. */
const SILENCE_MS = 10_000;

/** What the leader knows of a node that is not in the log. */
export interface Liveness {
  /** Its stream is open and it reports. */
  readonly alive: boolean;
  /** When it last reported to this leader, or null. */
  readonly lastSeenAtMs: number | null;
  /** Why its kernel does not have all that it should, or null. */
  readonly lastError: string | null;
  /** What its IPsec has carried and refused. */
  readonly ipsec: ReportedIpsec | null;
  /** Its endpoints that are attached to a workload. */
  readonly attached: ReadonlySet<Id>;
}

interface Sighting {
  readonly report: NodeReport;
  readonly seenAtMs: number;
  readonly seenAtMonotonicMs: number;
}

const NEVER_SEEN: Liveness = {
  alive: false,
  lastSeenAtMs: null,
  lastError: null,
  ipsec: null,
  attached: new Set(),
};

/** The newest report of every node. It belongs to one leadership and is lost with it. */
export class Presence {
  readonly #clock: Clock;
  readonly #sightings = new Map<Id, Sighting>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record(nodeId: Id, report: NodeReport): void {
    this.#sightings.set(nodeId, {
      report,
      seenAtMs: this.#clock.nowMs(),
      seenAtMonotonicMs: this.#clock.monotonicMs(),
    });
  }

  /** `connected`: whether its stream is open; the kernel tells at once when a process has died. */
  of(nodeId: Id, connected: boolean): Liveness {
    const sighting = this.#sightings.get(nodeId);
    if (sighting === undefined) return { ...NEVER_SEEN, alive: connected };
    const silentForMs = this.#clock.monotonicMs() - sighting.seenAtMonotonicMs;
    return {
      alive: connected && silentForMs < SILENCE_MS,
      lastSeenAtMs: sighting.seenAtMs,
      lastError: sighting.report.lastError,
      ipsec: sighting.report.ipsec,
      attached: new Set(sighting.report.attached),
    };
  }

  forget(nodeId: Id): void {
    this.#sightings.delete(nodeId);
  }
}
