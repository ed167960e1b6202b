import { type Clock, type Id, jsonDigest, type Logger, type Principal } from "../base/mod.ts";
import type {
  ClusterState,
  Command,
  CommandKind,
  CommandValues,
  Node,
  NodeFacts,
  NodeReport,
} from "../state/mod.ts";
import { RefusedError } from "./refused_error.ts";

/** One command takes no longer list. */
const MAX_IDS = 1024;
/** What was refused may become right by itself, as when the other holder of a name goes. */
const ASK_AGAIN_MS = 60_000;

/** What {@linkcode Reports} needs of the control plane. */
export interface ReportLedger {
  readonly state: ClusterState;
  writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]>;
}

interface RefusedFacts {
  readonly digest: string;
  readonly askAgainAtMs: number;
}

/** What of the nodes' reports belongs into the log: other facts of a host, and endpoints that are gone. */
export class Reports {
  readonly #ledger: ReportLedger;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused = new Map<Id, RefusedFacts>();

  constructor(
    ledger: ReportLedger,
    ports: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#ledger = ledger;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Resolves when all of `gone` is gone; what else is new is in the log then, or was refused. */
  async take(node: Node, report: NodeReport): Promise<void> {
    const principal: Principal = { kind: "node", id: node.id, role: node.role };
    await this.#describe(node, report.facts, principal);
    const { endpoints } = this.#ledger.state;
    // A node deletes no endpoint but its own, whatever it reports.
    const gone = report.gone.filter((id) => endpoints.get(id)?.nodeId === node.id);
    for (let start = 0; start < gone.length; start += MAX_IDS) {
      const ids = gone.slice(start, start + MAX_IDS);
      await this.#ledger.writeOnce(principal, { kind: "endpoints.delete", body: { ids } });
    }
  }

  /** It is no member any more. */
  forget(nodeId: Id): void {
    this.#refused.delete(nodeId);
  }

  /**
   * A report comes every few seconds, and each time with the same facts: those that were refused
   * must not fill the log.
   */
  async #describe(node: Node, facts: NodeFacts, principal: Principal): Promise<void> {
    const digest = jsonDigest({ ...facts });
    if (digest === jsonDigest({ ...node.facts })) return this.forget(node.id);
    const refused = this.#refused.get(node.id);
    const nowMs = this.#clock.monotonicMs();
    if (refused?.digest === digest && nowMs < refused.askAgainAtMs) return;
    try {
      await this.#ledger.writeOnce(principal, {
        kind: "node.describe",
        body: { id: node.id, facts },
      });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#refused.set(node.id, { digest, askAgainAtMs: nowMs + ASK_AGAIN_MS });
      this.#logger.warn("A node describes its host in a way that is refused", {
        node: node.id,
        reason: error.message,
      });
    }
  }
}
