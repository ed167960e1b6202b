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
  /** Whether packets between hosts must be ESP. */
  readonly encrypted: boolean;
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
  /** The receiver, as the cluster knows it. */
  readonly node: { readonly id: Id; readonly index: number; readonly vtepAddress: string };
  /** Ordered by id. */
  readonly networks: readonly ProjectedNetwork[];
  /** Digest of all of the above: equal projections, equal digests. */
  readonly digest: string;
}
