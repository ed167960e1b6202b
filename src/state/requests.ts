import type { Entry } from "./command.ts";
import type { Outcome, RequestRecord } from "./types.ts";

/** How long a generated id is remembered, and how old its request may be. */
export const GENERATED_TTL_MS = 60_000;
/** How long a client's own key is remembered. */
export const KEYED_TTL_MS = 24 * 60 * 60 * 1000;
/** How many keys of its own one principal may have remembered. */
export const MAX_KEYED = 10_000;
/** Managers' clocks may differ; a request from further ahead would have to be kept too long. */
export const MAX_AHEAD_MS = 10 * 60 * 1000;
/** Records dropped per entry and kind: one comes, so what has expired goes soon. */
const MAX_DROPPED = 1000;

/** The envelope of an entry: what the one retry mechanism goes by. */
export type Envelope = Pick<Entry, "requestId" | "principal" | "bodyHash" | "from" | "at">;

/** What to do with a request. */
export type Verdict =
  | { readonly kind: "new" }
  | { readonly kind: "repeated"; readonly outcome: Outcome }
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** Answers that are kept, so that a request made twice is done once. Oldest first. */
export class Requests {
  readonly generated: Map<string, RequestRecord> = new Map();
  readonly keyed: Map<string, RequestRecord> = new Map();
  readonly #keyedCount = new Map<string, number>();

  /** Looks a request up at this state time, before anything is done for it. */
  judge(envelope: Envelope, timeMs: number): Verdict {
    const { from, principal } = envelope;
    if (from !== null && timeMs - from > GENERATED_TTL_MS) {
      return refuse(
        "request-expired",
        `The request was made ${timeMs - from} ms ago, over ${GENERATED_TTL_MS} ms: it may have ` +
          "been done already. Look whether it was, and make a new one if not",
      );
    }
    if (from !== null && from - timeMs > MAX_AHEAD_MS) {
      return refuse(
        "invalid-value",
        `The request says that it was made ${from - timeMs} ms after now: set the clocks right`,
      );
    }
    const record = this.#find(keyOf(envelope), timeMs);
    if (record !== undefined) {
      if (record.bodyHash === envelope.bodyHash) {
        return { kind: "repeated", outcome: record.outcome };
      }
      return refuse(
        "request-reused",
        "The request id was used for another request: use a new one for each",
      );
    }
    if (from === null && (this.#keyedCount.get(principal) ?? 0) >= MAX_KEYED) {
      return refuse(
        "too-many-requests",
        `${MAX_KEYED} keys of this caller are remembered, each for a day: try again later, or ` +
          "without a key of your own",
      );
    }
    return { kind: "new" };
  }

  /** Whether there is an answer to give again. */
  isKept(request: Pick<Entry, "principal" | "requestId">, timeMs: number): boolean {
    const key = keyOf(request);
    const record = this.generated.get(key) ?? this.keyed.get(key);
    return record !== undefined && record.expiresAtMs >= timeMs;
  }

  /** Keeps the answer of a request that {@linkcode judge} found to be new. */
  keep(envelope: Envelope, timeMs: number, outcome: Outcome): void {
    const { requestId, principal, bodyHash, from } = envelope;
    // By the later of the two: a request from ahead of the state stays acceptable for longer.
    const expiresAtMs = from === null
      ? timeMs + KEYED_TTL_MS
      : Math.max(timeMs, from) + GENERATED_TTL_MS;
    const record = { requestId, principal, bodyHash, expiresAtMs, outcome };
    this.restore(record, from === null ? this.keyed : this.generated);
  }

  /** Adds a record as the newest. */
  restore(record: RequestRecord, records: Map<string, RequestRecord>): void {
    records.set(keyOf(record), record);
    if (records === this.keyed) {
      this.#keyedCount.set(record.principal, (this.#keyedCount.get(record.principal) ?? 0) + 1);
    }
  }

  /** Forgets what has expired, oldest first, a bounded number of them. */
  drop(timeMs: number): void {
    for (const records of [this.generated, this.keyed]) {
      let dropped = 0;
      for (const [key, record] of records) {
        if (record.expiresAtMs >= timeMs || dropped++ >= MAX_DROPPED) break;
        this.#forget(key, record, records);
      }
    }
  }

  #find(key: string, timeMs: number): RequestRecord | undefined {
    for (const records of [this.generated, this.keyed]) {
      const record = records.get(key);
      if (record === undefined) continue;
      if (record.expiresAtMs >= timeMs) return record;
      this.#forget(key, record, records);
    }
  }

  #forget(key: string, record: RequestRecord, records: Map<string, RequestRecord>): void {
    records.delete(key);
    if (records !== this.keyed) return;
    const left = (this.#keyedCount.get(record.principal) ?? 0) - 1;
    if (left > 0) this.#keyedCount.set(record.principal, left);
    else this.#keyedCount.delete(record.principal);
  }
}

/** Unambiguous whatever the two texts hold. */
function keyOf(of: { readonly principal: string; readonly requestId: string }): string {
  return `${of.principal.length}:${of.principal}${of.requestId}`;
}

function refuse(
  code: "request-expired" | "request-reused" | "too-many-requests" | "invalid-value",
  message: string,
): Verdict {
  return { kind: "refused", outcome: { ok: false, rejection: { code, message } } };
}
