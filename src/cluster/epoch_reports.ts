import { equalNumbers } from "./equal_numbers.ts";
import type { Id } from "../base/mod.ts";
import type { MemberEpochs } from "../esp/mod.ts";
import type {
  ClusterState,
  InstalledEpochs,
  InstalledSource,
  NodeReport,
  ReportedEpochs,
} from "../state/mod.ts";

/** What one report has changed. */
export interface EpochChanges {
  /** Networks of which others may have to send otherwise now. */
  readonly receiving: readonly Id[];
  /** Networks of which anything that was told is another. */
  readonly any: readonly Id[];
}

/** What a node has told of one network. */
interface Told {
  readonly report: ReportedEpochs;
  /** As others see it; the same object as long as it says the same. */
  shown: InstalledEpochs | null;
}

interface NodeEpochs {
  /** Number of the report. */
  readonly number: number;
  /** The boot key and the incarnation that it came with: under others it counts for nothing. */
  readonly publicKey: string;
  readonly incarnation: Id;
  readonly networks: ReadonlyMap<Id, Told>;
}

const NOTHING: readonly InstalledEpochs[] = [];

/**
 * What nodes have told of their SAs. It belongs to one leadership: a new leader knows nothing until
 * they have reported to it, and then nobody's silence is taken for an answer.
 */
export class EpochReports implements InstalledSource {
  readonly #state: () => ClusterState;
  readonly #seen = new Map<Id, number>();
  readonly #nodes = new Map<Id, NodeEpochs>();
  readonly #installed = new Map<Id, readonly InstalledEpochs[]>();

  constructor(state: () => ClusterState) {
    this.#state = state;
  }

  /**
   * Counts a report in. Gives the highest number that was seen before: a report that is not above it is
   * late, or comes from a copy of the machine.
   */
  see(nodeId: Id, number: number): number {
    const before = Math.max(
      this.#seen.get(nodeId) ?? 0,
      this.#state().nodes.get(nodeId)?.bootKey?.reportNumber ?? 0,
    );
    this.#seen.set(nodeId, Math.max(before, number));
    return before;
  }

  /** Takes what a report says of epochs. Its boot key is the committed one. */
  record(nodeId: Id, { number, bootKey, epochs }: NodeReport): EpochChanges {
    const before = this.#nodes.get(nodeId);
    // While this one's boot key was on its way into the log, a newer one may have overtaken it.
    if (bootKey === null || (before !== undefined && before.number > number)) return UNCHANGED;
    const { publicKey, incarnation } = bootKey;
    const sameKey = before?.publicKey === publicKey && before.incarnation === incarnation;
    const old: ReadonlyMap<Id, Told> = sameKey ? before.networks : new Map();
    if (epochs === null) {
      if (!sameKey) this.#nodes.delete(nodeId);
      return sameKey ? UNCHANGED : changesOf(before?.networks ?? new Map(), new Map());
    }
    const networks = new Map<Id, Told>();
    for (const report of epochs) networks.set(report.networkId, { report, shown: null });
    this.#nodes.set(nodeId, { number, publicKey, incarnation, networks });
    const changes = changesOf(sameKey ? old : before?.networks ?? old, networks);
    for (const [networkId, told] of networks) told.shown = old.get(networkId)?.shown ?? null;
    return changes;
  }

  /** The node has no boot key, or is no member any more: what it told is of no use. */
  forget(nodeId: Id): EpochChanges {
    const before = this.#nodes.get(nodeId);
    this.#nodes.delete(nodeId);
    return before === undefined ? UNCHANGED : changesOf(before.networks, new Map());
  }

  /** The node is no member any more. */
  remove(nodeId: Id): void {
    this.#nodes.delete(nodeId);
    this.#seen.delete(nodeId);
  }

  installed(networkId: Id): readonly InstalledEpochs[] {
    const keys = this.#state().networks.get(networkId)?.keys ?? null;
    if (keys === null) {
      this.#installed.delete(networkId);
      return NOTHING;
    }
    const live = new Set(keys.epochs.map(({ epoch }) => epoch));
    const all: InstalledEpochs[] = [];
    for (const { nodeId, leftAtEpoch } of keys.holders) {
      const told = leftAtEpoch === null ? this.#told(nodeId, networkId) : null;
      if (told !== null) all.push(shownOf(told, nodeId, live));
    }
    const last = this.#installed.get(networkId);
    if (last?.length === all.length && last.every((one, place) => one === all[place])) return last;
    this.#installed.set(networkId, all);
    return all;
  }

  /** Everybody who may have SAs of the network, and what they have told, as the rules want it. */
  members(networkId: Id): MemberEpochs[] {
    const keys = this.#state().networks.get(networkId)?.keys ?? null;
    if (keys === null) return [];
    const members: MemberEpochs[] = keys.holders.map(({ nodeId }) => ({
      node: nodeId,
      report: this.#told(nodeId, networkId)?.report ?? null,
    }));
    for (const node of keys.formerHolders) {
      // It sends to nobody, so its silence holds nothing up; only SAs that it still has do.
      const report = this.#told(node, networkId)?.report ?? null;
      if (report !== null && report.installed.length > 0) {
        members.push({ node, report: { ...report, oldestSending: null } });
      }
    }
    return members;
  }

  /** Whether somebody on the network needs an epoch after this one. */
  wantsAfter(networkId: Id, epoch: number): boolean {
    const keys = this.#state().networks.get(networkId)?.keys ?? null;
    return keys !== null &&
      keys.holders.some(({ nodeId, leftAtEpoch }) =>
        leftAtEpoch === null && this.#told(nodeId, networkId)?.report.wantsAfter === epoch
      );
  }

  #told(nodeId: Id, networkId: Id): Told | null {
    const state = this.#state();
    const told = this.#nodes.get(nodeId);
    if (told === undefined || told.incarnation !== state.incarnation) return null;
    const bootKey = state.nodes.get(nodeId)?.bootKey;
    if (bootKey?.publicKey !== told.publicKey || bootKey.incarnation !== told.incarnation) {
      return null;
    }
    return told.networks.get(networkId) ?? null;
  }
}

const UNCHANGED: EpochChanges = { receiving: [], any: [] };

function changesOf(before: ReadonlyMap<Id, Told>, after: ReadonlyMap<Id, Told>): EpochChanges {
  const receiving: Id[] = [];
  const any: Id[] = [];
  for (const networkId of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(networkId)?.report, after.get(networkId)?.report];
    const receives = old !== undefined && now !== undefined && old.upTo === now.upTo &&
      equalNumbers(old.installed, now.installed);
    if (!receives) receiving.push(networkId);
    const same = receives && old.oldestSending === now.oldestSending &&
      old.wantsAfter === now.wantsAfter;
    if (!same) any.push(networkId);
  }
  return { receiving, any };
}

/** Only live ones: that SAs of a retired one have gone is nobody's news. */
function shownOf(told: Told, nodeId: Id, live: ReadonlySet<number>): InstalledEpochs {
  const { networkId, installed, upTo } = told.report;
  const epochs = installed.filter((epoch) => live.has(epoch)).sort((left, right) => left - right);
  const { shown } = told;
  if (shown !== null && shown.upTo === upTo && equalNumbers(shown.epochs, epochs)) return shown;
  told.shown = { networkId, nodeId, epochs, upTo };
  return told.shown;
}
