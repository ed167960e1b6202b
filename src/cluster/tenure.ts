import {
  type Bytes,
  type Clock,
  formatPrincipal,
  type Id,
  type Logger,
  newId,
  type Principal,
  type Random,
} from "../base/mod.ts";
import {
  type Applied,
  type CertifyReply,
  type CertifyRequest,
  type CheckReport,
  type ClusterState,
  type Command,
  type CommandKind,
  type CommandValues,
  encodeEntry,
  type Entry,
  type JoinReply,
  type JoinRequest,
  type NetworkCheck,
  type Node,
  type NodeReport,
  type Outcome,
  type ReportReply,
  valueOf,
} from "../state/mod.ts";
import { type Leadership, NotLeaderError, type Store } from "../store/mod.ts";
import { Admission } from "./admission.ts";
import { type Backup, makeBackup } from "./backup.ts";
import type {
  CertifiedPrincipal,
  NetworkWriteRequest,
  RotateRequest,
  TokenOutcome,
  TokenWriteRequest,
  View,
  WriteRequest,
} from "./calls.ts";
import { Certifier } from "./certifier.ts";
import { Checks } from "./checks.ts";
import { Issuer } from "./issuer.ts";
import { Keys } from "./keys.ts";
import { ManagersDuty } from "./managers_duty.ts";
import { NewPairs } from "./new_pairs.ts";
import { NodeStreams } from "./node_streams.ts";
import { Presence } from "./presence.ts";
import { RefusedError } from "./refused_error.ts";
import { Reports } from "./reports.ts";
import { requireForgotten, requireSpareable } from "./spareable.ts";
import { TokenMaker } from "./token_maker.ts";

/** What {@linkcode Tenure} stands on. */
export interface TenureOptions {
  readonly store: Store<Applied>;
  readonly leadership: Leadership;
  readonly state: () => ClusterState;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * What a manager does and knows as the leader of one term. Whatever it writes it writes as the leader of
 * that term: when another has led in between, what was decided here may not be right any more, and is
 * refused by the store.
 */
export class Tenure {
  readonly #options: TenureOptions;
  readonly #presence: Presence;
  readonly #streams: NodeStreams;
  readonly #certifier: Certifier;
  readonly #admission: Admission;
  readonly #reports: Reports;
  readonly #keys: Keys;
  readonly #checks: Checks;
  readonly #newPairs: NewPairs;
  readonly #tokens: TokenMaker;
  readonly #managers: ManagersDuty;
  #isOver = false;

  /** Begins to serve; {@linkcode Tenure.close} ends it. */
  constructor(options: TenureOptions) {
    this.#options = options;
    this.#presence = new Presence(options.clock);
    this.#streams = new NodeStreams({
      clock: options.clock,
      state: () => this.state,
      stateTimeMs: () => this.stateTimeMs(),
      installed: () => this.#keys.installed,
      onSent: (nodeId, { digest, goneUpTo }) => this.#keys.sent(nodeId, digest, goneUpTo),
    });
    this.#keys = new Keys(this, (nodeIds) => this.#streams.refresh(nodeIds), options);
    this.#checks = new Checks({
      ...options,
      newId: () => this.newId(),
      order: (nodeIds, order) => this.#streams.order(nodeIds, order),
    });
    this.#newPairs = new NewPairs({
      ...options,
      installed: () => this.#keys.installed,
      isConnected: (nodeId) => this.#streams.isConnected(nodeId),
      onNew: (networkId, nodeIds) => void this.#checks.start(networkId, "new-pair", nodeIds),
    });
    this.#newPairs.begin();
    const issuer = new Issuer(options.clock, options.random);
    this.#admission = new Admission(this, issuer, options);
    this.#certifier = new Certifier(this, issuer, options.clock);
    this.#reports = new Reports(this, options);
    this.#tokens = new TokenMaker(this);
    this.#managers = new ManagersDuty(options);
  }

  /** The state as of the last applied entry. */
  get state(): ClusterState {
    return this.#options.state();
  }

  newId(): Id {
    return newId(this.#options.random);
  }

  /**
   * The time that the next entry would carry. The state's own stands still while nothing is
   * written, and a request that seems to be over a minute old is refused.
   */
  stateTimeMs(): number {
    return Math.max(this.#options.clock.nowMs(), this.state.timeMs);
  }

  /** The state, linearizable. */
  async read(): Promise<View> {
    await this.#options.store.read();
    return {
      state: this.state,
      liveness: (nodeId) => this.#presence.of(nodeId, this.#streams.isConnected(nodeId)),
      members: (networkId) => this.#keys.members(networkId),
      check: (networkId) => this.#checks.of(networkId),
      quorum: () => {
        const { id: leaderId, term, commitIndex, members, mayLose } = this.#options.store.status();
        return { leaderId, term, commitIndex, members, mayLose: mayLose ?? 0 };
      },
    };
  }

  /** All of the state, linearizable and sealed, with the key that opens it. */
  async backup(): Promise<Backup> {
    await this.#options.store.read();
    return makeBackup(this.state, this.#options.random);
  }

  /** Puts a command into the log; resolves when it is durable and applied. */
  async write({ principal, ...request }: WriteRequest): Promise<Outcome> {
    await this.#requireQuorumAfter(request.command);
    return await this.#propose({ ...request, principal: formatPrincipal(principal) });
  }

  /** Makes a network; the secret of an encrypted one is drawn here and shown to nobody. */
  async createNetwork(request: NetworkWriteRequest): Promise<Outcome> {
    return await this.#keys.createNetwork(request);
  }

  /**
   * Begins an encrypted network's next epoch. A request that was answered before gets that answer again.
   *
   * @throws {RefusedError} `rotation-waiting`, with the names of those who still use an epoch that is in
   *   the way
   */
  async rotateNetwork(request: RotateRequest): Promise<Outcome> {
    await this.#options.store.read();
    return await this.#keys.rotate(request);
  }

  /** Has the hosts of an encrypted network probe each other; joins a check that is running. */
  async checkNetwork(networkId: Id): Promise<NetworkCheck> {
    await this.#options.store.read();
    return this.#checks.start(networkId, "asked", null);
  }

  /** What a member has found in a check. @throws {RefusedError} when it is no member any more */
  checked(nodeId: Id, report: CheckReport): Promise<void> {
    this.#member(nodeId);
    this.#checks.take(nodeId, report);
    return Promise.resolve();
  }

  /**
   * What the leader does of its own accord.
   *
   * @throws {RefusedError} when the state rejects it
   */
  async writeOwn(command: Command): Promise<void> {
    const requestId = this.newId();
    const from = this.stateTimeMs();
    const request = { command, requestId, from, bodyHash: requestId, principal: "leader" };
    const outcome = await this.#propose(request);
    if (!outcome.ok) throw new RefusedError(outcome.rejection);
  }

  /**
   * A write of the leader's own, or one that its own rules make safe to repeat.
   *
   * @throws {RefusedError} when the state rejects it
   */
  async writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]> {
    const requestId = this.newId();
    // Not the state's own time, which may stand still: the request would seem to be old.
    const from = this.stateTimeMs();
    const outcome = await this.write({ command, principal, requestId, from, bodyHash: requestId });
    if (!outcome.ok) throw new RefusedError(outcome.rejection);
    return valueOf(command.kind, outcome.value);
  }

  /** Makes a join token; a request that is repeated after a lost reply gets the same token. */
  async createToken(request: TokenWriteRequest): Promise<TokenOutcome> {
    return await this.#tokens.create(request);
  }

  /** Takes in a new member; answers the same again to the same token and key. */
  async join(request: JoinRequest, peerAddress: string): Promise<JoinReply> {
    await this.#options.store.read();
    return await this.#admission.join(request, peerAddress);
  }

  /**
   * Signs a new certificate for a member, or for one who proved to hold a member's key.
   *
   * @throws {RefusedError} when it is no member any more, or its request is no good
   */
  async certify(principal: CertifiedPrincipal, request: CertifyRequest): Promise<CertifyReply> {
    await this.#options.store.read();
    return await this.#certifier.certify(principal, this.#member(principal.id), request);
  }

  /**
   * The stream of a member's projections.
   *
   * @throws {RefusedError} when it is no member any more
   */
  async openStream(nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Bytes>> {
    await this.#options.store.read();
    // Nobody would end a stream that begins after the others have ended.
    if (this.#isOver) throw new NotLeaderError(this.#options.store.leader);
    this.#member(nodeId);
    return this.#streams.open(nodeId, signal);
  }

  /**
   * A member's report: what it has, what of it is gone, what its host is like now. When it
   * resolves, what was said to be gone is gone.
   *
   * @throws {RefusedError} when it is no member any more
   */
  async report(nodeId: Id, report: NodeReport): Promise<ReportReply> {
    // One who was deposed without knowing it may not know of an endpoint at all, and call it gone.
    if (report.gone.length > 0) await this.#options.store.read();
    const node = this.#member(nodeId);
    const seenBefore = this.#keys.see(nodeId, report);
    this.#presence.record(nodeId, report);
    this.#streams.heard(nodeId, report.received);
    await this.#reports.take(node, report);
    await this.#keys.take(nodeId, report, seenBefore);
    return { v: 1, stateTimeMs: this.stateTimeMs(), seenBefore };
  }

  /** Entries were applied: nodes hear of what concerns them. */
  onApplied(results: readonly Applied[]): void {
    for (const applied of results) {
      const { changed } = applied;
      this.#keys.onApplied(applied);
      this.#newPairs.begin();
      if (changed.managers === "changed") this.#streams.refreshAll();
      else this.#streams.refresh(changed.nodes);
      for (const nodeId of changed.removedNodes) {
        this.#streams.drop(nodeId);
        this.#presence.forget(nodeId);
        this.#reports.forget(nodeId);
        this.#certifier.forget(nodeId);
      }
      // It comes again, and is told to ask for a certificate of its new role.
      for (const nodeId of changed.reroledNodes) {
        this.#streams.drop(nodeId);
        this.#certifier.forget(nodeId);
      }
      if (changed.managers === "changed") this.#managers.look();
    }
  }

  /** Ends every stream and every duty. */
  close(): void {
    this.#isOver = true;
    this.#managers.close();
    this.#keys.close();
    this.#newPairs.close();
    this.#checks.close();
    this.#streams.closeAll();
  }

  /** @throws {RefusedError} when the managers that are left could decide nothing */
  async #requireQuorumAfter(command: Command): Promise<void> {
    if (command.kind !== "node.remove" && command.kind !== "node.update") return;
    const node = this.state.nodes.get(command.body.id);
    if (node === undefined) return;
    const { store } = this.#options;
    const wanted = command.kind === "node.remove" ? null : command.body.role ?? node.role;
    if (node.role === "worker" && wanted === "manager") requireForgotten(node, store);
    if (node.role === "manager" && wanted !== "manager") {
      await requireSpareable(node, store, this.state);
    }
  }

  async #propose(
    { command, ...envelope }: Omit<WriteRequest, "principal"> & { readonly principal: string },
  ): Promise<Outcome> {
    const entry: Entry = { v: 1, ...command, ...envelope, at: this.stateTimeMs() };
    const { store, leadership } = this.#options;
    return (await store.propose(encodeEntry(entry), leadership)).outcome;
  }

  /** @throws {RefusedError} when it is not one, or not any more */
  #member(nodeId: Id): Node {
    const node = this.state.nodes.get(nodeId);
    if (node !== undefined) return node;
    const message = `${nodeId} is not a member of this cluster any more`;
    throw new RefusedError({ code: "not-found", message });
  }
}
