import type { Id, MacText } from "../base/mod.ts";
import type {
  AllowedNodes,
  DirectionVerdict,
  Labels,
  ReportedIpsec,
  Settings,
} from "../state/mod.ts";

/** RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`. */
export type Timestamp = string;

/** One page of a list, ordered by id. */
export interface Page<Item> {
  /** As many as `?limit` allows. */
  readonly items: readonly Item[];
  /** Value of `?after` for the next page; null when this is the last one. */
  readonly next: Id | null;
}

/** Body of `POST /v1/networks`. */
export interface NetworkRequest {
  /** A DNS label that does not look like an id. */
  readonly name: string;
  /** `10.64.0.0/24`; by default the lowest free one of the cluster's pool. */
  readonly subnet?: string | undefined;
  /** None by default. */
  readonly labels?: Labels | undefined;
  /** By default what every member's underlay carries. */
  readonly mtuBytes?: number | undefined;
  /** `"any"` by default. */
  readonly allowedNodes?: AllowedNodesRequest | undefined;
  /** False by default. */
  readonly encrypted?: boolean | undefined;
  /** 5 s … 30 days; by default the cluster's `keyRotationIntervalMs`. Of an encrypted network only. */
  readonly rotationIntervalMs?: number | undefined;
}

/** Who may attach: a node whose id is listed, or, when there are labels, one that has them all. */
export type AllowedNodesRequest =
  | "any"
  | { readonly ids?: readonly Id[] | undefined; readonly labels?: Labels | undefined };

/** Body of `PATCH /v1/networks/{network}`, a JSON Merge Patch (RFC 7396). */
export interface NetworkPatch {
  /** A label that is null is removed; null for all of them removes all. */
  readonly labels?: LabelsPatch | undefined;
  /** Null: what the underlay carries. */
  readonly mtuBytes?: number | null | undefined;
  /** Null: any. */
  readonly allowedNodes?:
    | "any"
    | {
      readonly ids?: readonly Id[] | null | undefined;
      readonly labels?: LabelsPatch | undefined;
    }
    | null
    | undefined;
  /** Of an encrypted network. Null: the cluster's `keyRotationIntervalMs`. */
  readonly rotationIntervalMs?: number | null | undefined;
}

/** An epoch of an encrypted network. */
export interface EpochView {
  /** 1 and above. */
  readonly epoch: number;
  /** When it began, time of the state. */
  readonly since: Timestamp;
  /** Nodes that have all its inbound SAs. */
  readonly installed: readonly Id[];
  /** Nodes that have told of their SAs, have an endpoint, and have not those. */
  readonly missing: readonly Id[];
  /** Nodes of which this is the oldest epoch that they send with. */
  readonly sending: readonly Id[];
}

/** How a network is encrypted, and how far its members are. Secrets are shown to nobody. */
export interface EncryptionView {
  /** 0 … 8191. */
  readonly slot: number;
  /** UDP port of its packets inside ESP. */
  readonly port: number;
  /** Null: the cluster's `keyRotationIntervalMs`. */
  readonly rotationIntervalMs: number | null;
  /** `due`: a node was removed, so the next epoch begins as soon as it may. */
  readonly rotation: "by-interval" | "due";
  /** Those that live, newest first. */
  readonly epochs: readonly EpochView[];
  /** Nodes with an endpoint on it that have told this leader nothing of their SAs yet. */
  readonly silent: readonly Id[];
}

/**
 * A check of an encrypted network: its hosts send each other real packets, small ones and ones as large as
 * its MTU allows.
 */
export interface NetworkCheckView {
  /** For its whole life. */
  readonly id: Id;
  /** Which network. */
  readonly networkId: Id;
  /** Somebody asked for it, or a pair of hosts was new on the network: then only such pairs are checked. */
  readonly cause: "asked" | "new-pair";
  /** Clock of the leader. */
  readonly startedAt: Timestamp;
  /** Null: it is still running. */
  readonly finishedAt: Timestamp | null;
  /** Directions that were checked, two for each pair; 0 when fewer than two hosts are on the network. */
  readonly directions: number;
  /** Those in which both sizes came through. */
  readonly passed: number;
  /** Those with a fault first; no more than 1,000. */
  readonly verdicts: readonly DirectionVerdict[];
}

/** Merge patch of labels: null removes one label, or all. */
export type LabelsPatch = Readonly<Record<string, string | null>> | null;

/** A network. */
export interface NetworkView {
  /** For its whole life. */
  readonly id: Id;
  /** Unique among networks. */
  readonly name: string;
  /** VXLAN network identifier. */
  readonly vni: number;
  /** `10.64.0.0/24`. */
  readonly subnet: string;
  /** A person's own words. */
  readonly labels: Labels;
  /** A person's choice, or null: what the underlay carries. */
  readonly mtuBytes: number | null;
  /** Who may attach. */
  readonly allowedNodes: AllowedNodes;
  /** Whether hosts encrypt what they send each other on it. */
  readonly encrypted: boolean;
  /** Null: they do not. Of the moment of the answer; one to a `POST` tells of no member. */
  readonly encryption: EncryptionView | null;
  /** Time of the state. */
  readonly createdAt: Timestamp;
  /** Also its `ETag`. */
  readonly revision: number;
}

/** Body of `POST /v1/networks/{network}/endpoints`. */
export interface EndpointRequest {
  /** Id or hostname; by default the node that the call comes from. */
  readonly node?: string | undefined;
  /** Unique in its network. */
  readonly name?: string | undefined;
  /** By default the lowest free address of the network. */
  readonly ip?: string | undefined;
  /** By default one that follows from network and address. */
  readonly mac?: MacText | undefined;
}

/** One of `POST /v1/endpoints`. */
export interface NetworkEndpointRequest extends EndpointRequest {
  /** Id or name. */
  readonly network: string;
  /** 128 random bits of the caller's, who then can delete what it never heard was made. */
  readonly id?: Id | undefined;
}

/** Body of `POST /v1/endpoints`: 1 … 16, all or none. */
export interface EndpointsRequest {
  /** In the order in which they are wanted. */
  readonly endpoints: readonly NetworkEndpointRequest[];
}

/** An endpoint. */
export interface EndpointView {
  /** For its whole life. */
  readonly id: Id;
  /** Network that it is on. */
  readonly networkId: Id;
  /** Host that it is on. */
  readonly nodeId: Id;
  /** Unique in its network. */
  readonly name: string | null;
  /** Address without a length. */
  readonly ip: string;
  /** Six pairs of digits. */
  readonly mac: MacText;
  /** Whether a workload is attached; an answer to a `POST` always says `unattached`. */
  readonly attachment: "attached" | "unattached";
  /** Time of the state. */
  readonly createdAt: Timestamp;
  /** Also its `ETag`. */
  readonly revision: number;
}

/** Answer to `POST /v1/endpoints`, in the order of the request. */
export interface EndpointsReply {
  /** As many as were asked for. */
  readonly endpoints: readonly EndpointView[];
}

/** Body of `PATCH /v1/nodes/{node}`, a JSON Merge Patch (RFC 7396). */
export interface NodePatch {
  /** A label that is null is removed; null for all of them removes all. */
  readonly labels?: LabelsPatch | undefined;
  /** A manager decides with the others and keeps all of the cluster's state. */
  readonly role?: "manager" | "worker" | undefined;
}

/** A certificate of a node. */
export interface CertificateView {
  /** Hexadecimal. */
  readonly serial: string;
  /** When it ends. */
  readonly notAfter: Timestamp;
}

/** A node. */
export interface NodeView {
  /** For its whole life. */
  readonly id: Id;
  /** 1 … 65535. */
  readonly index: number;
  /** What its certificate says too. */
  readonly role: "manager" | "worker";
  /** A person's own words. */
  readonly labels: Labels;
  /** Unique among nodes, in either case. */
  readonly hostname: string;
  /** `192.0.2.1:7443`; for managers, where it listens. */
  readonly controlAddress: string;
  /** Underlay address of its VXLAN devices. */
  readonly vtepAddress: string;
  /** The largest packet that every route of its underlay carries. */
  readonly underlayMtuBytes: number;
  /** Routes of the host that no subnet may overlap. */
  readonly hostRoutes: readonly string[];
  /** `ok`, or why this host cannot have encrypted networks. */
  readonly encryption: string;
  /** As its last report says. */
  readonly agentVersion: string;
  /** The highest level of commands and formats that it knows. */
  readonly featureLevel: number;
  /** Newest first. */
  readonly certificates: readonly CertificateView[];
  /** Time of the state. */
  readonly joinedAt: Timestamp;
  /** Also its `ETag`. */
  readonly revision: number;
  /** Of the moment of the answer, as `lastSeenAt` and `lastError` are. */
  readonly alive: boolean;
  /** Null: not since the leader was elected. */
  readonly lastSeenAt: Timestamp | null;
  /** Why its kernel does not have all that it should. */
  readonly lastError: string | null;
  /** What its IPsec has carried and refused; null: it is on no encrypted network, or has not told. */
  readonly ipsec: ReportedIpsec | null;
}

/** Body of `POST /v1/tokens`. */
export interface TokenRequest {
  /** `worker` by default. */
  readonly role?: "manager" | "worker" | undefined;
  /** 24 hours by default. */
  readonly lifetimeMs?: number | undefined;
  /** How many nodes may join with it; 1 by default. */
  readonly uses?: number | undefined;
}

/** A join token, without its secret. */
export interface TokenView {
  /** For its whole life. */
  readonly id: Id;
  /** What those become who join with it. */
  readonly role: "manager" | "worker";
  /** How many more nodes may join with it. */
  readonly usesLeft: number;
  /** Time of the state. */
  readonly createdAt: Timestamp;
  /** When nobody joins with it any more. */
  readonly expiresAt: Timestamp;
  /** Also its `ETag`. */
  readonly revision: number;
}

/** Answer to `POST /v1/tokens`: the only time that the token's text is shown. */
export interface TokenCreated extends TokenView {
  /** `AGTKN-1-…`. */
  readonly token: string;
}

/** Body of `PATCH /v1/cluster`, a JSON Merge Patch (RFC 7396). */
export interface ClusterPatch {
  /** Those that change. */
  readonly settings?: { readonly [Key in keyof Settings]?: Settings[Key] | undefined } | undefined;
}

/** The cluster. */
export interface ClusterView {
  /** For its whole life. */
  readonly id: Id;
  /** Another one after a restore. */
  readonly incarnation: Id;
  /** As the last change left them. */
  readonly settings: Settings;
  /** Of the last change of settings. */
  readonly revision: number;
}

/** Answer to `POST /v1/cluster/backup`. */
export interface BackupView {
  /** `AGTBAK-1-…`: the only thing that opens it. Nobody keeps it but who asked. */
  readonly key: string;
  /** Whose it is. */
  readonly clusterId: Id;
  /** Of the state in it. */
  readonly revision: number;
  /** When the last entry in it was written. */
  readonly writtenAt: string;
  /** The file, base64url. */
  readonly file: string;
}

/** A manager, as the one that leads knows it. */
export interface ManagerView {
  /** The node. */
  readonly id: Id;
  /** As the cluster knows it. */
  readonly hostname: string;
  /** Where it listens. */
  readonly controlAddress: string;
  /**
   * `leader`; `voter`: decides; `learner`: receives everything and decides nothing yet; `joining`: the
   * leader has not begun with it.
   */
  readonly standing: "leader" | "voter" | "learner" | "joining";
  /** Whether the leader hears it. */
  readonly heard: boolean;
  /** Time since it was last heard; null of one that is not there yet. */
  readonly silentMs: number | null;
  /** Entries that it is behind the leader's log; null of one that is not there yet. */
  readonly lag: number | null;
}

/** Answer of `GET /v1/managers`. */
export interface ManagersView {
  /** Of the leader; each election begins another one. */
  readonly term: number;
  /** The manager that leads, and that answers this. */
  readonly leaderId: Id;
  /** All up to this entry of the log is decided. */
  readonly commitIndex: number;
  /** How many of those that are heard now may fail, and the rest still decides. */
  readonly mayLose: number;
  /** Ordered by id. */
  readonly items: readonly ManagerView[];
}

/** Answer of `GET /v1/ca`: nothing in it is secret. */
export interface CaReply {
  /** Version of the format. */
  readonly v: 1;
  /** Which cluster this is. */
  readonly clusterId: Id;
  /** DER of each trusted root, base64url. */
  readonly roots: readonly string[];
}

/** Answer of `GET /healthz` and `GET /readyz`. */
export interface HealthView {
  /** Any other status of the answer is a problem. */
  readonly status: "ok";
}
