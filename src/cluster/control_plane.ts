import {
  type Bytes,
  type Clock,
  type Id,
  type Logger,
  newId,
  type Principal,
  type Random,
} from "../base/mod.ts";
import type {
  Applied,
  CertifyReply,
  CertifyRequest,
  CheckReport,
  ClusterState,
  Command,
  CommandKind,
  CommandValues,
  JoinReply,
  JoinRequest,
  NetworkCheck,
  NodeReport,
  Outcome,
  ReportReply,
} from "../state/mod.ts";
import { type Leadership, NotLeaderError, type Store } from "../store/mod.ts";
import type { Backup } from "./backup.ts";
import type {
  CaReply,
  CertifiedPrincipal,
  NetworkWriteRequest,
  RotateRequest,
  TokenOutcome,
  TokenWriteRequest,
  View,
  WriteRequest,
} from "./calls.ts";
import type { ClusterMachine } from "./machine.ts";
import { managerAddresses } from "./managers.ts";
import { RefusedError } from "./refused_error.ts";
import { answerOf } from "./store_answer.ts";
import { Superseded } from "./superseded.ts";
import { Tenure } from "./tenure.ts";

/** What {@linkcode ControlPlane} stands on. */
export interface ControlPlaneOptions {
  /** The log. */
  readonly store: Store<Applied>;
  /** The state that the store feeds. */
  readonly machine: ClusterMachine;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
  /** Where log lines go. */
  readonly logger: Logger;
  /** Called when nodes are members no more, or in another role: their connections have to end. */
  readonly onRemoved: (nodeIds: readonly Id[]) => void;
}

/**
 * A manager's half of the control plane, behind the API. What it does it does as the leader; while
 * another manager leads, everything that only a leader may do is refused with that one's address.
 */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #unwatch: readonly (() => void)[];
  readonly #superseded: Superseded;
  #tenure: Tenure | null = null;
  #managers: ReadonlySet<Id>;

  /** Begins to serve; {@linkcode ControlPlane.close} ends it. */
  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#managers = this.#managersNow();
    this.#superseded = new Superseded(options);
    const { store } = options;
    this.#unwatch = [
      store.watch((results) => this.#onApplied(results)),
      store.watchLeadership((leadership) => this.#onLeadership(leadership)),
    ];
  }

  /** The state as of the last applied entry: for checks that every connection makes. */
  get state(): ClusterState {
    return this.#options.machine.state;
  }

  /** Whether this manager leads. */
  get leads(): boolean {
    return this.#tenure !== null;
  }

  /** A new id for an object about to be made. */
  newId(): Id {
    return newId(this.#options.random);
  }

  /**
   * The later of the state's time and this manager's clock: the state's own stands still while nothing
   * is written.
   */
  stateTimeMs(): number {
    return Math.max(this.#options.clock.nowMs(), this.state.timeMs);
  }

  /**
   * A member has heard of this incarnation of the cluster.
   *
   * @throws {UnavailableError} when this manager leads an earlier one, or another beside it
   */
  heard(incarnation: { readonly generation: number; readonly id: Id }): void {
    // One that follows may not have heard all yet, and says who leads.
    if (this.#tenure === null) return;
    this.#superseded.check(this.state, incarnation);
  }

  /**
   * The cluster's roots: nothing in it is secret.
   *
   * @throws {RefusedError} `no-cluster` on a manager that has not heard from a leader yet
   */
  ca(): CaReply {
    if (!this.state.exists) {
      const message =
        "This manager is joining, and has not heard from a leader yet: ask another one";
      throw new RefusedError({ code: "no-cluster", message });
    }
    return { v: 1, clusterId: this.state.clusterId, roots: this.state.authority.roots };
  }

  /** The state, linearizable. */
  read(): Promise<View> {
    return this.#led((tenure) => tenure.read());
  }

  /** All of the state, linearizable and sealed, with the key that opens it. */
  backup(): Promise<Backup> {
    return this.#led((tenure) => tenure.backup());
  }

  /** Puts a command into the log; resolves when it is durable and applied. */
  write(request: WriteRequest): Promise<Outcome> {
    return this.#led((tenure) => tenure.write(request));
  }

  /** Makes a network; the secret of an encrypted one is drawn here and shown to nobody. */
  createNetwork(request: NetworkWriteRequest): Promise<Outcome> {
    return this.#led((tenure) => tenure.createNetwork(request));
  }

  /**
   * Begins an encrypted network's next epoch. A request that was answered before gets that answer again.
   *
   * @throws {RefusedError} `rotation-waiting`, with the names of those who still use an epoch that is in
   *   the way
   */
  rotateNetwork(request: RotateRequest): Promise<Outcome> {
    return this.#led((tenure) => tenure.rotateNetwork(request));
  }

  /** Has the hosts of an encrypted network probe each other; joins a check that is running. */
  checkNetwork(networkId: Id): Promise<NetworkCheck> {
    return this.#led((tenure) => tenure.checkNetwork(networkId));
  }

  /** What a member has found in a check. @throws {RefusedError} when it is no member any more */
  checked(nodeId: Id, report: CheckReport): Promise<void> {
    return this.#led((tenure) => tenure.checked(nodeId, report));
  }

  /**
   * A write of the leader's own, or one that its own rules make safe to repeat.
   *
   * @throws {RefusedError} when the state rejects it
   */
  writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]> {
    return this.#led((tenure) => tenure.writeOnce<Kind>(principal, command));
  }

  /** Makes a join token; a request that is repeated after a lost reply gets the same token. */
  createToken(request: TokenWriteRequest): Promise<TokenOutcome> {
    return this.#led((tenure) => tenure.createToken(request));
  }

  /** Takes in a new member; answers the same again to the same token and key. */
  join(request: JoinRequest, peerAddress: string): Promise<JoinReply> {
    return this.#led((tenure) => tenure.join(request, peerAddress));
  }

  /**
   * Signs a new certificate for a member, or for one who proved to hold a member's key.
   *
   * @throws {RefusedError} when it is no member any more, or its request is no good
   */
  certify(principal: CertifiedPrincipal, request: CertifyRequest): Promise<CertifyReply> {
    return this.#led((tenure) => tenure.certify(principal, request));
  }

  /**
   * The stream of a member's projections. It ends when this manager leads no more.
   *
   * @throws {RefusedError} when it is no member any more
   */
  openStream(nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Bytes>> {
    return this.#led((tenure) => tenure.openStream(nodeId, signal));
  }

  /**
   * A member's report: what it has, what of it is gone, what its host is like now. When it
   * resolves, what was said to be gone is gone.
   *
   * @throws {RefusedError} when it is no member any more
   */
  report(nodeId: Id, report: NodeReport): Promise<ReportReply> {
    return this.#led((tenure) => tenure.report(nodeId, report));
  }

  /** Ends every stream; the store is the caller's. */
  close(): void {
    for (const end of this.#unwatch) end();
    this.#onLeadership(null);
  }

  /** Lets the leader work; what becomes of the leadership meanwhile is said in the API's terms. */
  async #led<Result>(work: (tenure: Tenure) => Promise<Result>): Promise<Result> {
    const { store } = this.#options;
    try {
      if (this.#tenure === null) throw new NotLeaderError(store.leader);
      return await work(this.#tenure);
    } catch (error) {
      throw answerOf(error, store.status().id);
    }
  }

  #onLeadership(leadership: Leadership | null): void {
    this.#tenure?.close();
    this.#tenure = leadership === null
      ? null
      : new Tenure({ ...this.#options, state: () => this.state, leadership });
  }

  #onApplied(results: readonly Applied[]): void {
    this.#tenure?.onApplied(results);
    const removed = new Set<Id>();
    for (const { changed: { removedNodes, reroledNodes } } of results) {
      for (const nodeId of [...removedNodes, ...reroledNodes]) removed.add(nodeId);
    }
    // A snapshot tells only what there is. Whom else than managers does one who followed speak with?
    const managers = this.#managersNow();
    for (const id of this.#managers) if (!managers.has(id)) removed.add(id);
    this.#managers = managers;
    if (removed.size > 0) this.#options.onRemoved([...removed]);
  }

  #managersNow(): ReadonlySet<Id> {
    return new Set(managerAddresses(this.state).map(({ id }) => id));
  }
}
