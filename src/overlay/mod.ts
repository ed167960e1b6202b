/**
 * Makes the kernel of one host what the cluster wants: a sandbox namespace per network with a bridge
 * and a VXLAN device, its forwarding entries and neighbours, and a veth into each workload.
 *
 * `buildDesired` joins the node's projection with its local attachments; `planSandbox` and
 * `planEndpoint` compare that with what the kernel has and give a list of operations, empty when all
 * is right; a {@linkcode Reconciler} looks, plans, applies, follows the kernel's notifications and
 * repairs.
 *
 * Contract:
 * - The newest desired state wins; what is right already is not touched, so a restarted agent
 *   disturbs no packet.
 * - What is ours carries our alias (`agent network <id>`, `agent endpoint <id>`). Nothing else is
 *   changed or removed: something foreign that has a name we need is an error that names it.
 * - Nothing is learned and nothing flooded: every MAC address is a static entry, every remote address
 *   a permanent neighbour that the VXLAN device answers ARP from. A network's packets leave its
 *   sandbox for the VTEPs of its members and its local workloads, and for nowhere else.
 * - The thread is never held for more than about 10 ms.
 *
 * ```ts
 * import type { Clock, Logger } from "../base/mod.ts";
 * import type { Projection } from "../state/mod.ts";
 * import { buildDesired, type Host, type KeyRing, Reconciler } from "./mod.ts";
 *
 * interface Parts { host: Host; clock: Clock; logger: Logger; keys: KeyRing }
 *
 * async function example(parts: Parts, projection: Projection) {
 *   const { logger } = parts;
 *   const reconciler = new Reconciler(parts);
 *   reconciler.setDesired(buildDesired(projection, []));
 *   const { problems } = await reconciler.settled();
 *   for (const { message } of problems) logger.error(message);
 *   await reconciler.close(); // the kernel goes on forwarding
 * }
 * ```
 *
 * @module
 */
export {
  buildDesired,
  type Desired,
  type DesiredEncryption,
  type DesiredEndpoint,
  type DesiredHost,
  type DesiredNetwork,
  type DesiredPeer,
  type DesiredRetained,
  type LocalAttachment,
  type RemoteEndpoint,
} from "./desired.ts";
export type {
  FrameChannel,
  FrameListener,
  FrameSender,
  Host,
  Namespace,
  NamespaceIdentity,
  NotificationListener,
  ProcessName,
  Target,
} from "./host.ts";
export { checkPairs, type CheckPorts, type PairFindings } from "./check/check_pairs.ts";
export type { NetworkToCheck, PeerToCheck } from "./check/pair_counters.ts";
export { probeEncryption } from "./ipsec/probe.ts";
export type { KeyRing } from "./key_ring.ts";
export { Reconciler, type ReconcilerOptions } from "./reconciler.ts";
export type { EncryptionStatus, Problem, ReconcileResult, ReconcilerStats } from "./result.ts";
export {
  hostRoutes,
  type SourceAddress,
  sourceAddressFor,
  type SourceChoice,
  underlayMtu,
} from "./route.ts";
