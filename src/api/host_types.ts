import type { Id, JsonObject, MacText } from "../base/mod.ts";
import type {
  ProjectedEncryption,
  ProjectedNetwork,
  Projection,
  ReportedIpsec,
} from "../state/mod.ts";
import type { Timestamp } from "./types.ts";

/** One network of an {@linkcode AttachmentRequest}. */
export interface AttachmentNetworkRequest {
  /** Id or name. */
  readonly network: string;
  /** By default the lowest free address of the network. */
  readonly ip?: string | undefined;
  /** Name of the interface in the workload; by default the first free `ethN`. */
  readonly interface?: string | undefined;
}

/** Body of `POST /v1/self/managers`. */
export interface FollowRequest {
  /** Of a manager: `192.0.2.1`, or with a port. */
  readonly address: string;
}

/** A manager that was found there, and is of this host's cluster. */
export interface ManagerFollowed {
  /** Its node. */
  readonly id: Id;
  /** With its port. */
  readonly address: string;
}

/** Body of `POST /v1/self/managers`. */
export interface FollowRequest {
  /** Of a manager: `192.0.2.1`, or with a port. */
  readonly address: string;
}

/** A manager that was found there, and is of this host's cluster. */
export interface ManagerFollowed {
  /** Its node. */
  readonly id: Id;
  /** With its port. */
  readonly address: string;
}

/** Body of `POST /v1/attachments`. Exactly one of `netns` and `pid`. */
export interface AttachmentRequest {
  /** Path of a network namespace on this host: `/run/netns/web`. */
  readonly netns?: string | undefined;
  /** A process on this host; its network namespace is meant. */
  readonly pid?: number | undefined;
  /** 1 … 16, all or none. */
  readonly networks: readonly AttachmentNetworkRequest[];
  /** Name of the endpoint on each network. */
  readonly name?: string | undefined;
  /**
   * The answer stays open: its first line is the attachment, then nothing comes until either side
   * ends it, and its end is the end of the lease.
   */
  readonly lease?: boolean | undefined;
}

/** One interface of an attachment. */
export interface AttachmentInterface {
  /** The endpoint behind it. */
  readonly endpointId: Id;
  /** Which network it leads to. */
  readonly networkId: Id;
  /** Its name. */
  readonly networkName: string;
  /** As it is called in the workload's namespace; null while the namespace is not there. */
  readonly interface: string | null;
  /** Address without a length. */
  readonly ip: string;
  /** Of the network's subnet. */
  readonly prefixLength: number;
  /** Six pairs of digits. */
  readonly mac: MacText;
  /** Largest packet, IP header included. */
  readonly mtuBytes: number;
}

/** A workload of this host, attached to one or several networks. */
export interface Attachment {
  /** For its whole life. */
  readonly id: Id;
  /** Path of the namespace, if it was named by one. */
  readonly netns: string | null;
  /** Process whose namespace it is, if it was named by one. */
  readonly pid: number | null;
  /** Name of the endpoint on each network. */
  readonly name: string | null;
  /** Whether it lasts as long as an answer is open. */
  readonly lease: boolean;
  /** In the order of the request. */
  readonly interfaces: readonly AttachmentInterface[];
  /** Clock of the host. */
  readonly createdAt: Timestamp;
}

/** Answer of `GET /v1/plan`: empty when the kernel is as it should be. */
export interface PlanView {
  /** One line an operation, for people. */
  readonly operations: readonly string[];
}

/** How a network is encrypted, without its secrets. */
export interface ShownEncryption extends Omit<ProjectedEncryption, "epochs"> {
  /** Newest first. */
  readonly epochs: readonly number[];
}

/** A network as a member sees it. */
export interface ShownNetwork extends Omit<ProjectedNetwork, "encryption"> {
  /** Null: its packets are in the clear. */
  readonly encryption: ShownEncryption | null;
}

/** Answer of `GET /v1/self/projection`: what this host should have, but for the secrets in it. */
export interface ProjectionView extends Omit<Projection, "networks"> {
  /** Ordered by id. */
  readonly networks: readonly ShownNetwork[];
}

/** What a manager knows of itself and of the others, whether they can be reached or not. */
export interface OwnManager {
  /** What it is doing. */
  readonly role: "leader" | "follower" | "candidate";
  /** The newest that it knows. */
  readonly term: number;
  /** Who leads, as far as it knows. */
  readonly leaderId: Id | null;
  /** The last entry in its log. */
  readonly lastIndex: number;
  /** All up to here is decided, as far as it knows. */
  readonly commitIndex: number;
  /** All up to here is in its state. */
  readonly appliedIndex: number;
  /** Who decides. */
  readonly voters: readonly Id[];
  /** Who receives everything and decides nothing yet. */
  readonly learners: readonly Id[];
}

/** Answer of `GET /v1/self`: how this host is, whether a manager can be reached or not. */
export interface HostStatus {
  /** This node. */
  readonly nodeId: Id;
  /** Of which cluster. */
  readonly clusterId: Id;
  /**
   * In which life of it: each recovery and each restore begins another one, of the next generation. Null before
   * the leader has told it.
   */
  readonly incarnation: { readonly generation: number; readonly id: Id } | null;
  /** What the certificate says. */
  readonly role: "manager" | "worker";
  /** As the cluster knows it. */
  readonly hostname: string;
  /** Of the running agent. */
  readonly agentVersion: string;
  /** `192.0.2.1:7443`; of a manager, where it listens. */
  readonly controlAddress: string;
  /** Underlay address of the VXLAN devices. */
  readonly vtepAddress: string;
  /** `ok`, or why this host cannot have encrypted networks and what to install. */
  readonly encryption: string;
  /** Whether the stream from the leader is up. */
  readonly connected: boolean;
  /** `192.0.2.1:7443`, or null when it is not known. */
  readonly leaderAddress: string | null;
  /** When the certificate ends; it is renewed before. */
  readonly certificateNotAfter: Timestamp;
  /** Digest of the projection that the kernel has, or null before the first. */
  readonly applied: string | null;
  /** Whether the kernel has all of the newest projection. */
  readonly ready: boolean;
  /** Why the kernel does not have all of it, in its own words. */
  readonly lastError: string | null;
  /** Null: this host is no manager, or what it needs for that is lost. */
  readonly manager: OwnManager | null;
  /** What IPsec has carried and refused; null: this host is on no encrypted network. */
  readonly ipsec: ReportedIpsec | null;
  /** What each part says of itself, for one who looks for a fault. */
  readonly counters: JsonObject;
}
