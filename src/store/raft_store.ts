import type { MemberId, MembershipChange, Refusal } from "../raft/mod.ts";
import { Driver, type DriverOptions } from "./driver.ts";
import {
  type LeaderHint,
  NotLeaderError,
  OutcomeUnknownError,
  StoreRefusedError,
} from "./errors.ts";
import type { Leadership, ProposeOptions, Store, StoreStatus } from "./port.ts";
import { statusOf } from "./status.ts";

/** A handover takes three messages each way; whoever closes waits for it as long as this. */
const PATIENCE_HEARTBEATS = 5;

/** The port, before one member's {@linkcode Driver}. */
export class RaftStore<Result> implements Store<Result> {
  readonly #driver: Driver<Result>;
  #closing: Promise<void> | null = null;

  constructor(options: DriverOptions<Result>) {
    this.#driver = new Driver(options);
    this.#driver.start();
  }

  get isLeader(): boolean {
    return this.leadership !== null;
  }

  get leadership(): Leadership | null {
    return this.#driver.failure === null ? this.#driver.leading.now : null;
  }

  get leader(): LeaderHint | null {
    return this.#driver.leader;
  }

  propose(entry: Uint8Array, { term }: ProposeOptions = {}): Promise<Result> {
    const { raft, proposals } = this.#driver;
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    if (term !== undefined && raft.term !== term) {
      return Promise.reject(new NotLeaderError(this.leader));
    }
    const proposed = raft.propose(entry);
    if (!proposed.ok) return Promise.reject(this.#refused(proposed.refusal));
    this.#driver.schedule();
    return proposals.wait(proposed.position);
  }

  read(): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    const requested = this.#driver.raft.requestRead();
    if (!requested.ok) return Promise.reject(this.#refused(requested.refusal));
    this.#driver.schedule();
    return this.#driver.readers.wait(requested.id);
  }

  watch(listener: (results: readonly Result[]) => void): () => void {
    const { watchers } = this.#driver;
    watchers.add(listener);
    return () => watchers.delete(listener);
  }

  watchLeadership(listener: (leadership: Leadership | null) => void): () => void {
    return this.#driver.leading.watch(listener);
  }

  status(): StoreStatus {
    const { raft, disk, timing } = this.#driver;
    const snapshotIndex = disk.snapshot().index;
    return statusOf(raft.status(), { leader: this.leader, snapshotIndex, timing });
  }

  addLearner(id: MemberId): Promise<void> {
    return this.#change({ kind: "add-learner", id });
  }

  promote(id: MemberId): Promise<void> {
    return this.#change({ kind: "promote", id });
  }

  remove(id: MemberId): Promise<void> {
    return this.#change({ kind: "remove", id });
  }

  async transferLeadership(to: MemberId | null = this.#successor()): Promise<void> {
    if (to === null) {
      if (this.#driver.failure !== null) throw this.#driver.failure;
      if (this.#driver.raft.role !== "leader") throw new NotLeaderError(this.leader);
      throw new StoreRefusedError("not-a-member", "No other voter is heard that could lead");
    }
    await this.#transfer(to, this.#driver.timing.electionTicks);
  }

  async #transfer(to: MemberId, ticks: number): Promise<void> {
    const driver = this.#driver;
    const { raft } = driver;
    if (driver.failure !== null) throw driver.failure;
    const { id, term } = raft.status();
    const refusal = raft.transferLeadership(to);
    if (refusal !== null) throw this.#refused(refusal);
    const isDone = () => to === id || raft.role !== "leader" || raft.term !== term;
    await driver.until(isDone, ticks);
    if (driver.failure !== null) throw driver.failure;
    if (isDone()) return;
    throw new StoreRefusedError(
      "transferring",
      `${to} did not take the leadership over: is it running, and does it keep up?`,
    );
  }

  close(): Promise<void> {
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    const driver = this.#driver;
    const { proposals, changes } = driver;
    // Managers are often stopped together: who is going too is not waited for long.
    const ticks = PATIENCE_HEARTBEATS * driver.timing.heartbeatTicks;
    const successor = this.#successor();
    if (successor !== null) await this.#transfer(successor, ticks).catch(() => {});
    await driver.until(() => proposals.size + changes.size === 0, ticks);
    driver.rejectAll(
      new OutcomeUnknownError(
        "This manager stopped before the entry was committed: repeat the request under the same " +
          "request id",
      ),
    );
    await driver.stop();
  }

  #change(change: MembershipChange): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    if (this.#driver.isAlone) {
      const reason = "This store was opened without a way to other managers: open it with one";
      return Promise.reject(new StoreRefusedError("alone", reason));
    }
    const proposed = this.#driver.raft.changeMembership(change);
    if (!proposed.ok) return Promise.reject(this.#refused(proposed.refusal));
    this.#driver.schedule();
    return this.#driver.changes.wait(proposed.position);
  }

  /** The voter that is heard and has most of the log, if this member leads and there is one. */
  #successor(): MemberId | null {
    const { raft, timing } = this.#driver;
    const heard = raft.status().peers.filter(({ voter, silentTicks }) =>
      voter && silentTicks < timing.electionTicks
    );
    return heard.toSorted((left, right) => right.match - left.match)[0]?.id ?? null;
  }

  /** Why nothing is taken up any more, or null. */
  #refusal(): Error | null {
    const { failure } = this.#driver;
    if (failure !== null) return failure;
    if (this.#closing === null) return null;
    return new StoreRefusedError("closing", "This manager is stopping: ask another, or later");
  }

  #refused({ code, reason }: Refusal): Error {
    return code === "not-leader"
      ? new NotLeaderError(this.leader)
      : new StoreRefusedError(code, reason);
  }
}
