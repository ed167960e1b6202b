import { type Cancel, type Clock, encodeUtf8, type Id, type Logger } from "../base/mod.ts";
import type { NodeReport } from "../state/mod.ts";
import type { LeaderLink } from "./leader_link.ts";

/** Often enough that a node whose host has died is missed within ten seconds. */
const INTERVAL_MS = 3_000;
const DEADLINE_MS = 5_000;

/** What {@linkcode Reporter} needs, and whom it tells. */
export interface ReporterOptions {
  readonly link: LeaderLink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The report as it would be now. */
  readonly report: () => NodeReport;
  /** The leader has deleted these endpoints. */
  readonly onForgotten: (endpointIds: readonly Id[]) => void;
}

/** Tells the leader how this node is: every few seconds, and soon after each change. */
export class Reporter {
  readonly #options: ReporterOptions;
  #cancel: Cancel = () => {};
  #sending = false;
  #wanted = false;
  #closed = false;
  #waiters: (() => void)[] = [];

  /** Nothing is sent before the first {@linkcode Reporter.send}. */
  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Something has changed: a report goes out now, or as soon as the one under way is answered. */
  send(): void {
    this.#wanted = true;
    if (this.#sending || this.#closed) return;
    void this.#run();
  }

  /** As {@linkcode Reporter.send}; resolves when a report made after the call was taken or lost. */
  sent(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.send();
    });
  }

  /** Sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#sending = true;
    this.#cancel();
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      const waiters = this.#waiters.splice(0);
      await this.#post();
      for (const wake of waiters) wake();
    }
    this.#sending = false;
    if (!this.#closed) this.#cancel = this.#options.clock.schedule(INTERVAL_MS, () => this.send());
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Never rejects: what could not be said is in the next report too. */
  async #post(): Promise<void> {
    const { link, logger, onForgotten } = this.#options;
    try {
      const report = this.#options.report();
      const answer = await link.request({
        method: "POST",
        path: "/v1/self/report",
        headers: { "content-type": "application/json" },
        body: encodeUtf8(JSON.stringify(report)),
        deadlineMs: DEADLINE_MS,
      });
      if (answer.status !== 200) {
        logger.warn("The leader did not take a report", { status: answer.status });
      } else if (!this.#closed) onForgotten(report.gone);
    } catch (error) {
      logger.debug("No leader took a report", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
