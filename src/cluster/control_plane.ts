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
  type ClusterState,
  type Command,
  type CommandKind,
  type CommandValues,
  encodeEntry,
  type Entry,
  type JoinReply,
  type JoinRequest,
  type Node,
  type NodeReport,
  type Outcome,
  type ReportReply,
  valueOf,
} from "../state/mod.ts";
import type { Store } from "../store/mod.ts";
import { Admission } from "./admission.ts";
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
import { Issuer } from "./issuer.ts";
import type { ClusterMachine } from "./machine.ts";
import { Keys } from "./keys.ts";
import { NodeStreams } from "./node_streams.ts";
import { Presence } from "./presence.ts";
import { RefusedError } from "./refused_error.ts";
import { Reports } from "./reports.ts";
import { TokenMaker } from "./token_maker.ts";

/** A recovering node is answered once in this time: its key alone proves less than a certificate. */
const RECOVERY_INTERVAL_MS = 60_000;

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
  /** Called when nodes are members no more: their connections have to end. */
  readonly onRemoved: (nodeIds: readonly Id[]) => void;
}

/** The leader's half of the control plane, behind the API. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #presence: Presence;
  readonly #streams: NodeStreams;
  readonly #issuer: Issuer;
  readonly #admission: Admission;
  readonly #reports: Reports;
  readonly #keys: Keys;
  readonly #tokens: TokenMaker;
  readonly #recoveredAtMs = new Map<Id, number>();
  readonly #unwatch: () => void;

  /** Begins to serve; {@linkcode ControlPlane.close} ends it. */
  constructor(options: ControlPlaneOptions) {
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
    this.#issuer = new Issuer(options.clock, options.random);
    this.#admission = new Admission(this, this.#issuer, options);
    this.#reports = new Reports(this, options);
    this.#tokens = new TokenMaker(this);
    this.#unwatch = options.store.watch((results) => this.#onApplied(results));
  }

  /** The state as of the last applied entry: for checks that every connection makes. */
  get state(): ClusterState {
    return this.#options.machine.state;
  }

  /** A new id for an object about to be made. */
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

  /** The cluster's roots: nothing in it is secret. */
  ca(): CaReply {
    return { v: 1, clusterId: this.state.clusterId, roots: this.state.authority.roots };
  }

  /** The state, linearizable. */
  async read(): Promise<View> {
    await this.#options.store.read();
    return {
      state: this.state,
      liveness: (nodeId) => this.#presence.of(nodeId, this.#streams.isConnected(nodeId)),
      members: (networkId) => this.#keys.members(networkId),
    };
  }

  /** Puts a command into the log; resolves when it is durable and applied. */
  write({ principal, ...request }: WriteRequest): Promise<Outcome> {
    return this.#propose({ ...request, principal: formatPrincipal(principal) });
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
    const node = this.#member(principal.id);
    const { publicKey, spkiHash } = this.#issuer.readRequest(request.csr);
    const isKnown = node.certificates.some((record) => record.spkiHash === spkiHash);
    const allowRecovery = principal.kind === "recovering" && !isKnown
      ? this.#limitRecovery(principal.id)
      : () => {};
    try {
      const { id, role } = node;
      const record = await this.#issuer.issueNode(this.state, { id, role, publicKey });
      const { certificate } = await this.writeOnce(principal, {
        kind: "node.certify",
        body: { id, certificate: record },
      });
      return { v: 1, certificate, roots: this.state.authority.roots };
    } catch (error) {
      allowRecovery();
      throw error;
    }
  }

  /**
   * The stream of a member's projections.
   *
   * @throws {RefusedError} when it is no member any more
   */
  async openStream(nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Bytes>> {
    await this.#options.store.read();
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
    const node = this.#member(nodeId);
    const seenBefore = this.#keys.see(nodeId, report);
    this.#presence.record(nodeId, report);
    this.#streams.heard(nodeId, report.received);
    await this.#reports.take(node, report);
    await this.#keys.take(nodeId, report, seenBefore);
    return { v: 1, stateTimeMs: this.stateTimeMs(), seenBefore };
  }

  /** Ends every stream; the store is the caller's. */
  close(): void {
    this.#unwatch();
    this.#keys.close();
    this.#streams.closeAll();
  }

  async #propose(
    { command, ...envelope }: Omit<WriteRequest, "principal"> & { readonly principal: string },
  ): Promise<Outcome> {
    const entry: Entry = { v: 1, ...command, ...envelope, at: this.stateTimeMs() };
    return (await this.#options.store.propose(encodeEntry(entry))).outcome;
  }

  #onApplied(results: readonly Applied[]): void {
    for (const applied of results) {
      const { changed } = applied;
      this.#keys.onApplied(applied);
      if (changed.managers === "changed") this.#streams.refreshAll();
      else this.#streams.refresh(changed.nodes);
      for (const nodeId of changed.removedNodes) {
        this.#streams.drop(nodeId);
        this.#presence.forget(nodeId);
        this.#reports.forget(nodeId);
        this.#recoveredAtMs.delete(nodeId);
      }
      if (changed.removedNodes.size > 0) this.#options.onRemoved([...changed.removedNodes]);
    }
  }

  /** @throws {RefusedError} when it is not one, or not any more */
  #member(nodeId: Id): Node {
    const node = this.state.nodes.get(nodeId);
    if (node !== undefined) return node;
    const message = `${nodeId} is not a member of this cluster any more`;
    throw new RefusedError({ code: "not-found", message });
  }

  /** Counts this try; what it gives takes that back, for a try that came to nothing. */
  #limitRecovery(nodeId: Id): () => void {
    const nowMs = this.#options.clock.monotonicMs();
    const last = this.#recoveredAtMs.get(nodeId);
    if (last !== undefined && nowMs - last < RECOVERY_INTERVAL_MS) {
      const message = "This node was given a new certificate less than a minute ago: wait a minute";
      throw new RefusedError({ code: "recovering-too-often", message });
    }
    this.#recoveredAtMs.set(nodeId, nowMs);
    return () => this.#recoveredAtMs.delete(nodeId);
  }
}
