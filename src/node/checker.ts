import { encodeUtf8, type Id, type Logger } from "../base/mod.ts";
import type { CheckOrder, CheckReport, Projection } from "../state/mod.ts";
import type { LeaderLink } from "./leader_link.ts";

/** The leader waits no longer for it. */
const DEADLINE_MS = 5_000;

/** What {@linkcode Checker} needs. */
export interface CheckerOptions {
  readonly link: LeaderLink;
  readonly logger: Logger;
  readonly projection: () => Projection | null;
  /** Probes the peers of a network; what keeps it from that is in the report. */
  readonly check: (order: CheckOrder, projection: Projection | null) => Promise<CheckReport>;
}

/** Does what checks the leader orders, and tells it what was found. */
export class Checker {
  readonly #options: CheckerOptions;
  /** One check of a network at a time. */
  readonly #turns = new Map<Id, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** Begins it, or has it wait for the one before. */
  take(order: CheckOrder): void {
    const { networkId } = order;
    const turn = (this.#turns.get(networkId) ?? Promise.resolve()).then(() => this.#run(order));
    this.#turns.set(networkId, turn);
    void turn.then(() => {
      if (this.#turns.get(networkId) === turn) this.#turns.delete(networkId);
    });
  }

  /** Nothing more is begun or told. */
  close(): void {
    this.#closing.abort();
  }

  /** Never rejects: the leader names who did not take part. */
  async #run(order: CheckOrder): Promise<void> {
    const { check, projection, link, logger } = this.#options;
    const { signal } = this.#closing;
    if (signal.aborted) return;
    try {
      const report = await check(order, projection());
      if (signal.aborted) return;
      const { status } = await link.request({
        method: "POST",
        path: "/v1/self/check",
        headers: { "content-type": "application/json" },
        body: encodeUtf8(JSON.stringify(report)),
        deadlineMs: DEADLINE_MS,
      });
      if (status !== 204) throw new Error(`the leader answered ${status}`);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn("The leader was not told what a check has found", {
        network: order.networkId,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

/** @returns null when the header of a frame is no order */
export function orderOf(header: Readonly<Record<string, unknown>>): CheckOrder | null {
  const { networkId, checkId, nodeIds } = header;
  if (typeof networkId !== "string" || typeof checkId !== "string") return null;
  if (nodeIds === null) return { networkId, checkId, nodeIds };
  if (!Array.isArray(nodeIds) || !nodeIds.every((id) => typeof id === "string")) return null;
  return { networkId, checkId, nodeIds };
}
