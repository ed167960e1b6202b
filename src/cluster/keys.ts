import {
  type Clock,
  formatPrincipal,
  type Id,
  type Logger,
  type Principal,
  type Random,
} from "../base/mod.ts";
import type {
  Applied,
  ClusterState,
  Command,
  CommandKind,
  CommandValues,
  InstalledSource,
  Network,
  NetworkKeys,
  NodeReport,
  Outcome,
} from "../state/mod.ts";
import type { MemberReport, NetworkWriteRequest, RotateRequest, WriteRequest } from "./calls.ts";
import { EpochReports } from "./epoch_reports.ts";
import { GoneReports } from "./gone_reports.ts";
import { hostnameOf, KeyDuty, type Opening } from "./key_duty.ts";
import { KeyTaker } from "./key_taker.ts";
import { RefusedError } from "./refused_error.ts";
import { Spread } from "./spread.ts";

/** What {@linkcode Keys} needs of the control plane. */
export interface KeysLedger {
  readonly state: ClusterState;
  stateTimeMs(): number;
  write(request: WriteRequest): Promise<Outcome>;
  writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]>;
  writeOwn(command: Command): Promise<void>;
}

/** All that a leader does about the keys of encrypted networks. */
export class Keys {
  readonly #ledger: KeysLedger;
  readonly #epochs: EpochReports;
  readonly #taker: KeyTaker;
  readonly #gone = new GoneReports();
  readonly #duty: KeyDuty;
  readonly #spread: Spread;

  /** `refresh` makes the projections of these nodes anew. */
  constructor(
    ledger: KeysLedger,
    refresh: (nodeIds: ReadonlySet<Id>) => void,
    ports: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {
    this.#ledger = ledger;
    this.#epochs = new EpochReports(() => ledger.state);
    this.#taker = new KeyTaker(ledger, this.#epochs, ports);
    this.#spread = new Spread(ports.clock, (networkIds) => {
      refresh(new Set([...networkIds].flatMap((id) => ledger.state.nodesOfNetwork(id))));
    });
    const [epochs, gone] = [this.#epochs, this.#gone];
    this.#duty = new KeyDuty(ledger, {
      members: (networkId) => epochs.members(networkId),
      wantsAfter: (networkId, epoch) => epochs.wantsAfter(networkId, epoch),
      free: (state) => gone.free(state),
    }, ports);
    this.#duty.begin();
  }

  /** For projections. */
  get installed(): InstalledSource {
    return this.#epochs;
  }

  /** A projection goes out. */
  sent(nodeId: Id, digest: string, goneUpTo: number): void {
    this.#gone.sent(nodeId, digest, goneUpTo);
  }

  /** Counts a report in, in the order in which they come. Gives what its answer says. */
  see(nodeId: Id, report: NodeReport): number {
    const seenBefore = this.#epochs.see(nodeId, report.number);
    if (report.number > seenBefore && this.#gone.applied(nodeId, report.applied)) {
      this.#duty.pokeAll();
    }
    return seenBefore;
  }

  /** Takes a report that was counted in. */
  async take(nodeId: Id, report: NodeReport, seenBefore: number): Promise<void> {
    // Late, or from a copy of the machine: what it has in its kernel is not what the node has.
    if (report.number <= seenBefore) return;
    const { receiving, any } = await this.#taker.take(nodeId, report);
    this.#spread.add(receiving);
    this.#duty.poke(any);
  }

  /** What has been told of a network's epochs, by those who have an endpoint on it or had one. */
  members(networkId: Id): readonly MemberReport[] {
    const keys = this.#ledger.state.networks.get(networkId)?.keys ?? null;
    if (keys === null) return [];
    const reports = new Map(
      this.#epochs.members(networkId).map(({ node, report }) => [node, report]),
    );
    return keys.holders.map(({ nodeId, leftAtEpoch }) => {
      const report = reports.get(nodeId) ?? null;
      return {
        nodeId,
        state: leftAtEpoch === null ? "attached" : "left",
        report: report === null
          ? null
          : { installed: report.installed, oldestSending: report.oldestSending },
      };
    });
  }

  onApplied({ changed }: Applied): void {
    for (const nodeId of changed.removedNodes) {
      this.#epochs.remove(nodeId);
      this.#taker.forget(nodeId);
      this.#gone.forget(nodeId);
    }
    if (changed.removedNodes.size > 0) this.#duty.pokeAll();
    else this.#duty.begin();
  }

  /** Makes a network; its first secret is drawn here and shown to nobody. */
  createNetwork({ network, ...origin }: NetworkWriteRequest): Promise<Outcome> {
    const { encryption, ...body } = network;
    return this.#ledger.write({
      ...origin,
      command: {
        kind: "network.create",
        body: encryption === undefined
          ? body
          : { ...body, encryption: { ...encryption, secret: this.#duty.newSecret() } },
      },
    });
  }

  /**
   * Begins a network's next epoch. A request that was answered before gets that answer again, whatever
   * the network has come to since.
   *
   * @throws {RefusedError} `rotation-waiting`
   */
  rotate({ networkId, ...origin }: RotateRequest): Promise<Outcome> {
    return this.#duty.exclusively(() => {
      const { state } = this.#ledger;
      const network = state.networks.get(networkId);
      const keys = network?.keys ?? null;
      const opening = network === undefined || keys === null
        ? null
        : this.#duty.opening({ ...network, keys });
      if (
        opening?.kind === "wait" && network !== undefined && keys !== null &&
        !state.isAnswered({ ...origin, principal: formatPrincipal(origin.principal) })
      ) throw this.#waiting(network, keys, opening);
      return this.#ledger.write({
        ...origin,
        command: {
          kind: "network.rotate",
          // What is not there, or not encrypted, is rejected for that.
          body: { id: networkId, epoch: opening?.epoch ?? 1, secret: this.#duty.newSecret() },
        },
      });
    });
  }

  close(): void {
    this.#duty.close();
    this.#spread.close();
  }

  #waiting(
    { name }: Network,
    keys: NetworkKeys,
    { epoch, lag, nodes }: Opening & { readonly kind: "wait" },
  ): RefusedError {
    const names = nodes.map((nodeId) => hostnameOf(this.#ledger.state, nodeId)).sort();
    const who = names.length === 0 ? "" : ` on ${names.slice(0, 20).join(", ")}`;
    const isLive = keys.epochs.some((one) => one.epoch === lag);
    return new RefusedError({
      code: "rotation-waiting",
      message: `${name} cannot go to epoch ${epoch} yet: epoch ${lag} is still in use${who}. ` +
        (isLive
          ? "It ends when these hosts have moved on, or at its limit (epochLimitMs); a host that is gone for good holds it up no more after agent node rm"
          : "Wait until these hosts have removed what they have of it; a host that is gone for good holds it up no more after agent node rm"),
      details: { epoch, inUse: lag, nodes: nodes.slice(0, 100), hostnames: names.slice(0, 100) },
    });
  }
}
