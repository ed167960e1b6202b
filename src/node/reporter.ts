import { type Cancel, type Clock, encodeUtf8, type Logger } from "../base/mod.ts";
import type { NodeReport, ReportReply } from "../state/mod.ts";
import type { LeaderLink } from "./leader_link.ts";

/** Often enough that a node whose host has died is missed within ten seconds. */
const INTERVAL_MS = 3_000;
const DEADLINE_MS = 5_000;

/** What {@linkcode Reporter} needs, and whom it tells. */
export interface ReporterOptions {
  readonly link: LeaderLink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The report as it would be now. Each try is one of its own, for each has its own number. */
  readonly report: () => NodeReport;
  /** The leader has taken this report: what it calls gone is deleted. */
  readonly onTaken: (report: NodeReport, reply: ReportReply) => void;
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
    const { link, logger, onTaken } = this.#options;
    try {
      const tries: NodeReport[] = [];
      const answer = await link.request({
        method: "POST",
        path: "/v1/self/report",
        headers: { "content-type": "application/json" },
        body: () => {
          const report = this.#options.report();
          tries.push(report);
          return encodeUtf8(JSON.stringify(report));
        },
        deadlineMs: DEADLINE_MS,
      });
      if (answer.status !== 200) {
        logger.warn("The leader did not take a report", { status: answer.status });
        return;
      }
      const taken = tries.at(-1);
      if (!this.#closed && taken !== undefined) onTaken(taken, replyOf(answer.json()));
    } catch (error) {
      logger.debug("No leader took a report", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

/** @throws {TypeError} when it is not a reply */
function replyOf(value: unknown): ReportReply {
  const reply = value as Partial<Record<keyof ReportReply, unknown>> | null;
  const { stateTimeMs, seenBefore } = reply ?? {};
  if (typeof stateTimeMs !== "number" || !Number.isSafeInteger(seenBefore)) {
    throw new TypeError("The leader's answer to a report cannot be read");
  }
  return { v: 1, stateTimeMs, seenBefore: Number(seenBefore) };
}
