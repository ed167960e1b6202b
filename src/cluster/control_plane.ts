import { createHmac } from "node:crypto";
import {
  type Bytes,
  type Clock,
  decodeBase32,
  decodeBase64url,
  encodeUtf8,
  formatPrincipal,
  type Id,
  jsonDigest,
  type Logger,
  newId,
  present,
  type Principal,
  type Random,
} from "../base/mod.ts";
import { hashSecret, makeToken, rootPinOf } from "../ca/mod.ts";
import {
  type Applied,
  type CertifyReply,
  type CertifyRequest,
  type ClusterState,
  type Command,
  type CommandBodies,
  encodeEntry,
  type Entry,
  type JoinReply,
  type JoinRequest,
  type NodeFacts,
  type NodeReport,
  type Outcome,
  valueOf,
} from "../state/mod.ts";
import type { Store } from "../store/mod.ts";
import { Admission } from "./admission.ts";
import { Issuer } from "./issuer.ts";
import type { ClusterMachine } from "./machine.ts";
import { NodeStreams } from "./node_streams.ts";
import { type Liveness, Presence } from "./presence.ts";
import { RefusedError } from "./refused_error.ts";

/** A recovering node is answered once in this time: its key alone proves less than a certificate. */
const RECOVERY_INTERVAL_MS = 60_000;
/** The state takes no longer list; a node says the rest again with its next report. */
const MAX_GONE = 1024;
const TOKEN_LABEL = encodeUtf8("agent/token/1");

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

/** A write, as it came: `from` is null for a client's own key. */
export interface WriteRequest {
  /** What is wanted; ids are drawn. */
  readonly command: Command;
  /** Who wants it. */
  readonly principal: Principal;
  /** Names the request: made twice with it, it is done once. */
  readonly requestId: string;
  /** State time at which the id was drawn, or null for a client's own key. */
  readonly from: number | null;
  /** Digest of the request as the client sent it. */
  readonly bodyHash: string;
}

/** A token that somebody wants; the secret's hash is still to come. */
export interface TokenWriteRequest extends Omit<WriteRequest, "command"> {
  /** The command but for the hash. */
  readonly token: Omit<CommandBodies["token.create"], "secretHash">;
}

/** What became of it, and the token's text, if there is a token. */
export interface TokenOutcome {
  /** Of the command. */
  readonly outcome: Outcome;
  /** `AGTKN-1-…`, or null when there is no token. */
  readonly text: string | null;
}

/** Who may ask for a new certificate: a member, or one whose key alone is still known. */
export type CertifiedPrincipal = Extract<Principal, { readonly kind: "node" | "recovering" }>;

/** The trusted roots, DER in base64url. */
export interface CaReply {
  /** Version of the format. */
  readonly v: 1;
  /** Whose roots they are. */
  readonly clusterId: Id;
  /** DER, base64url; the first signs. */
  readonly roots: readonly string[];
}

/** The state as of now, with what only the leader knows. Read it in one turn of the event loop. */
export interface View {
  /** Of one moment: the next `await` may change it. */
  readonly state: ClusterState;
  /** What is known of a node's life. */
  liveness(nodeId: Id): Liveness;
}

/** The leader's half of the control plane, behind the API. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #presence: Presence;
  readonly #streams: NodeStreams;
  readonly #issuer: Issuer;
  readonly #admission: Admission;
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
    });
    this.#issuer = new Issuer(options.clock, options.random);
    this.#admission = new Admission(this, this.#issuer, options);
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
    };
  }

  /** Puts a command into the log; resolves when it is durable and applied. */
  async write(request: WriteRequest): Promise<Outcome> {
    const { requestId, from, bodyHash } = request;
    const entry: Entry = {
      v: 1,
      ...request.command,
      requestId,
      principal: formatPrincipal(request.principal),
      bodyHash,
      from,
      at: this.stateTimeMs(),
    };
    return (await this.#options.store.propose(encodeEntry(entry))).outcome;
  }

  /** A write of the leader's own, or one that its own rules make safe to repeat. */
  writeOnce(principal: Principal, command: Command): Promise<Outcome> {
    const requestId = this.newId();
    return this.write({
      command,
      principal,
      requestId,
      from: this.state.timeMs,
      bodyHash: requestId,
    });
  }

  /**
   * Makes a join token. Its secret is derived from the root key and the token's id, so a request
   * that is repeated after a lost reply gets the same token, though only the hash is stored.
   */
  async createToken(request: TokenWriteRequest): Promise<TokenOutcome> {
    const { token, ...origin } = request;
    const secretHash = hashSecret(this.#tokenSecret(token.id));
    const command: Command = { kind: "token.create", body: { ...token, secretHash } };
    const outcome = await this.write({ ...origin, command });
    if (!outcome.ok) return { outcome, text: null };
    const { id } = valueOf("token.create", outcome.value);
    const root = decodeBase64url(present(this.state.authority.roots[0], "the root certificate"));
    const text = makeToken({ rootSpkiPin: rootPinOf(root), secret: this.#tokenSecret(id) });
    return { outcome, text };
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
    const node = this.state.nodes.get(principal.id);
    if (node === undefined) {
      const message = `${principal.id} is not a member of this cluster any more`;
      throw new RefusedError({ code: "not-found", message });
    }
    if (principal.kind === "recovering") this.#limitRecovery(principal.id);
    const record = await this.#issuer.issueNode(this.state, { ...node, csr: request.csr });
    const outcome = await this.writeOnce(principal, {
      kind: "node.certify",
      body: { id: node.id, certificate: record },
    });
    if (!outcome.ok) throw new RefusedError(outcome.rejection);
    const { certificate } = valueOf("node.certify", outcome.value);
    return { v: 1, certificate, roots: this.state.authority.roots };
  }

  /** The stream of a member's projections. */
  async openStream(nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Bytes>> {
    await this.#options.store.read();
    return this.#streams.open(nodeId, signal);
  }

  /** A member's report: what it has, what of it is gone, what its host is like now. */
  async report(nodeId: Id, report: NodeReport): Promise<{ readonly stateTimeMs: number }> {
    this.#presence.record(nodeId, report);
    this.#streams.heard(nodeId, report.received);
    const principal: Principal = { kind: "node", id: nodeId, role: "worker" };
    const node = this.state.nodes.get(nodeId);
    if (node !== undefined && !sameFacts(node.facts, report.facts)) {
      const command: Command = { kind: "node.describe", body: { id: nodeId, facts: report.facts } };
      const outcome = await this.writeOnce(principal, command);
      if (!outcome.ok) {
        this.#options.logger.warn("A node describes its host in a way that is refused", {
          node: nodeId,
          reason: outcome.rejection.message,
        });
      }
    }
    const gone = report.gone.slice(0, MAX_GONE)
      .filter((id) => this.state.endpoints.get(id)?.nodeId === nodeId);
    if (gone.length > 0) {
      await this.writeOnce(principal, { kind: "endpoints.delete", body: { ids: gone } });
    }
    return { stateTimeMs: this.stateTimeMs() };
  }

  /** Ends every stream; the store is the caller's. */
  close(): void {
    this.#unwatch();
    this.#streams.closeAll();
  }

  #onApplied(results: readonly Applied[]): void {
    for (const { changed } of results) {
      this.#streams.refresh(changed.nodes);
      for (const nodeId of changed.removedNodes) {
        this.#streams.drop(nodeId);
        this.#presence.forget(nodeId);
      }
      if (changed.removedNodes.size > 0) this.#options.onRemoved([...changed.removedNodes]);
    }
  }

  #limitRecovery(nodeId: Id): void {
    const nowMs = this.#options.clock.monotonicMs();
    const last = this.#recoveredAtMs.get(nodeId);
    if (last !== undefined && nowMs - last < RECOVERY_INTERVAL_MS) {
      const message = "This node was given a new certificate less than a minute ago: wait a minute";
      throw new RefusedError({ code: "recovering-too-often", message });
    }
    this.#recoveredAtMs.set(nodeId, nowMs);
  }

  #tokenSecret(tokenId: Id): Bytes {
    const mac = createHmac("sha256", decodeBase64url(this.state.authority.rootKey));
    return new Uint8Array(mac.update(TOKEN_LABEL).update(decodeBase32(tokenId)).digest()).slice(
      0,
      16,
    );
  }
}

function sameFacts(left: NodeFacts, right: NodeFacts): boolean {
  return jsonDigest({ ...left }) === jsonDigest({ ...right });
}
