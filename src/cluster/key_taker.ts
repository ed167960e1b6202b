import { type Clock, type Id, type Logger, type Principal } from "../base/mod.ts";
import type {
  ClusterState,
  Command,
  CommandKind,
  CommandValues,
  NodeReport,
} from "../state/mod.ts";
import type { EpochChanges, EpochReports } from "./epoch_reports.ts";
import { RefusedError } from "./refused_error.ts";

/** A key that was refused is proposed no more often: it is in every report. */
const ASK_AGAIN_MS = 60_000;

/** What {@linkcode KeyTaker} needs of the control plane. */
export interface KeyTakerLedger {
  readonly state: ClusterState;
  writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]>;
}

interface RefusedKey {
  readonly publicKey: string;
  readonly askAgainAtMs: number;
}

const NO_CHANGES: EpochChanges = { receiving: [], any: [] };

/**
 * What of a report concerns keys. The boot key comes first: what a node tells of its SAs counts only
 * under the boot key that everybody derives with.
 */
export class KeyTaker {
  readonly #ledger: KeyTakerLedger;
  readonly #epochs: EpochReports;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused = new Map<Id, RefusedKey>();

  constructor(
    ledger: KeyTakerLedger,
    epochs: EpochReports,
    ports: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#ledger = ledger;
    this.#epochs = epochs;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Takes a report of a member that is above all that were seen before. */
  async take(nodeId: Id, report: NodeReport): Promise<EpochChanges> {
    if (report.bootKey === null) return this.#epochs.forget(nodeId);
    if (!this.#isCommitted(nodeId, report.bootKey)) {
      await this.#publish(nodeId, report, report.bootKey);
      // Refused, or removed in the meantime.
      if (!this.#isCommitted(nodeId, report.bootKey)) return NO_CHANGES;
    }
    return this.#epochs.record(nodeId, report);
  }

  forget(nodeId: Id): void {
    this.#refused.delete(nodeId);
  }

  #isCommitted(nodeId: Id, reported: NonNullable<NodeReport["bootKey"]>): boolean {
    const { state } = this.#ledger;
    const committed = state.nodes.get(nodeId)?.bootKey ?? null;
    return committed !== null && committed.publicKey === reported.publicKey &&
      committed.bootId === reported.bootId && committed.incarnation === reported.incarnation &&
      committed.incarnation === state.incarnation;
  }

  async #publish(
    id: Id,
    { number }: NodeReport,
    { publicKey, bootId, incarnation }: NonNullable<NodeReport["bootKey"]>,
  ): Promise<void> {
    const node = this.#ledger.state.nodes.get(id);
    // Of another incarnation: it will hear of this one, and make another key.
    if (node === undefined || incarnation !== this.#ledger.state.incarnation) return;
    const refused = this.#refused.get(id);
    const nowMs = this.#clock.monotonicMs();
    if (refused?.publicKey === publicKey && nowMs < refused.askAgainAtMs) return;
    try {
      await this.#ledger.writeOnce({ kind: "node", id, role: node.role }, {
        kind: "node.publish-key",
        body: { id, incarnation, bootKey: { publicKey, bootId, reportNumber: number } },
      });
      this.#refused.delete(id);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#refused.set(id, { publicKey, askAgainAtMs: nowMs + ASK_AGAIN_MS });
      this.#logger.warn("A node's boot key is refused", { node: id, reason: error.message });
    }
  }
}
