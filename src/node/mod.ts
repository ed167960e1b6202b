/**
 * Every host's half of the agent: how a host becomes a member ({@linkcode joinCluster}), and how it
 * lives as one ({@linkcode HostAgent}): it hears from the leader what it should have, tells it how
 * it is, renews its certificate, forwards what the host's root wants of the cluster, and attaches
 * workloads. What it should have goes on to the {@linkcode Overlay}, which this folder declares.
 *
 * Losing the leader changes nothing on the host: what is attached stays, packets flow.
 *
 * ```ts
 * const agent = new HostAgent({ files, attachmentsPath, workloads, overlay, ...ports });
 * await agent.ready;
 * await agent.attach({ request: { pid, networks: [{ network: "shop" }] }, ...order });
 * ```
 *
 * @module
 */
export type { AttachRequest, WantedNetwork } from "./attachment_draft.ts";
export type { Lease } from "./attachment_lives.ts";
export { BootKeys, type BootKeysOptions, type ReportedKey } from "./boot_keys.ts";
export { type AttachOrder, HostAgent, type HostAgentOptions } from "./host_agent.ts";
export { HostError } from "./host_error.ts";
export type { AttachmentInterfaceView, AttachmentView, HostStatusView } from "./host_views.ts";
export { IdentityStore, type Incarnation, type NodeRecord, type PendingKey } from "./identity.ts";
export { joinCluster, type JoinOptions } from "./join.ts";
export { JoinError, type JoinErrorCode, NodeError, type NodeErrorCode } from "./node_error.ts";
export * from "./ports.ts";
