import type { Id } from "../base/mod.ts";
import type { CheckOrder } from "./pair_check.ts";
import type { BootKey, NodeFacts } from "./types.ts";

/** A manager, as members reach it. */
export interface ManagerAddress {
  /** Its node id. */
  readonly id: Id;
  /** `192.0.2.1:7443` or `[2001:db8::1]:7443`. */
  readonly address: string;
}

/** `POST /v1/join`, by one who has a token and no certificate yet. */
export interface JoinRequest {
  /** Of this format. */
  readonly v: 1;
  /** The token's secret, base32. */
  readonly secret: string;
  /** PKCS #10 DER, base64url. */
  readonly csr: string;
  /** What the joiner says of its host. */
  readonly facts: NodeFacts;
  /**
   * 16 random bytes, base64url. The manager sends them by UDP to the plain VXLAN port at the
   * joiner's VTEP and control addresses, and expects them back: hosts that cannot reach each other
   * are told so now, not by lost packets later.
   */
  readonly probe: string;
  /** The joiner's clock: one that is far off would make its certificate useless. */
  readonly nowMs: number;
}

/** Answer to a {@linkcode JoinRequest}. */
export interface JoinReply {
  /** Of this format. */
  readonly v: 1;
  /** What the joiner is from now on. */
  readonly nodeId: Id;
  /** The same as in the certificate. */
  readonly clusterId: Id;
  /** DER, base64url. */
  readonly certificate: string;
  /** DER of each root, base64url. */
  readonly roots: readonly string[];
  /** Where to go on. */
  readonly managers: readonly ManagerAddress[];
  /** Of the cluster: a manager's store is made for one. */
  readonly incarnation: Id;
  /** The later of state time and leader's clock. */
  readonly stateTimeMs: number;
}

/** `POST /v1/self/certificate`: a member, or one who is recovering, wants a new certificate. */
export interface CertifyRequest {
  /** Of this format. */
  readonly v: 1;
  /** PKCS #10 DER, base64url, for a new key. */
  readonly csr: string;
}

/** Answer to a {@linkcode CertifyRequest}. */
export interface CertifyReply {
  /** Of this format. */
  readonly v: 1;
  /** DER, base64url. */
  readonly certificate: string;
  /** DER of each root, base64url. */
  readonly roots: readonly string[];
}

/** What a node tells of its SAs on one encrypted network. */
export interface ReportedEpochs {
  /** Which network. */
  readonly networkId: Id;
  /**
   * Epochs of which it has SAs, retired ones too, ascending. Of a live one: all inbound SAs that it may
   * have, from holders up to `upTo`, are there.
   */
  readonly installed: readonly number[];
  /** The highest revision of a holder in the projection that the kernel has. */
  readonly upTo: number;
  /** The oldest epoch that it still sends with, to any peer; null when it sends to nobody. */
  readonly oldestSending: number | null;
  /** A pair is closed until the epoch after this one, or an SA nears its end; null: all is well. */
  readonly wantsAfter: number | null;
}

/** What has passed between a node and all others on one encrypted network. */
export interface ReportedTraffic {
  /** Which network. */
  readonly networkId: Id;
  /** Its name, as the node knows it. */
  readonly networkName: string;
  /** By SAs that are there now: with an epoch go its counts. */
  readonly sentPackets: number;
  /** Before encryption. */
  readonly sentBytes: number;
  /** Decrypted, and intact. */
  readonly receivedPackets: number;
  /** After decryption. */
  readonly receivedBytes: number;
  /** Received before, or too late to tell. */
  readonly replays: number;
  /** Changed on the way, or made with another key. */
  readonly integrityFailures: number;
  /** Peers from which some of that came, the worst first; no more than 16. */
  readonly faulty: readonly ReportedFault[];
}

/** What has come from a peer and was refused. */
export interface ReportedFault {
  /** Which node. */
  readonly nodeId: Id;
  /** Received before, or too late to tell. */
  readonly replays: number;
  /** Changed on the way, or made with another key. */
  readonly integrityFailures: number;
}

/** Packets that were refused, and what that means. */
export interface ReportedRefusal {
  /** The kernel's counter (`XfrmInNoStates`), or `guard-ingress` and `guard-egress`. */
  readonly name: string;
  /** Null: the kernel counts for the whole host. */
  readonly networkName: string | null;
  /** Since the agent began; of the guard, since its filter was set. */
  readonly packets: number;
  /** For a person. */
  readonly meaning: string;
}

/** What a node's kernel has counted of IPsec. Small, however many SAs there are. */
export interface ReportedIpsec {
  /** Encrypted networks that it is on, no more than 256: those with faults first, then the busiest. */
  readonly networks: readonly ReportedTraffic[];
  /** Those that have counted, no more than 128. */
  readonly refused: readonly ReportedRefusal[];
  /** Why nothing stands behind the IPsec policies on this host; null: the second guard stands. */
  readonly guardLack: string | null;
  /** Why the counters could not be read; null: they were. */
  readonly unreadable: string | null;
}

/** Answer to a {@linkcode NodeReport}. */
export interface ReportReply {
  /** Of this format. */
  readonly v: 1;
  /** The later of state time and leader's clock. */
  readonly stateTimeMs: number;
  /** The highest number of a report of this node that managers had seen before this one. */
  readonly seenBefore: number;
}

/** `POST /v1/self/report`: what a node tells the leader, every few seconds and at each change. */
export interface NodeReport {
  /** Of this format. */
  readonly v: 1;
  /** Digest of the newest projection that has come over the stream: opens its window. */
  readonly received: string | null;
  /** Digest of the projection that the kernel now has in full, or null before the first. */
  readonly applied: string | null;
  /** Endpoints of this node that are attached to a workload now. */
  readonly attached: readonly Id[];
  /** Endpoints whose workload is gone: the leader deletes them. */
  readonly gone: readonly Id[];
  /** Why the kernel does not have all of the projection, or null. */
  readonly lastError: string | null;
  /** Each report has one of its own, a repeated try too, above all that this host has sent before. */
  readonly number: number;
  /** Null: the host can have no encrypted networks. */
  readonly bootKey: Pick<BootKey, "publicKey" | "bootId"> & { readonly incarnation: Id } | null;
  /**
   * Of every encrypted network of which its kernel has SAs, or should have. Null: this process has not
   * looked yet, and what was told before still holds.
   */
  readonly epochs: readonly ReportedEpochs[] | null;
  /** Of some seconds ago. Null: it has not counted yet, or is on no encrypted network. */
  readonly ipsec: ReportedIpsec | null;
  /** What the host is like now. */
  readonly facts: NodeFacts;
}

/**
 * Kinds of frames on the node stream, `GET /v1/self/projection`. One projection is outstanding at
 * a time: the next goes out when a report has come that names its digest as received.
 */
export const StreamFrame = {
  /** Header {@linkcode ProjectionHeader}; body: a part of the projection as JSON. */
  projection: 1,
  /** Header {@linkcode StreamHeader}; no body. Every two seconds: silence means a dead link. */
  heartbeat: 2,
  /** Header {@linkcode CheckHeader}; no body. Said once: who misses it does not take part. */
  check: 3,
} as const;

/** Header of every frame on the node stream. */
export interface StreamHeader {
  /** The later of state time and leader's clock. */
  readonly stateTimeMs: number;
}

/** Header of a frame that orders a check. */
export interface CheckHeader extends StreamHeader, CheckOrder {}

/** Header of a projection's frame. */
export interface ProjectionHeader extends StreamHeader {
  /** State revision at which the projection was made. */
  readonly revision: number;
  /** Digest of the projection in the body. */
  readonly digest: string;
  /** A projection may be longer than a frame: its parts follow each other, counted from 0. */
  readonly part: number;
  /** How many parts there are. */
  readonly parts: number;
  /** All managers; kept on disk by the node, and no part of the digest. */
  readonly managers: readonly ManagerAddress[];
}
