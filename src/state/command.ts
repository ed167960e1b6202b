import type { Id } from "../base/mod.ts";
import type {
  AllowedNodes,
  Authority,
  BootKey,
  CertificateRecord,
  Labels,
  NodeFacts,
  Settings,
} from "./types.ts";

/** An endpoint to be made. Absent `ip` and `mac` are chosen by `apply`. */
export interface NewEndpoint {
  /** Drawn by the leader. */
  readonly id: Id;
  /** Where it is to have an address. */
  readonly networkId: Id;
  /** On which host it is to be. */
  readonly nodeId: Id;
  /** Free in its network. */
  readonly name?: string;
  /** In the subnet, free and not reserved. */
  readonly ip?: string;
  /** Unicast, free in its network. */
  readonly mac?: string;
}

/** A node to be made a member. */
export interface NewNode {
  /** Drawn by the leader. */
  readonly id: Id;
  /** The token's. */
  readonly role: "manager" | "worker";
  /** Usually none yet. */
  readonly labels: Labels;
  /** What its host says. */
  readonly facts: NodeFacts;
  /** Signed by the leader. */
  readonly certificate: CertificateRecord;
}

/**
 * Every change there can be: its name in the log and the body that goes with it. Whatever is drawn
 * (ids, serials) or signed is in the body already, put there by the leader. `ifRevision` makes a
 * command conditional on the object's revision.
 */
export interface CommandBodies {
  /** The first command, and only that. The node is the first manager. */
  readonly "cluster.create": {
    readonly clusterId: Id;
    readonly incarnation: Id;
    readonly authority: Authority;
    readonly settings: Settings;
    readonly node: NewNode;
  };
  /** Settings that are absent stay. The revision is that of the settings. */
  readonly "cluster.update": { readonly settings: Partial<Settings>; readonly ifRevision?: number };
  /** The lifetime is 1 s … 10 years, the uses 1 … 100,000. */
  readonly "token.create": {
    readonly id: Id;
    readonly secretHash: string;
    readonly role: "manager" | "worker";
    readonly lifetimeMs: number;
    readonly uses: number;
  };
  /** Who joined with it stays. */
  readonly "token.delete": { readonly id: Id; readonly ifRevision?: number };
  /**
   * With the same secret and key a second time, the outcome names the node that the first time
   * made, and no use is spent.
   */
  readonly "node.join": { readonly secretHash: string; readonly node: NewNode };
  /** A key that is on record keeps its certificate: the outcome has that one. */
  readonly "node.certify": { readonly id: Id; readonly certificate: CertificateRecord };
  /** What the host says of itself has changed. */
  readonly "node.describe": { readonly id: Id; readonly facts: NodeFacts };
  /**
   * What is absent stays. Labels that attachments depend on cannot go. Another role needs another
   * certificate: the node's old one counts for nothing but to ask for that.
   */
  readonly "node.update": {
    readonly id: Id;
    readonly labels?: Labels;
    readonly role?: "manager" | "worker";
    readonly ifRevision?: number;
  };
  /** Its endpoints go with it. */
  readonly "node.remove": { readonly id: Id; readonly ifRevision?: number };
  /** Absent: the next free subnet of the pool, the MTU of the underlay. */
  readonly "network.create": {
    readonly id: Id;
    readonly name: string;
    readonly subnet?: string;
    readonly labels: Labels;
    readonly mtuBytes?: number;
    readonly allowedNodes: AllowedNodes;
    /** Encrypted from its first packet on; absent: not at all. The secret is that of epoch 1. */
    readonly encryption?: {
      readonly secret: string;
      readonly rotationIntervalMs?: number;
    };
  };
  /** What is absent stays. Nodes that are attached must stay allowed. */
  readonly "network.update": {
    readonly id: Id;
    readonly labels?: Labels;
    readonly mtuBytes?: number | null;
    readonly allowedNodes?: AllowedNodes;
    readonly rotationIntervalMs?: number | null;
    readonly ifRevision?: number;
  };
  /**
   * Begins the epoch after the newest. The leader has seen that its tag is free; `epoch-conflict` when
   * the newest is not the one before it any more.
   */
  readonly "network.rotate": { readonly id: Id; readonly epoch: number; readonly secret: string };
  /** Ends epochs. The newest never goes; one that is gone already is no error. */
  readonly "network.retire": { readonly id: Id; readonly epochs: readonly number[] };
  /** The node's host has a new boot key. `incarnation` is that in which it was reported. */
  readonly "node.publish-key": {
    readonly id: Id;
    readonly incarnation: Id;
    readonly bootKey: Pick<BootKey, "publicKey" | "bootId" | "reportNumber">;
  };
  /** Everybody who had SAs of these says that they are gone: the numbers may be used again. */
  readonly "numbers.free": {
    readonly slots: readonly number[];
    readonly indexes: readonly number[];
    /** What waits since a later revision goes on to wait: it was taken and given back in between. */
    readonly upTo: number;
  };
  /**
   * The cluster goes on without the managers that are lost: in a new incarnation, the next generation. It
   * has one manager: `keep`, or `node` in the place of all. Tokens go, for what was revoked could be
   * good again; so do all keys of encrypted networks, each of which begins a new epoch.
   */
  readonly "cluster.recover": {
    readonly incarnation: Id;
    /** The manager that stays. Either it or `node` is there. */
    readonly keep?: Id;
    /** A host that is no member yet. */
    readonly node?: NewNode;
    /** Of each encrypted network's new epoch, in the order of the networks' ids. */
    readonly secrets: readonly string[];
  };
  /** Only without endpoints. */
  readonly "network.delete": { readonly id: Id; readonly ifRevision?: number };
  /** All or none. */
  readonly "endpoints.create": { readonly endpoints: readonly NewEndpoint[] };
  /** All that are there; one that is not is no error, for a host says it again until it is heard. */
  readonly "endpoints.delete": { readonly ids: readonly Id[]; readonly ifRevision?: number };
}

/** A command's name. */
export type CommandKind = keyof CommandBodies;

/** A command: its kind and the body that belongs to it. */
export type Command = {
  [Kind in CommandKind]: { readonly kind: Kind; readonly body: CommandBodies[Kind] };
}[CommandKind];

/**
 * What the log holds, as JSON. `requestId` is 128 random bits, or the client's own
 * `Idempotency-Key`; `principal` is who asked; `from` the state time at which the request was
 * made, null for a client's own key; `at` the leader's time when it proposed; `bodyHash` is the
 * digest of the request as the client sent it (the command's own body holds drawn bytes, so it is
 * another one each time).
 */
export type Entry = Command & {
  readonly v: 1;
  readonly requestId: string;
  readonly principal: string;
  readonly bodyHash: string;
  readonly from: number | null;
  readonly at: number;
};
