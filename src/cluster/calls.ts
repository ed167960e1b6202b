import type { Id, Principal } from "../base/mod.ts";
import type { ClusterState, Command, CommandBodies, NetworkCheck, Outcome } from "../state/mod.ts";
import type { StoreStatus } from "../store/mod.ts";
import type { Liveness } from "./presence.ts";

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

/** A network that somebody wants; the secret of its first epoch is still to come. */
export interface NetworkWriteRequest extends Omit<WriteRequest, "command"> {
  /** The command but for the secret. */
  readonly network: Omit<CommandBodies["network.create"], "encryption"> & {
    /** Absent: it is not encrypted. */
    readonly encryption?: { readonly rotationIntervalMs?: number };
  };
}

/** Somebody wants a network to have a new key. */
export interface RotateRequest extends Omit<WriteRequest, "command"> {
  /** Which network. */
  readonly networkId: Id;
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
  /** What holders of an encrypted network's keys have told, ordered by node; none when it is not one. */
  members(networkId: Id): readonly MemberReport[];
  /** The newest check of an encrypted network, be it running; null: none in this leadership. */
  check(networkId: Id): NetworkCheck | null;
  /** How it stands with the managers. */
  quorum(): Quorum;
}

/** What the leader knows of those who decide. */
export interface Quorum extends Pick<StoreStatus, "term" | "commitIndex" | "members"> {
  /** The leader. */
  readonly leaderId: Id;
  /** How many that are heard now may fail. */
  readonly mayLose: number;
}
