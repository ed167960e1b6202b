import type { Id, JsonObject, MacText } from "../base/mod.ts";

/** Free words of a person about an object; keys and values of at most 256 characters, 64 a map. */
export type Labels = Readonly<Record<string, string>>;

/** `wide-area` is for round trips of up to 300 ms, and for networks that lose packets. */
export type ManagerTiming = "local" | "wide-area";

/** Settings of the whole cluster; a person changes them while it runs. */
export interface Settings {
  /** How long a node's certificate is good, 30 s … 10 years. */
  readonly certificateValidityMs: number;
  /** How often encrypted networks get a new key, 5 s … 30 days. */
  readonly keyRotationIntervalMs: number;
  /** So long after the next epoch began, an epoch goes even if members still send with it, 10 s … 30 days. */
  readonly epochLimitMs: number;
  /** How quick managers are to replace a leader: on one network, or far apart. */
  readonly managerTiming: ManagerTiming;
  /** Where subnets come from when nobody chooses one, `10.64.0.0/11`. */
  readonly addressPool: string;
  /** Length of the subnets that are cut from the pool, `24`. */
  readonly subnetPrefixLength: number;
  /** TCP port of every manager. */
  readonly controlPort: number;
  /** UDP port of the VXLAN devices of plain networks. */
  readonly plainVxlanPort: number;
  /** UDP port of the encrypted network in slot 0; slot s uses this plus s. */
  readonly encryptedVxlanPortBase: number;
}

/** What the cluster's own authority holds. */
export interface Authority {
  /** DER of each trusted root, base64url; the first signs. */
  readonly roots: readonly string[];
  /** PKCS #8 of the first root's private key, base64url. It never leaves a manager. */
  readonly rootKey: string;
}

/** A join token, without its secret. */
export interface Token {
  /** Names it in the API; it tells nothing of the secret. */
  readonly id: Id;
  /** SHA-256 of the secret, base64url. */
  readonly secretHash: string;
  /** What whoever joins with it becomes. */
  readonly role: "manager" | "worker";
  /** State time. */
  readonly createdAtMs: number;
  /** State time from which on it lets nobody in. */
  readonly expiresAtMs: number;
  /** How many more nodes may join with it. */
  readonly usesLeft: number;
  /** Of the last change: a join is one. */
  readonly revision: number;
}

/** A certificate as the cluster remembers it. */
export interface CertificateRecord {
  /** Hexadecimal. */
  readonly serial: string;
  /** SHA-256 of the SubjectPublicKeyInfo, base64url: proves who a peer was, whatever the dates say. */
  readonly spkiHash: string;
  /** When it expires. */
  readonly notAfterMs: number;
  /** DER, base64url: a lost reply is sent again, never signed again. */
  readonly certificate: string;
}

/** What a node says about its host; it changes seldom, so it is in the log. */
export interface NodeFacts {
  /** Unique among members, in either case. */
  readonly hostname: string;
  /** `192.0.2.1:7443`; for managers, where it listens. */
  readonly controlAddress: string;
  /** Underlay address of its VXLAN devices. */
  readonly vtepAddress: string;
  /** The largest packet that every route of its underlay carries, bytes. */
  readonly underlayMtuBytes: number;
  /** Routes of the host that overlap the address pool or a chosen subnet, merged, at most 256. */
  readonly hostRoutes: readonly string[];
  /** `ok`, or why this host cannot have encrypted networks and what to install. */
  readonly encryption: string;
  /** For people. */
  readonly agentVersion: string;
  /** The highest level of commands and formats that this node knows. */
  readonly featureLevel: number;
}

/** The public half of a host's boot key, as the node itself has reported it. */
export interface BootKey {
  /** X25519, 32 bytes in base64url. The private half never leaves the host's `/run`. */
  readonly publicKey: string;
  /** The kernel's boot id when it was made. */
  readonly bootId: string;
  /** The cluster's incarnation when it was committed: one of another is of no use. */
  readonly incarnation: Id;
  /** Number of the report that it came with. */
  readonly reportNumber: number;
  /** Of its commitment. */
  readonly revision: number;
}

/** A member. Whether it is alive is not in the log: the leader knows that. */
export interface Node {
  /** For its whole life; in its certificates too. */
  readonly id: Id;
  /** 1 … 65535, handed out round-robin. */
  readonly index: number;
  /** Counts only together with the same role in its certificate. */
  readonly role: "manager" | "worker";
  /** Set by people; `allowedNodes` goes by them. */
  readonly labels: Labels;
  /** Set by its host. */
  readonly facts: NodeFacts;
  /** Newest first, at most two: both are good until they expire. */
  readonly certificates: readonly CertificateRecord[];
  /** Null until its host has reported one. */
  readonly bootKey: BootKey | null;
  /** Revision at which it had its VTEP address first. */
  readonly underlayRevision: number;
  /** Which token let it in. */
  readonly tokenId: Id | null;
  /** State time. */
  readonly joinedAtMs: number;
  /** Of the last change of anything here. */
  readonly revision: number;
}

/** Who may attach to a network, and so who may ever hold its secret. */
export type AllowedNodes =
  | "any"
  | { readonly ids: readonly Id[]; readonly labels: Labels };

/** An epoch of an encrypted network. Its secret is kept apart from the objects that people see. */
export interface Epoch {
  /** 1 and above; each is one more than the one before. */
  readonly epoch: number;
  /** State time at which it began. */
  readonly sinceMs: number;
}

/** A node that may have SAs of an encrypted network. */
export interface KeyHolder {
  /** Who. */
  readonly nodeId: Id;
  /** Revision at which its first endpoint came (again): peers have to know it from then on. */
  readonly since: number;
  /**
   * Null while it has an endpoint. Otherwise the newest epoch that lived when its last one went: SAs of
   * that and of older ones stay where they are, for a key is never installed twice.
   */
  readonly leftAtEpoch: number | null;
}

/** What an encrypted network has beside what every network has. */
export interface NetworkKeys {
  /** 0 … 8191: its UDP port, its reqid, and a part of its SPIs. */
  readonly slot: number;
  /** Null: the cluster's setting. */
  readonly rotationIntervalMs: number | null;
  /** That live: newest first, 1 … 6. */
  readonly epochs: readonly Epoch[];
  /** Ordered by node. */
  readonly holders: readonly KeyHolder[];
  /**
   * Members that were holders and have none of the secrets any more. Nobody has said that their SAs are
   * gone: the slot does not become free without them. Ordered.
   */
  readonly formerHolders: readonly Id[];
  /** A node was removed: the next epoch begins as soon as it may, whatever the interval is. */
  readonly rotation: "by-interval" | "due";
}

/** A slot or a node's index that is in use no more, but may still be in SAs. */
export interface WaitingNumber {
  /** What it is a number of. */
  readonly kind: "slot" | "index";
  /** The number. */
  readonly number: number;
  /** At which its network or node went. */
  readonly revision: number;
  /** Members that may have SAs of it, at least one, ordered. */
  readonly nodes: readonly Id[];
}

/** An isolated overlay network. */
export interface Network {
  /** For its whole life. */
  readonly id: Id;
  /** Unique among networks. */
  readonly name: string;
  /** VXLAN network identifier, 4096 … 16777215. */
  readonly vni: number;
  /** `10.64.0.0/24`; the lowest address, the one above it and the highest are never given out. */
  readonly subnet: string;
  /** Set by people. */
  readonly labels: Labels;
  /** A person's choice, or null: what the underlay carries. */
  readonly mtuBytes: number | null;
  /** Every node with an endpoint on it is allowed. */
  readonly allowedNodes: AllowedNodes;
  /** Null: hosts send it to each other in the clear. Chosen when it is made. */
  readonly keys: NetworkKeys | null;
  /** State time. */
  readonly createdAtMs: number;
  /**
   * Of the last change of the network itself. Its endpoints have their own; and what happens to keys is
   * nobody's change, so that it makes no `If-Match` of a person fail.
   */
  readonly revision: number;
}

/** One interface of one workload on one network. What it is attached to stays on its host. */
export interface Endpoint {
  /** For its whole life. */
  readonly id: Id;
  /** Where it has its address. */
  readonly networkId: Id;
  /** On which host it is. */
  readonly nodeId: Id;
  /** Unique in its network, or null. */
  readonly name: string | null;
  /** Unique in its network. */
  readonly ip: string;
  /** Unique in its network. */
  readonly mac: MacText;
  /** State time. */
  readonly createdAtMs: number;
  /** Of its creation: it never changes. */
  readonly revision: number;
}

/** An answer that is kept, so that a request made twice is done once. */
export interface RequestRecord {
  /** With the principal, what a repeated request is known by. */
  readonly requestId: string;
  /** Text of the principal that made it. */
  readonly principal: string;
  /** What the request said: with another body it is another request. */
  readonly bodyHash: string;
  /** State time after which it is forgotten. */
  readonly expiresAtMs: number;
  /** What is answered each time. */
  readonly outcome: Outcome;
}

/** What became of a command. The same on every replica, and again when the request is repeated. */
export type Outcome =
  | { readonly ok: true; readonly revision: number; readonly value: JsonObject }
  | { readonly ok: false; readonly rejection: Rejection };

/** Why a command was not done. Nothing has changed. */
export interface Rejection {
  /** For a program. */
  readonly code: RejectionCode;
  /** One sentence for a person. */
  readonly message: string;
  /** Which field of the request is at fault, as a JSON pointer: `/subnet`, `/endpoints/1/ip`. */
  readonly field?: string;
  /** More for a program: ids of the endpoints in the way, the revision found, … */
  readonly details?: JsonObject;
}

/**
 * Every reason for which a request is not done. The last group is said by the leader before there
 * is a command, all others by `apply`.
 */
export type RejectionCode =
  | "cluster-exists"
  | "no-cluster"
  | "unknown-command"
  | "invalid-value"
  | "not-found"
  | "name-taken"
  | "subnet-taken"
  | "subnet-in-use-on-host"
  | "address-taken"
  | "address-outside-subnet"
  | "mac-taken"
  | "pool-exhausted"
  | "subnet-exhausted"
  | "indexes-exhausted"
  | "vnis-exhausted"
  | "in-use"
  | "node-not-allowed"
  | "encryption-unavailable"
  | "slots-exhausted"
  | "not-encrypted"
  | "epoch-conflict"
  | "stale-key"
  | "token-unknown"
  | "token-expired"
  | "token-used-up"
  | "node-exists"
  | "last-manager"
  | "revision-mismatch"
  | "request-expired"
  | "request-reused"
  | "too-many-requests"
  | "rotation-waiting"
  | "quorum-at-risk"
  | "csr-rejected"
  | "clock-skewed"
  | "address-unreachable"
  | "recovering-too-often";
