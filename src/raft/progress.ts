import type { MemberId, SnapshotMeta } from "./types.ts";

/** What bounds the traffic to one member. */
export interface Window {
  /** Appends that may be under way. */
  readonly maxInflight: number;
  /** Bytes of entries that may be under way. */
  readonly maxInflightBytes: number;
}

/**
 * What a leader knows of one other member, and how it sends to it:
 *
 * - `probe`: where the logs part is not known. One append at a time, to find out.
 * - `replicate`: the logs agree. Appends follow each other without waiting, within the window.
 * - `snapshot`: the entries that it needs are gone. One piece of the snapshot at a time.
 */
export class Progress {
  readonly id: MemberId;
  /** The highest index known to be on its disk and to agree. */
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  state: "probe" | "replicate" | "snapshot" = "probe";
  /** Ticks since anything was heard of it. */
  silentTicks = 0;
  /** Ticks since it last got on, while something is under way. */
  waitingTicks = 0;
  /** The newest confirmation of leadership that it has answered. */
  round = 0;
  /** The commit index that it has been told. */
  toldCommit = 0;
  /** The snapshot that is being sent, and where the piece under way begins. */
  snapshot: { readonly meta: SnapshotMeta; offset: number } | null = null;
  /** Whether an append in state `probe`, or a piece of a snapshot, is not answered yet. */
  awaited = false;
  /** For each append under way: its last index and its size. */
  #inflight: { readonly last: number; readonly bytes: number }[] = [];
  #inflightBytes = 0;

  constructor(id: MemberId, next: number) {
    this.id = id;
    this.next = next;
  }

  /** Whether another append may go out. */
  canAppend(window: Window): boolean {
    if (this.state === "snapshot") return false;
    if (this.state === "probe") return !this.awaited;
    return this.#inflight.length < window.maxInflight &&
      this.#inflightBytes < window.maxInflightBytes;
  }

  /** Whether something under way has been without an answer for so long that it is lost. */
  isStalled(ticks: number): boolean {
    return this.#waits && this.waitingTicks >= ticks;
  }

  /** A tick passes. */
  tick(): void {
    this.silentTicks++;
    if (this.#waits) this.waitingTicks++;
  }

  /** An append has gone out. */
  appended(last: number, bytes: number): void {
    if (!this.#waits) this.waitingTicks = 0;
    if (this.state === "probe") {
      this.awaited = true;
    } else if (last >= this.next) {
      this.next = last + 1;
      this.#inflight.push({ last, bytes });
      this.#inflightBytes += bytes;
    }
  }

  /** Its log agrees up to `index`. Whether that is news. */
  accepted(index: number): boolean {
    const news = index > this.match;
    if (news) {
      this.match = index;
      this.waitingTicks = 0;
    }
    this.next = Math.max(this.next, index + 1);
    if (this.state === "replicate") this.#release(index);
    else if (this.state === "probe" || index >= (this.snapshot?.meta.index ?? 0)) {
      this.#become("replicate");
    }
    return news;
  }

  /** Its log does not agree at `rejected`, and at best up to `hint`. Whether that is news. */
  rejected(rejected: number, hint: number): boolean {
    if (this.state === "snapshot" || rejected <= this.match) return false;
    // What is answered now was sent before something that is known already.
    if (this.state === "probe" && rejected !== this.next - 1) return false;
    this.becomeProbe();
    this.next = Math.max(this.match, Math.min(rejected - 1, hint)) + 1;
    return true;
  }

  /** Starts to search again from what is known for certain. */
  becomeProbe(): void {
    this.#become("probe");
    this.next = this.match + 1;
  }

  /** Starts to send a snapshot. */
  becomeSnapshot(meta: SnapshotMeta): void {
    this.#become("snapshot");
    this.snapshot = { meta, offset: 0 };
  }

  /** A piece of the snapshot has gone out. */
  partSent(): void {
    this.awaited = true;
    this.waitingTicks = 0;
  }

  /**
   * The receiver waits for the piece at `offset`: the next one, an earlier one when it has been
   * restarted, or a later one when this leader is sending the same snapshot a second time.
   */
  partWanted(offset: number): void {
    if (this.snapshot === null || offset === this.snapshot.offset) return;
    this.snapshot.offset = offset;
    this.awaited = false;
  }

  /** What was under way is lost: sends it again, one by one where many were. */
  resend(): void {
    if (this.state === "replicate") this.becomeProbe();
    else this.awaited = false;
  }

  #become(state: Progress["state"]): void {
    this.state = state;
    this.awaited = false;
    this.snapshot = null;
    this.waitingTicks = 0;
    this.#inflight = [];
    this.#inflightBytes = 0;
  }

  get #waits(): boolean {
    return this.awaited || this.#inflight.length > 0;
  }

  #release(index: number): void {
    let done = 0;
    for (const { last, bytes } of this.#inflight) {
      if (last > index) break;
      this.#inflightBytes -= bytes;
      done++;
    }
    this.#inflight.splice(0, done);
  }
}
