import type { Cancel, Clock } from "../base/mod.ts";
import { timeoutError } from "./dial_error.ts";

/** What {@linkcode Deadline} needs. */
export interface DeadlineOptions {
  readonly clock: Clock;
  /** What is dialled, for the error. */
  readonly address: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Ends an exchange when its time is up or its caller no longer wants it, whichever is first. */
export class Deadline {
  /** Why it ended; `null` before that. */
  error: Error | null = null;
  readonly #signal: AbortSignal | undefined;
  readonly #cancelTimer: Cancel;
  readonly #onAbort: () => void;
  #listeners: ((error: Error) => void)[] = [];

  constructor({ clock, address, timeoutMs, signal }: DeadlineOptions) {
    this.#cancelTimer = clock.schedule(
      timeoutMs,
      () => this.#end(timeoutError(address, timeoutMs)),
    );
    this.#onAbort = () => {
      const reason: unknown = signal?.reason;
      this.#end(reason instanceof Error ? reason : new DOMException("Aborted", "AbortError"));
    };
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  /** Calls `listener` when it ends, at once if it has. */
  onEnd(listener: (error: Error) => void): void {
    if (this.error !== null) listener(this.error);
    else this.#listeners.push(listener);
  }

  /** From now on only the signal ends it. */
  cancelTimer(): void {
    this.#cancelTimer();
  }

  /** From now on nothing ends it. */
  cancel(): void {
    this.#cancelTimer();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#listeners = [];
  }

  #end(error: Error): void {
    if (this.error !== null) return;
    this.error = error;
    const listeners = this.#listeners;
    this.cancel();
    for (const listener of listeners) listener(error);
  }
}
