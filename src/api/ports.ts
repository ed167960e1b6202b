import type { Id, Principal } from "../base/mod.ts";
import type {
  CertifyReply,
  CertifyRequest,
  CheckReport,
  Command,
  CommandBodies,
  Endpoint,
  JoinReply,
  JoinRequest,
  Network,
  NetworkCheck,
  Node,
  NodeReport,
  Outcome,
  Projection,
  ReportedIpsec,
  ReportReply,
  Settings,
  Token,
} from "../state/mod.ts";
import type {
  Attachment,
  AttachmentRequest,
  HostStatus,
  ManagerFollowed,
  PlanView,
} from "./host_types.ts";
import type { CaReply } from "./types.ts";

/** Who wants a change, and what makes a second try the same request. */
export interface Origin {
  /** Who asks. */
  readonly principal: Principal;
  /** The client's own `Idempotency-Key`, or an id that a forwarding node or this app has drawn. */
  readonly requestId: string;
  /** State time at which a drawn id was made; null for the client's own key. */
  readonly from: number | null;
  /** Digest of method, path and body as the client sent them. */
  readonly bodyHash: string;
}

/** A command that somebody wants done. Ids are drawn; names are resolved. */
export interface WriteRequest extends Origin {
  /** What is wanted. */
  readonly command: Command;
}

/** A join token that somebody wants. */
export interface TokenWriteRequest extends Origin {
  /** The secret is drawn by the {@linkcode Control}; the rest of the command is this. */
  readonly token: Omit<CommandBodies["token.create"], "secretHash">;
}

/** A network that somebody wants. */
export interface NetworkWriteRequest extends Origin {
  /** The first secret is drawn by the {@linkcode Control}; the rest of the command is this. */
  readonly network: Omit<CommandBodies["network.create"], "encryption"> & {
    /** Absent: it is not encrypted. */
    readonly encryption?: { readonly rotationIntervalMs?: number };
  };
}

/** Somebody wants a network to have a new key. */
export interface RotateRequest extends Origin {
  /** Which network. */
  readonly networkId: Id;
}

/** What became of a {@linkcode TokenWriteRequest}. */
export interface TokenOutcome {
  /** Of `token.create`. */
  readonly outcome: Outcome;
  /**
   * `AGTKN-1-…`, or null: nothing was made, or this is the second time that the request was made
   * and the text is not known any more, for only the hash of the secret is kept.
   */
  readonly text: string | null;
}

/**
 * A manager's half, as the API needs it. Methods that return a promise may reject with a
 * {@linkcode PortError}; `not-leader` and `unavailable` (no quorum) may come from any of them.
 */
export interface Control {
  /** Draws an id for an object or a request. */
  newId(): Id;
  /**
   * The later of the state's time and this manager's clock: the state's own stands still while
   * nothing is written. Needs no quorum.
   */
  stateTimeMs(): number;
  /**
   * A member has heard of this incarnation. Throws `unavailable` when this manager leads, and leads an
   * earlier one or another beside it: nothing of that may be answered, or done.
   */
  heard(incarnation: Incarnation): void;
  /** The trusted roots as this manager knows them; every manager answers, also without a quorum. */
  ca(): CaReply;
  /** The state, linearizable: all that was acknowledged before the call is in it. */
  read(): Promise<View>;
  /** All of the state as it is now, sealed; the key is drawn for this answer, and kept nowhere. */
  backup(): Promise<Backup>;
  /**
   * Proposes the command and answers when it is committed and applied. Made a second time (same
   * principal, request id and body hash), it answers the outcome of the first.
   *
   * The answer to the client is made from the outcome alone, so that it is the same the second
   * time, though the object may have changed since.
   */
  write(request: WriteRequest): Promise<Outcome>;
  /** Draws a secret if it has to be encrypted, and writes `network.create`. */
  createNetwork(request: NetworkWriteRequest): Promise<Outcome>;
  /**
   * Draws a secret and writes `network.rotate`. Rejects with `rotation-waiting` while the next epoch may
   * not begin, unless the request was answered before.
   */
  rotateNetwork(request: RotateRequest): Promise<Outcome>;
  /** Draws a secret, writes `token.create` with its hash, and answers the token's text. */
  createToken(request: TokenWriteRequest): Promise<TokenOutcome>;
  /** Takes in a new member. `peerAddress` is the IP address that the joiner calls from. */
  join(request: JoinRequest, peerAddress: string): Promise<JoinReply>;
  /** Issues a certificate to a member, or to one who is recovering, for a new key. */
  certify(principal: NodePrincipal, request: CertifyRequest): Promise<CertifyReply>;
  /**
   * Has the hosts of an encrypted network probe each other, and does not wait for them; joins a check that is
   * running.
   */
  checkNetwork(networkId: Id): Promise<NetworkCheck>;
  /** Takes what a node has found in a check. */
  checked(nodeId: Id, report: CheckReport): Promise<void>;
  /** Takes a node's report. */
  report(nodeId: Id, report: NodeReport): Promise<ReportReply>;
  /**
   * The node stream: frames with projections. It ends when `signal` aborts (the client has gone),
   * when a newer stream of that node has taken its place, or when this manager leads no more.
   */
  openStream(nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** All of the state, sealed. */
export interface Backup {
  /** `AGTBAK-1-…`: opens it. */
  readonly key: string;
  /** The file. */
  readonly bytes: Uint8Array;
  /** Whose it is. */
  readonly clusterId: Id;
  /** Of the state in it. */
  readonly revision: number;
  /** State time, ms, of the last entry in it. */
  readonly writtenAtMs: number;
}

/** A life of the cluster. */
export interface Incarnation {
  /** How many there were before it. */
  readonly generation: number;
  /** Drawn. */
  readonly id: Id;
}

/** A principal that is, or was, a member. */
export type NodePrincipal = Extract<Principal, { readonly kind: "node" | "recovering" }>;

/** What can be read at one moment. It is used before the next `await`, then it may have changed. */
export interface View {
  /** What is replicated. */
  readonly state: StateView;
  /** What the leader has heard of a node. */
  liveness(nodeId: Id): Liveness;
  /** What holders of an encrypted network's keys have told, ordered by node; none when it is not one. */
  members(networkId: Id): readonly MemberReport[];
  /** The newest check of an encrypted network, be it running; null: none in this leadership. */
  check(networkId: Id): NetworkCheck | null;
  /** How it stands with the managers. */
  quorum(): Quorum;
}

/** What the leader knows of those who decide. */
export interface Quorum {
  /** Of the leader. */
  readonly term: number;
  /** Who it is. */
  readonly leaderId: Id;
  /** All up to here is decided. */
  readonly commitIndex: number;
  /** How many that are heard now may fail. */
  readonly mayLose: number;
  /** The others; a manager that the state names may be missing. */
  readonly members: readonly {
    readonly id: Id;
    readonly voter: boolean;
    readonly isHeard: boolean;
    readonly silentMs: number;
    readonly lag: number;
  }[];
}

/** What a holder of a network's keys has told of them. */
export interface MemberReport {
  /** Who. */
  readonly nodeId: Id;
  /** `left`: it has no endpoint on it any more. */
  readonly state: "attached" | "left";
  /** Null: nothing to this leader. */
  readonly report: {
    /** Epochs of which it has SAs. */
    readonly installed: readonly number[];
    /** The oldest epoch that it still sends with; null when it sends to nobody. */
    readonly oldestSending: number | null;
  } | null;
}

/** What the leader has heard of a node. */
export interface Liveness {
  /** Whether it reports and its stream is open. */
  readonly alive: boolean;
  /** Leader's clock; null: not since this leader was elected. */
  readonly lastSeenAtMs: number | null;
  /** Why the node's kernel does not have all that it should, in its own words. */
  readonly lastError: string | null;
  /** What its IPsec has carried and refused. */
  readonly ipsec: ReportedIpsec | null;
  /** Endpoints of the node that are attached to a workload. */
  readonly attached: ReadonlySet<Id>;
}

/** The part of the replicated state that the API reads. */
export interface StateView {
  /** How many changes there were. */
  readonly revision: number;
  /** The state's time. */
  readonly timeMs: number;
  /** The same for ever. */
  readonly clusterId: Id;
  /** Another one after a restore. */
  readonly incarnation: Id;
  /** As the last change left them. */
  readonly settings: Settings;
  /** Revision of the last change of settings. */
  readonly settingsRevision: number;
  /** Every member. */
  readonly nodes: ReadonlyMap<Id, Node>;
  /** Every network. */
  readonly networks: ReadonlyMap<Id, Network>;
  /** Every endpoint. */
  readonly endpoints: ReadonlyMap<Id, Endpoint>;
  /** Every join token. */
  readonly tokens: ReadonlyMap<Id, Token>;
  /** The network of that name. */
  networkByName(name: string): Network | undefined;
  /** The member of that hostname, in either case. */
  nodeByName(hostname: string): Node | undefined;
  /** In the order of their ids. */
  endpointsOf(networkId: Id): readonly Endpoint[];
}

/** An attachment that a client of the host's socket wants. */
export interface AttachRequest {
  /** As the client sent it, checked. */
  readonly request: AttachmentRequest;
  /**
   * Same id a second time, with the same body hash: the same attachment, nothing made; with
   * another one: `request-reused`. To be passed on to the leader with the endpoints' creation.
   */
  readonly requestId: string;
  /** Whether the id is the client's own `Idempotency-Key` or was drawn for this one try. */
  readonly origin: "client" | "drawn";
  /** Digest of method, path and body as the client sent them. */
  readonly bodyHash: string;
  /**
   * Aborts when the client has gone: what is not finished is undone. Once the attachment is made it
   * means nothing, for it may abort after every answer.
   */
  readonly signal: AbortSignal;
}

/** An open response that stands for a workload. */
export interface Lease {
  /** Settles when the attachment has ended for whatever reason: then the response ends too. */
  readonly ended: Promise<void>;
  /**
   * The client has closed the response. That only triggers a look: the endpoint goes when no
   * process is left in the namespace. May be called more than once.
   */
  close(): void;
}

/** One host's half, behind its unix socket. Methods may throw or reject with a {@linkcode PortError}. */
export interface HostControl {
  /** Draws an id for a request. */
  newId(): Id;
  /** Makes endpoints and interfaces, all or none, and answers when they are in the kernel. */
  attach(request: AttachRequest): Promise<Attachment>;
  /** The lease of an attachment that has just been made with `lease: true`. */
  openLease(id: Id): Lease;
  /** In the order of their ids. */
  attachments(): readonly Attachment[];
  /** Rejects with `not-found` when there is no such attachment. */
  detach(id: Id): Promise<void>;
  /** What the reconciler would do to the kernel now. */
  plan(): Promise<PlanView>;
  /** How this host is. */
  status(): HostStatus | Promise<HostStatus>;
  /**
   * Makes the manager at this address the one that is asked from now on, also after a restart. Rejects
   * with `invalid-value` when that is no address, and with `unavailable` when no manager of this host's
   * cluster answers there; then nothing has changed.
   */
  follow(address: string): Promise<ManagerFollowed>;
  /** The newest projection that has come from a leader. */
  projection(): Projection | null;
  /**
   * Sends the request to the leader with the node's own certificate and gives its answer. The body
   * is bounded already. A write that has neither `Idempotency-Key` nor `Agent-Request` gets an
   * `Agent-Request`, and then may be sent again when an answer is lost.
   */
  forward(request: Request): Promise<Response>;
}
