import type { Cancel, Clock, Logger } from "../base/mod.ts";
import type { Desired } from "./desired.ts";
import type { Host } from "./host.ts";
import type { Problem, ReconcileResult, ReconcilerStats } from "./result.ts";
import { HostKernel } from "./host_kernel.ts";
import { type KeyRing, NO_KEYS } from "./key_ring.ts";

/** What a {@linkcode Reconciler} works with. */
export interface ReconcilerOptions {
  /** The machine. */
  readonly host: Host;
  /** Its time. */
  readonly clock: Clock;
  /** Keys of encrypted networks; null: none is ever installed, for a host that is left. */
  readonly keys: KeyRing | null;
  /** Told of problems and repairs. */
  readonly logger: Logger;
  /** Called, from the event loop, each time the result is another than before. */
  readonly onResult?: (result: ReconcileResult) => void;
}

/** How often names of sandboxes and paths of workloads are looked at: nothing tells of them. */
const TICK_MS = 1_000;

/** How often everything is read anew, in case a notification never came. */
const FULL_CHECK_TICKS = 30;

/** More rounds in a tick would be a fight with somebody who puts things back: no use in hurrying. */
const ROUNDS_PER_TICK = 50;

/** After this many ticks something that failed is tried again, twice as many each time. */
const FIRST_RETRY_TICKS = 1;

const NO_RESULT: ReconcileResult = {
  desired: null,
  problems: [],
  attached: [],
  waiting: [],
  gone: [],
  encryption: new Map(),
  guardLack: null,
};

/**
 * Keeps the kernel as desired. It works in rounds (look, plan, apply) over those sandboxes that may
 * not be right: all of them after {@linkcode setDesired}, at the start and every 30 seconds, and a
 * single one when the kernel tells of a change in it. A newer desired state ends a round at its next
 * step, and begins another.
 */
export class Reconciler {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #kernel: HostKernel;
  readonly #onResult: (result: ReconcileResult) => void;
  #desired: Desired | null = null;
  /** Counts desired states. */
  #version = 0;
  /** The version that was last tried in full. */
  #settledVersion = 0;
  #result = NO_RESULT;
  #waiters: { version: number; resolve: (result: ReconcileResult) => void }[] = [];
  #running: Promise<void> | null = null;
  #cancelTick: Cancel | null = null;
  #ticks = 0;
  /** Rounds that may still be begun before the next tick. */
  #allowance = ROUNDS_PER_TICK;
  #retryTicks = FIRST_RETRY_TICKS;
  #retryAtTick: number | null = null;
  #state: "open" | "closing" | "closed" = "open";
  #stats = { rounds: 0, lastRoundMs: 0, repairs: 0, eventLoopDelayMs: 0 };
  #lastNoopMs: number | null = null;

  /** Opens the host's namespace, and does nothing until {@linkcode setDesired}. */
  constructor(options: ReconcilerOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onResult = options.onResult ?? (() => {});
    const { host, clock, keys } = options;
    this.#kernel = new HostKernel(host, clock, keys ?? NO_KEYS, () => this.#wake());
  }

  /** The newest result. */
  get result(): ReconcileResult {
    return this.#result;
  }

  /** Figures since the start. */
  get stats(): ReconcilerStats {
    const { longestMs: longestSliceMs } = this.#kernel.slicer;
    return { ...this.#stats, lastNoopMs: this.#lastNoopMs, longestSliceMs };
  }

  /** The newest wins; nothing is done before the first. */
  setDesired(desired: Desired): void {
    if (this.#state !== "open") return;
    this.#desired = desired;
    this.#version++;
    this.#retryTicks = FIRST_RETRY_TICKS;
    this.#retryAtTick = null;
    this.#allowance = ROUNDS_PER_TICK;
    if (this.#version === 1) this.#tickLater();
    this.#kernel.expectAll();
    this.#wake();
  }

  /** Resolves when what is now the newest desired state has been tried in full. */
  settled(): Promise<ReconcileResult> {
    const version = this.#version;
    const idle = this.#running === null && this.#settledVersion >= version;
    if (idle || this.#state !== "open") return Promise.resolve(this.#result);
    return new Promise((resolve) => this.#waiters.push({ version, resolve }));
  }

  /** Reads everything anew and says what would be done now, one operation a line; does nothing. */
  async plan(): Promise<readonly string[]> {
    await this.#idle();
    const desired = this.#desired;
    if (desired === null || this.#state !== "open") return [];
    return await this.#exclusively(() => this.#kernel.preview(desired));
  }

  /**
   * Removes everything of ours from the kernel, also what an agent before this one has left. Then it
   * is closed.
   */
  async removeAll(): Promise<readonly Problem[]> {
    this.#stop();
    await this.#idle();
    const problems = await this.#kernel.removeAll();
    await this.close();
    return problems;
  }

  /** Stops following and repairing; the kernel stays as it is, and goes on forwarding. */
  async close(): Promise<void> {
    this.#stop();
    await this.#idle();
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#kernel.close();
    for (const { resolve } of this.#waiters.splice(0)) resolve(this.#result);
  }

  #stop(): void {
    if (this.#state === "open") this.#state = "closing";
    this.#cancelTick?.();
    this.#cancelTick = null;
  }

  async #idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Something may not be right. */
  #wake(): void {
    if (this.#state !== "open" || this.#desired === null || this.#running !== null) return;
    if (!this.#mayRound()) return;
    void this.#exclusively(async () => {
      while (this.#mayRound() && this.#state === "open" && this.#desired !== null) {
        this.#allowance--;
        await this.#round(this.#desired, this.#version);
      }
    });
  }

  #mayRound(): boolean {
    return this.#kernel.hasWork && this.#allowance > 0;
  }

  /** One thing at a time looks at the kernel or changes it. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const running = work();
    const ended = running.then(() => {}, () => {});
    this.#running = ended;
    try {
      return await running;
    } finally {
      if (this.#running === ended) this.#running = null;
      this.#wake();
      // Who began to wait when the last round had ended, and this had not, would wait for the next one.
      if (this.#running === null) this.#resolveWaiters();
    }
  }

  async #round(desired: Desired, version: number): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const newest = () => this.#version === version && this.#state === "open";
    const report = await this.#kernel.round(desired, newest);
    if (report === null) return;
    this.#stats.rounds++;
    this.#stats.lastRoundMs = this.#clock.monotonicMs() - startedMs;
    if (report.full && report.operations === 0) this.#lastNoopMs = this.#stats.lastRoundMs;
    if (this.#settledVersion === version) this.#countRepairs(report.repairs);
    this.#settledVersion = version;
    this.#publish({ desired, ...this.#kernel.status(desired) });
    this.#resolveWaiters();
  }

  #resolveWaiters(): void {
    const version = this.#settledVersion;
    for (const waiter of this.#waiters) {
      if (waiter.version <= version) waiter.resolve(this.#result);
    }
    this.#waiters = this.#waiters.filter((waiter) => waiter.version > version);
  }

  #countRepairs(repairs: readonly string[]): void {
    this.#stats.repairs += repairs.length;
    for (const operation of repairs) this.#logger.warn("repaired what was changed", { operation });
  }

  #publish(result: ReconcileResult): void {
    const isNews = textOf(result) !== textOf(this.#result);
    this.#result = result;
    if (result.problems.length === 0) {
      this.#retryAtTick = null;
      this.#retryTicks = FIRST_RETRY_TICKS;
    } else if (this.#retryAtTick === null || this.#retryAtTick <= this.#ticks) {
      this.#retryAtTick = this.#ticks + this.#retryTicks;
      this.#retryTicks = Math.min(this.#retryTicks * 2, FULL_CHECK_TICKS);
    }
    if (!isNews) return;
    for (const { message } of result.problems) this.#logger.error(message);
    this.#onResult(result);
  }

  #tickLater(): void {
    const dueMs = this.#clock.monotonicMs() + TICK_MS;
    this.#cancelTick = this.#clock.schedule(TICK_MS, () => {
      this.#stats.eventLoopDelayMs = Math.max(0, this.#clock.monotonicMs() - dueMs);
      this.#tick();
      this.#tickLater();
    });
  }

  #tick(): void {
    this.#ticks++;
    this.#allowance = ROUNDS_PER_TICK;
    if (this.#running !== null || this.#desired === null) return;
    if (this.#ticks % FULL_CHECK_TICKS === 0) this.#kernel.distrustAll();
    else if (this.#ticks === this.#retryAtTick) this.#kernel.expectAll();
    else this.#kernel.expectWhatNobodyTells(this.#desired);
    this.#wake();
  }
}

/** Equal for equal results, the desired states aside. */
function textOf(result: ReconcileResult): string {
  return JSON.stringify({ ...result, desired: null, encryption: [...result.encryption] });
}
