import { Cidr, type Id, type JsonObject } from "../base/mod.ts";
import type { Projection, ReportedIpsec } from "../state/mod.ts";
import type { AttachedEndpoint, AttachmentRecord } from "./attachment_store.ts";
import type { Incarnation } from "./identity.ts";
import type { OverlayStatus } from "./ports.ts";

/** An attachment as a client sees it. */
export interface AttachmentView {
  /** Names it for its life. */
  readonly id: Id;
  /** Path of the namespace, when it was named by one. */
  readonly netns: string | null;
  /** Process, when it was named by one. */
  readonly pid: number | null;
  /** Name of its endpoints, or null. */
  readonly name: string | null;
  /** Whether it ends with its last process. */
  readonly lease: boolean;
  /** One for each network. */
  readonly interfaces: readonly AttachmentInterfaceView[];
  /** RFC 3339. */
  readonly createdAt: string;
}

/** One interface of an {@linkcode AttachmentView}. */
export interface AttachmentInterfaceView {
  /** The endpoint. */
  readonly endpointId: Id;
  /** Its network. */
  readonly networkId: Id;
  /** As people call it. */
  readonly networkName: string;
  /** Name in the workload, or null while it is not there. */
  readonly interface: string | null;
  /** Address on the network. */
  readonly ip: string;
  /** Of the network's subnet. */
  readonly prefixLength: number;
  /** `02:00:0a:40:00:02`. */
  readonly mac: string;
  /** Largest packet, without the Ethernet header. */
  readonly mtuBytes: number;
}

/** How this host is. */
export interface HostStatusView {
  /** The node. */
  readonly nodeId: Id;
  /** The cluster. */
  readonly clusterId: Id;
  /** In which life of it; null before the first projection. */
  readonly incarnation: Incarnation | null;
  /** What it may be. */
  readonly role: "manager" | "worker";
  /** As the kernel has it. */
  readonly hostname: string;
  /** Of this program. */
  readonly agentVersion: string;
  /** `192.0.2.1:7443`. */
  readonly controlAddress: string;
  /** Underlay address of its VXLAN devices. */
  readonly vtepAddress: string;
  /** `ok`, or why it cannot have encrypted networks. */
  readonly encryption: string;
  /** Whether a stream from a leader is up. */
  readonly connected: boolean;
  /** Where the leader was last heard, or null. */
  readonly leaderAddress: string | null;
  /** RFC 3339. */
  readonly certificateNotAfter: string;
  /** Digest of the projection that the kernel has in full, or null. */
  readonly applied: string | null;
  /** Whether that is the newest one. */
  readonly ready: boolean;
  /** Why its kernel does not have all that it should, or null. */
  readonly lastError: string | null;
  /** What IPsec has carried and refused, as it was told last; null: it is on no encrypted network. */
  readonly ipsec: ReportedIpsec | null;
  /** For one who looks for a fault. */
  readonly counters: JsonObject;
}

/** What a client sees of an attachment, as projection and kernel are now. */
export function viewAttachment(
  record: AttachmentRecord,
  projection: Projection | null,
  status: OverlayStatus,
): AttachmentView {
  const { id, workload: { target }, name, lease, endpoints, createdAtMs } = record;
  return {
    id,
    netns: target.kind === "path" ? target.path : null,
    pid: target.kind === "pid" ? target.pid : null,
    name,
    lease,
    interfaces: endpoints.flatMap((endpoint) => viewInterface(endpoint, projection, status)),
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

/** None when the leader has not told of it since this agent began. */
function viewInterface(
  { endpointId, interfaceName }: AttachedEndpoint,
  projection: Projection | null,
  status: OverlayStatus,
): AttachmentInterfaceView[] {
  for (const network of projection?.networks ?? []) {
    const endpoint = network.endpoints.find(({ id }) => id === endpointId);
    if (endpoint === undefined) continue;
    return [{
      endpointId,
      networkId: network.id,
      networkName: network.name,
      interface: status.attached.has(endpointId) ? interfaceName : null,
      ip: endpoint.ip,
      prefixLength: Cidr.parse(network.subnet).prefixLength,
      mac: endpoint.mac,
      mtuBytes: network.mtuBytes,
    }];
  }
  return [];
}
