import { setImmediate } from "node:timers";
import { type Cancel, InvariantError, type Random } from "../base/mod.ts";
import { type Limits, type MemberId, Raft, type Ready } from "../raft/mod.ts";
import { Compaction, type CompactionOptions } from "./compaction.ts";
import { Courier, type Network } from "./courier.ts";
import type { RaftDisk } from "./disk.ts";
import { DataLostError, type LeaderHint, NotLeaderError, StoreFailedError } from "./errors.ts";
import { Leading } from "./leading.ts";
import type { StateMachine } from "./port.ts";
import { Proposals } from "./proposals.ts";
import { Readers } from "./readers.ts";
import { LOCAL_TIMING, type Timing } from "./timing.ts";

/** What {@linkcode Driver} is made of. */
export interface DriverOptions<Result> extends CompactionOptions {
  readonly memberId: MemberId;
  readonly disk: RaftDisk;
  readonly machine: StateMachine<Result>;
  readonly random: Random;
  /** `null`: there are no others, and so nothing that time could decide. */
  readonly network: Network | null;
  readonly onFailure: (error: StoreFailedError | DataLostError) => void;
  readonly timing?: Timing;
  readonly tickMs?: () => number;
  readonly addressOf?: (id: MemberId) => string | null;
  readonly limits?: Partial<Limits>;
}

/**
 * One member: the core, and around it what the core must not have. All that comes in one turn of the
 * event loop shares one {@linkcode Ready}: a crowd of writers costs one transaction, one message to
 * each member and one fsync on each disk, as a single one does.
 */
export class Driver<Result> {
  readonly raft: Raft;
  readonly disk: RaftDisk;
  readonly leading: Leading;
  /** Who waits for entries of the caller's. */
  readonly proposals: Proposals<Result> = new Proposals();
  /** Who waits for changes of the membership. */
  readonly changes: Proposals<void> = new Proposals();
  readonly readers: Readers = new Readers();
  readonly watchers: Set<(results: readonly Result[]) => void> = new Set();
  failure: StoreFailedError | DataLostError | null = null;
  readonly #options: DriverOptions<Result>;
  readonly #timing: Timing;
  readonly #courier: Courier | null;
  readonly #compaction: Compaction;
  /** Told to the others already, and not saved yet. */
  #unsaved: Ready | null = null;
  /** Called after each turn's work, until they say that they have seen enough. */
  readonly #waiters = new Set<() => boolean>();
  #isScheduled = false;
  #isOver = false;
  #cancelTick: Cancel = () => {};

  /** @throws {DataLostError} when the disk has less than was promised with it */
  constructor(options: DriverOptions<Result>) {
    const { memberId, disk, machine, random, network, timing = LOCAL_TIMING } = options;
    this.#options = options;
    this.#timing = timing;
    this.disk = disk;
    const { heartbeatTicks, electionTicks } = timing;
    const limits = { ...options.limits, heartbeatTicks, electionTicks };
    this.raft = new Raft({ id: memberId, storage: disk, random, floor: disk.floor, limits });
    if (this.raft.damage !== null) throw lossOf(this.raft.damage);
    this.leading = new Leading(this.raft);
    this.#courier = network === null ? null : new Courier(network, memberId, disk.incarnation);
    this.#compaction = new Compaction({
      disk,
      appliedIndex: () => this.raft.status().applied,
      encode: () => {
        const meta = this.raft.snapshotMeta();
        return meta === null ? null : { meta, bytes: machine.encodeSnapshot() };
      },
      fail: (cause) => this.fail(cause),
    }, options);
  }

  /** As it is now. */
  get timing(): Timing {
    return { ...this.#timing, tickMs: this.#options.tickMs?.() ?? this.#timing.tickMs };
  }

  /** Begins to take part; a sole voter leads when this returns. @throws what the disk throws */
  start(): void {
    const { memberId, machine, network } = this.#options;
    if (this.disk.snapshot().index > 0) machine.restoreSnapshot(this.disk.snapshotBytes());
    const { voters } = this.raft.status().membership;
    // Nobody else could lead. Where others might, one of them does, or the time will come.
    if (voters.length === 1 && voters[0] === memberId) this.raft.campaign();
    this.#tellMembers();
    while (!this.#handleAll());
    // From here on nothing throws.
    this.#courier?.listen((message) => {
      const complaint = this.#guarded(() => this.raft.step(message));
      this.schedule();
      return complaint?.reason ?? null;
    });
    if (network !== null) this.#planTick(network);
  }

  /** Whether there is no way to others. */
  get isAlone(): boolean {
    return this.#courier === null;
  }

  get leader(): LeaderHint | null {
    const id = this.raft.leader;
    return id === null ? null : { id, address: this.#options.addressOf?.(id) ?? null };
  }

  /** Something was asked of the core: what follows from it is done at the end of this turn. */
  schedule(): void {
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isOver) this.#work();
      for (const waiter of [...this.#waiters]) if (waiter()) this.#waiters.delete(waiter);
    });
  }

  /** Resolves when `condition` holds, or so many ticks have passed, or all is over. */
  until(condition: () => boolean, ticks: number): Promise<void> {
    const isDone = () => condition() || this.#isOver;
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.network?.clock.schedule(ticks * this.timing.tickMs, () => {
        this.#waiters.delete(waiter);
        resolve();
      });
      const waiter = () => {
        if (!isDone()) return false;
        cancel?.();
        resolve();
        return true;
      };
      this.#waiters.add(waiter);
      this.schedule();
    });
  }

  /**
   * The end, for good: after a failed fsync the kernel may have dropped the pages, and a second fsync
   * may say that all is well; after a broken invariant nothing can be relied on.
   */
  fail(cause: unknown): void {
    if (this.#isOver) return;
    this.failure = failureOf(cause);
    this.#end();
    this.rejectAll(this.failure);
    this.#options.onFailure(this.failure);
    this.leading.announce(null);
    for (const waiter of [...this.#waiters]) waiter();
  }

  rejectAll(error: Error): void {
    this.proposals.rejectAll(error);
    this.changes.rejectAll(error);
    this.readers.rejectAll(error);
  }

  /** Takes no more part, and lets go of the files. */
  async stop(): Promise<void> {
    await this.#compaction.stop();
    if (this.failure !== null) return this.disk.release();
    this.#end();
    this.leading.announce(null);
    // Nothing that was promised depends on this last write.
    try {
      this.disk.close();
    } catch (cause) {
      this.failure = failureOf(cause);
      this.#options.onFailure(this.failure);
    }
  }

  #end(): void {
    this.#isOver = true;
    this.#cancelTick();
    this.#courier?.close();
  }

  #planTick(network: Network): void {
    this.#cancelTick = network.clock.schedule(this.timing.tickMs, () => {
      // One tick, however late: a process that stood still has not failed to hear anybody.
      this.#guarded(() => this.raft.tick());
      if (this.#isOver) return;
      this.schedule();
      this.#planTick(network);
    });
  }

  /** What comes from outside must not be able to throw; a broken invariant is the end. */
  #guarded<T>(act: () => T): T | null {
    try {
      return act();
    } catch (cause) {
      this.fail(cause);
      return null;
    }
  }

  #work(): void {
    try {
      if (!this.#handleAll()) return this.schedule();
      if (this.raft.damage !== null) return this.fail(lossOf(this.raft.damage));
      const { role, term } = this.raft;
      const led = role === "leader" ? term : null;
      this.proposals.abandonAllBut(led);
      this.changes.abandonAllBut(led);
      const sending = role === "leader" &&
        this.raft.status().peers.some(({ state }) => state === "snapshot");
      this.#compaction.consider({ sending });
    } catch (cause) {
      this.fail(cause);
    }
  }

  /**
   * Does all there is to do, in the order that `raft/mod.ts` prescribes.
   *
   * @returns false when the others have been told something that has to be saved here: what was written to
   *   them leaves in the next turn, and the disk would hold the thread before that
   */
  #handleAll(): boolean {
    const { raft, disk } = this;
    for (;;) {
      const ready = this.#unsaved ?? raft.ready();
      if (ready === null) break;
      if (this.#unsaved === null && ready.early.length > 0) {
        this.#courier?.send(ready.early);
        if (ready.mustSync) {
          this.#unsaved = ready;
          return false;
        }
      }
      this.#unsaved = null;
      disk.save(ready);
      this.#courier?.send(ready.messages);
      this.#apply(ready);
      raft.advance();
      if (ready.entries.length > 0 || ready.snapshot !== null) this.#tellMembers();
    }
    this.leading.announce();
    return true;
  }

  #apply(ready: Ready): void {
    const { machine } = this.#options;
    const { proposals, changes, readers, watchers } = this;
    if (ready.snapshot !== null) {
      machine.restoreSnapshot(this.disk.snapshotBytes());
      for (const watcher of watchers) watcher([]);
    }
    const results: Result[] = [];
    const settle: (() => void)[] = [];
    for (const entry of ready.committed) {
      if (entry.kind === "data") {
        const result = machine.apply(entry.data);
        results.push(result);
        settle.push(() => proposals.applied(entry, result));
        changes.passed(entry);
      } else {
        settle.push(() => changes.applied(entry));
        proposals.passed(entry);
      }
    }
    if (results.length > 0) { for (const watcher of watchers) watcher(results); }
    for (const done of settle) done();
    const last = ready.committed.at(-1);
    if (last !== undefined) this.leading.applied(last.term);
    readers.confirmed(ready.reads);
    readers.lost(ready.lostReads, () => new NotLeaderError(this.leader));
    readers.applied(last?.index ?? this.raft.status().applied);
  }

  #tellMembers(): void {
    const { voters, learners } = this.raft.status().membership;
    this.#courier?.setMembers([...voters, ...learners]);
  }
}

function failureOf(cause: unknown): StoreFailedError | DataLostError {
  if (cause instanceof StoreFailedError || cause instanceof DataLostError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreFailedError(
    cause instanceof InvariantError
      ? `An invariant is broken (${reason}): this manager acknowledges nothing more`
      : `The disk refused a write (${reason}): this manager acknowledges nothing more`,
    { cause },
  );
}

function lossOf(damage: string): DataLostError {
  return new DataLostError(
    `${damage}. This manager votes for nobody and acknowledges nothing any more. Remove it from the ` +
      "cluster and let the host join again; where it is the only one, restore a backup",
  );
}
