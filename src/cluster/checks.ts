import { type Cancel, type Clock, type Id, type Logger } from "../base/mod.ts";
import type {
  CheckOrder,
  CheckReport,
  ClusterState,
  DirectionVerdict,
  NetworkCheck,
} from "../state/mod.ts";
import { type CheckedEnd, diagnose } from "./diagnose.ts";
import { hostnameOf } from "./key_duty.ts";

/** A host takes three seconds when something is not well; who has not told by then does not take part. */
const REPORTS_WITHIN_MS = 8_000;
/** More verdicts are of no use to a person; those with a fault come first. */
const MAX_VERDICTS = 1_000;
/** The log names so many of them. */
const MAX_LOGGED = 20;

/** What {@linkcode Checks} needs. */
export interface ChecksOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: () => ClusterState;
  readonly newId: () => Id;
  /** Sends an order to those of the nodes that have a stream. */
  readonly order: (nodeIds: readonly Id[], order: CheckOrder) => void;
}

interface Running {
  readonly order: CheckOrder;
  readonly participants: readonly Id[];
  readonly reports: Map<Id, CheckReport>;
  readonly done: () => void;
}

/**
 * Has the hosts of an encrypted network probe each other, gathers what they found, and says what is to blame
 * where something did not come through. It only tells: nothing is opened or closed by it. What is known of
 * checks belongs to one leadership.
 */
export class Checks {
  readonly #options: ChecksOptions;
  readonly #running = new Map<Id, Running>();
  readonly #newest = new Map<Id, NetworkCheck>();
  /** One check of a network at a time: two would be in each other's way on the hosts. */
  readonly #turns = new Map<Id, Promise<void>>();
  #closed = false;

  constructor(options: ChecksOptions) {
    this.#options = options;
  }

  /** The newest check of a network, be it running; null: there was none in this leadership. */
  of(networkId: Id): NetworkCheck | null {
    return this.#newest.get(networkId) ?? null;
  }

  /**
   * Begins a check, or joins one of all pairs that has not finished.
   *
   * @param nodeIds only pairs with one of these; null: all pairs
   */
  start(networkId: Id, cause: NetworkCheck["cause"], nodeIds: readonly Id[] | null): NetworkCheck {
    const before = this.#newest.get(networkId);
    if (before !== undefined && before.finishedAtMs === null && before.cause === "asked") {
      return before;
    }
    const { clock, newId } = this.#options;
    const begun: NetworkCheck = {
      checkId: newId(),
      networkId,
      cause,
      startedAtMs: clock.nowMs(),
      finishedAtMs: null,
      directions: 0,
      passed: 0,
      verdicts: [],
    };
    this.#newest.set(networkId, begun);
    const turn = (this.#turns.get(networkId) ?? Promise.resolve())
      .then(() => this.#run(begun, nodeIds))
      .catch((error) => this.#fail(begun, error));
    this.#turns.set(networkId, turn);
    void turn.then(() => {
      if (this.#turns.get(networkId) === turn) this.#turns.delete(networkId);
    });
    return begun;
  }

  /** Takes what a node has found; of no check that is running, it is nobody's concern. */
  take(nodeId: Id, report: CheckReport): void {
    const running = this.#running.get(report.networkId);
    if (running?.order.checkId !== report.checkId || !running.participants.includes(nodeId)) return;
    running.reports.set(nodeId, report);
    if (running.reports.size === running.participants.length) running.done();
  }

  /** What is under way ends without a result. */
  close(): void {
    this.#closed = true;
    for (const { done } of this.#running.values()) done();
  }

  async #run(begun: NetworkCheck, nodeIds: readonly Id[] | null): Promise<void> {
    if (this.#closed) return;
    const { clock, state, order } = this.#options;
    const { networkId, checkId } = begun;
    const keys = state().networks.get(networkId)?.keys ?? null;
    const attached = keys?.holders.filter(({ leftAtEpoch }) => leftAtEpoch === null) ?? [];
    const participants = attached.map(({ nodeId }) => nodeId);
    const { promise, resolve } = Promise.withResolvers<void>();
    const reports = new Map<Id, CheckReport>();
    const running = {
      order: { networkId, checkId, nodeIds },
      participants,
      reports,
      done: resolve,
    };
    let cancel: Cancel = () => {};
    if (participants.length < 2) resolve();
    else {
      this.#running.set(networkId, running);
      cancel = clock.schedule(REPORTS_WITHIN_MS, resolve);
      order(participants, running.order);
    }
    await promise;
    cancel();
    this.#running.delete(networkId);
    if (this.#closed) return;
    const finished = await this.#judge(begun, running);
    if (this.#newest.get(networkId)?.checkId === checkId) this.#newest.set(networkId, finished);
    this.#tell(finished);
  }

  async #judge(begun: NetworkCheck, { order, participants, reports }: Running) {
    const { clock, state } = this.#options;
    const { nodeIds } = order;
    const ends = participants.map((nodeId): CheckedEnd => {
      const report = reports.get(nodeId) ?? null;
      const peers = new Map(report?.peers.map((peer) => [peer.nodeId, peer]));
      return { nodeId, hostname: hostnameOf(state(), nodeId), report, peers };
    });
    const port = portOf(state(), begun.networkId);
    const concerns = nodeIds === null ? null : new Set(nodeIds);
    const faults: DirectionVerdict[] = [];
    const good: DirectionVerdict[] = [];
    let [directions, passed] = [0, 0];
    for (const from of ends) {
      // A thousand others each: the thread is not held for all of them.
      await new Promise<void>((resolve) => void clock.schedule(0, resolve));
      for (const to of ends) {
        const isMeant = concerns === null || concerns.has(from.nodeId) || concerns.has(to.nodeId);
        if (from === to || !isMeant) continue;
        directions++;
        const verdict = diagnose(from, to, port);
        const isGood = verdict.small.outcome === "ok" && verdict.full.outcome === "ok";
        if (isGood) passed++;
        const list = isGood ? good : faults;
        if (list.length < MAX_VERDICTS) list.push(verdict);
      }
    }
    const verdicts = [...faults, ...good].slice(0, MAX_VERDICTS);
    return { ...begun, finishedAtMs: clock.nowMs(), directions, passed, verdicts };
  }

  #tell({ networkId, cause, directions, passed, verdicts }: NetworkCheck): void {
    const { logger, state } = this.#options;
    const network = state().networks.get(networkId)?.name ?? networkId;
    if (directions > 0) {
      logger.info("Hosts of an encrypted network have probed each other", {
        network,
        cause,
        directions,
        passed,
      });
    }
    let logged = 0;
    for (const { from, to, small, full } of verdicts) {
      for (const [size, { outcome, reason }] of [["small", small], ["full", full]] as const) {
        if (outcome === "ok" || logged++ >= MAX_LOGGED) continue;
        logger.warn("Packets of an encrypted network do not get from one host to another", {
          network,
          from: hostnameOf(state(), from),
          to: hostnameOf(state(), to),
          size,
          blame: outcome,
          reason,
        });
      }
    }
  }

  #fail(begun: NetworkCheck, error: unknown): void {
    const { clock, logger } = this.#options;
    this.#running.delete(begun.networkId);
    this.#newest.set(begun.networkId, { ...begun, finishedAtMs: clock.nowMs() });
    logger.error("A check of an encrypted network came to nothing", {
      network: begun.networkId,
      reason: error instanceof Error ? error.message : String(error),
    });
  }
}

function portOf(state: ClusterState, networkId: Id): number {
  const slot = state.networks.get(networkId)?.keys?.slot ?? 0;
  return state.settings.encryptedVxlanPortBase + slot;
}
