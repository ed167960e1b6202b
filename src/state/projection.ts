import type { Id, MacText } from "../base/mod.ts";

/** An endpoint as a member of its network sees it. */
export interface ProjectedEndpoint {
  /** The endpoint's own. */
  readonly id: Id;
  /** Unique in its network, or null. */
  readonly name: string | null;
  /** Without prefix length: the subnet has it. */
  readonly ip: string;
  /** Of the workload's interface. */
  readonly mac: MacText;
  /** Who has it; the receiver itself too. */
  readonly nodeId: Id;
  /** Underlay address of the host that it is on. */
  readonly vtepAddress: string;
}

/** A node that has, or may still have, SAs of an encrypted network. */
export interface ProjectedHolder {
  /** The receiver itself is one too. */
  readonly nodeId: Id;
  /** The sender's part of SPIs. */
  readonly index: number;
  /** Underlay address of its host. */
  readonly vtepAddress: string;
  /** Public half, 32 bytes in base64url; null: not known yet, or of another incarnation. */
  readonly bootKey: string | null;
  /**
   * Of the last change of this holder: it came (again), has another boot key or another VTEP address. A
   * peer that has reported less does not receive from it yet.
   */
  readonly revision: number;
  /** `left`: it has no endpoint any more. Its SAs stay, and nothing is sent to it. */
  readonly state: "attached" | "left";
}

/** How an encrypted network is encrypted. */
export interface ProjectedEncryption {
  /** 0 … 8191. */
  readonly slot: number;
  /** Newest first; the secrets are 32 bytes in base64url. */
  readonly epochs: readonly { readonly epoch: number; readonly secret: string }[];
  /** Ordered by node. */
  readonly holders: readonly ProjectedHolder[];
}

/**
 * An encrypted network on which the receiver has no endpoint any more: SAs of these epochs with these
 * peers stay, and so do the blocks, until the epochs retire. No secret is in it.
 */
export interface RetainedNetwork {
  /** The network's own. */
  readonly id: Id;
  /** 0 … 8191. */
  readonly slot: number;
  /** UDP port. */
  readonly port: number;
  /** Newest first. */
  readonly epochs: readonly number[];
  /** Ordered by node, the receiver left out. */
  readonly peers: readonly Pick<ProjectedHolder, "nodeId" | "index" | "vtepAddress">[];
}

/** What a member of an encrypted network has told the leader that it can receive. */
export interface InstalledEpochs {
  /** Which network. */
  readonly networkId: Id;
  /** Who. */
  readonly nodeId: Id;
  /** Live or not: of these it has all inbound SAs that it may have. Ascending. */
  readonly epochs: readonly number[];
  /** From all holders up to this revision of theirs. */
  readonly upTo: number;
}

/** A network as a member sees it. */
export interface ProjectedNetwork {
  /** The network's own. */
  readonly id: Id;
  /** For people. */
  readonly name: string;
  /** VXLAN network identifier. */
  readonly vni: number;
  /** `10.64.0.0/24`. */
  readonly subnet: string;
  /** What every member's underlay carries, after all headers; never over a person's choice. */
  readonly mtuBytes: number;
  /** UDP port of the VXLAN device. */
  readonly port: number;
  /** Packets between hosts are ESP, by this; null: they are in the clear. */
  readonly encryption: ProjectedEncryption | null;
  /** All of the network, ordered by id. */
  readonly endpoints: readonly ProjectedEndpoint[];
}

/**
 * What one node should have, and all that it may know: networks on which it has an endpoint, and
 * nothing of any other.
 */
export interface Projection {
  /** Of this format. */
  readonly v: 1;
  /** Which cluster this is. */
  readonly clusterId: Id;
  /** Another one after a restore or a recovery. */
  readonly incarnation: Id;
  /** How often the cluster was restored or recovered: of two incarnations the later one has more. */
  readonly generation: number;
  /** The receiver, as the cluster knows it. */
  readonly node: {
    readonly id: Id;
    readonly index: number;
    readonly vtepAddress: string;
    /** Its own boot key as the managers have committed it in this incarnation, base64url, or null. */
    readonly bootKey: string | null;
  };
  /** Ordered by id. */
  readonly networks: readonly ProjectedNetwork[];
  /** Ordered by id. */
  readonly retained: readonly RetainedNetwork[];
  /** Of all holders of the networks above, ordered by network and node. Not in the log. */
  readonly installed: readonly InstalledEpochs[];
  /**
   * Revision of the last network or node that went and of which this node may have SAs, 0 if none. So
   * a report that it has applied this very projection says that they are gone.
   */
  readonly goneUpTo: number;
  /** Digest of all of the above: equal projections, equal digests. */
  readonly digest: string;
}
