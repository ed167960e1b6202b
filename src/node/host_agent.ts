import {
  type Clock,
  type Id,
  type JsonObject,
  type Logger,
  newId,
  type Random,
} from "../base/mod.ts";
import { Cidr } from "../base/mod.ts";
import type { NodeFacts, NodeReport, Projection } from "../state/mod.ts";
import { Dialer, type TlsIdentity, type Trust } from "../tls/mod.ts";
import { Attachments, type AttachRequest } from "./attachments.ts";
import { type AttachmentRecord, AttachmentStore } from "./attachment_store.ts";
import { IdentityStore, type NodeRecord } from "./identity.ts";
import { LeaderLink } from "./leader_link.ts";
import { LeaderRequests } from "./leader_requests.ts";
import type { NodeFiles, Overlay, OverlayStatus, Workloads } from "./ports.ts";
import { ProjectionStream } from "./projection_stream.ts";
import { Renewal } from "./renewal.ts";
import { Reporter } from "./reporter.ts";

/** What {@linkcode HostAgent} stands on. */
export interface HostAgentOptions {
  /** Small files of the state directory. */
  readonly files: NodeFiles;
  /** Path of the file in which attachments are kept. */
  readonly attachmentsPath: string;
  /** Processes and namespaces. */
  readonly workloads: Workloads;
  /** The data plane. */
  readonly overlay: Overlay;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
  /** Where log lines go. */
  readonly logger: Logger;
  /** What the host says of itself now. */
  readonly facts: () => NodeFacts;
  /** A renewed certificate, for whoever else shows it. */
  readonly onIdentity: (identity: TlsIdentity, trust: Trust) => void;
  /** The cluster does not know this node any more. */
  readonly onRemoved: () => void;
}

/** A request to attach, with what makes a second try the same one. */
export interface AttachOrder {
  /** What is to be attached. */
  readonly request: AttachRequest;
  /** Names the request: made twice with it, it is done once. */
  readonly requestId: string;
  /** Digest of the request as the client sent it. */
  readonly bodyHash: string;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

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
  /** For one who looks for a fault. */
  readonly counters: JsonObject;
}

/** A node's half of the agent: one for each host, managers included. */
export class HostAgent {
  /** What the node is, as it was when it started. */
  readonly record: NodeRecord;
  readonly #options: HostAgentOptions;
  readonly #identity: IdentityStore;
  readonly #dialer: Dialer;
  readonly #link: LeaderLink;
  readonly #requests: LeaderRequests;
  readonly #attachments: Attachments;
  readonly #reporter: Reporter;
  readonly #stream: ProjectionStream;
  readonly #renewal: Renewal;
  readonly #ready = Promise.withResolvers<void>();
  #projection: Projection | null = null;

  /** Takes up the node that is on disk, and begins to work. */
  constructor(options: HostAgentOptions) {
    this.#options = options;
    const { files, clock, random, logger, overlay, workloads } = options;
    this.#identity = new IdentityStore(files);
    this.record = this.#identity.readRecord();
    const { identity, trust } = this.#identity.readTls();
    this.#dialer = new Dialer({ identity, trust, clock });
    const { nodeId, managers } = this.record;
    this.#link = new LeaderLink({ dialer: this.#dialer, nodeId, managers, clock, random, logger });
    this.#requests = new LeaderRequests(this.#link, clock, random);
    this.#reporter = new Reporter({
      link: this.#link,
      clock,
      logger,
      report: () => this.#report(),
      onForgotten: (ids) => this.#attachments.forget(ids),
    });
    this.#attachments = new Attachments({
      store: new AttachmentStore(options.attachmentsPath),
      workloads,
      overlay,
      clock,
      random,
      logger,
      createEndpoints: (wanted, origin) => this.#requests.createEndpoints(wanted, origin),
      onChange: () => this.#reporter.send(),
    });
    this.#renewal = new Renewal({
      link: this.#link,
      store: this.#identity,
      clock,
      random,
      logger,
      onRenewed: (fresh, roots) => this.#onRenewed(fresh, roots),
    });
    this.#stream = new ProjectionStream({
      link: this.#link,
      clock,
      random,
      logger,
      onProjection: (projection) => this.#onProjection(projection),
      onManagers: (list) => this.#onManagers(list),
      onStateTime: (stateTimeMs) => this.#requests.setStateTime(stateTimeMs),
      onConnected: (link) => void (link === "up" && this.#reporter.send()),
      onRemoved: options.onRemoved,
    });
  }

  /** Resolves when the kernel first has what the leader wants of this node. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** The overlay's status has changed. */
  overlayChanged(status: OverlayStatus): void {
    if (status.gone.size > 0) this.#attachments.endpointsGone(status.gone);
    if (this.#projection !== null && status.applied === this.#projection.digest) {
      this.#ready.resolve();
    }
    this.#reporter.send();
  }

  /** Draws an id for a request. */
  newId(): Id {
    return newId(this.#options.random);
  }

  /** Attaches a workload: all networks or none; in the kernel when it resolves. */
  async attach(order: AttachOrder): Promise<AttachmentView> {
    return this.#view(await this.#attachments.attach(order.request, order));
  }

  /** The lease of an attachment: settles when it ends; its closing changes nothing by itself. */
  openLease(id: Id): { readonly ended: Promise<void>; close(): void } {
    // The end of the last process is watched in any case: a lease that closes early, because the
    // workload has closed descriptors that it does not know, ends nothing.
    return { ended: this.#attachments.ended(id), close: () => {} };
  }

  /** All attachments, ordered by id. */
  attachments(): readonly AttachmentView[] {
    return this.#attachments.list().map((record) => this.#view(record));
  }

  /** Takes a workload off its networks, and tells the leader. */
  async detach(id: Id): Promise<void> {
    await this.#attachments.detach(id);
    await this.#reporter.sent();
  }

  /** What the reconciler would do to the kernel now. */
  async plan(): Promise<{ readonly operations: readonly string[] }> {
    return { operations: await this.#options.overlay.plan() };
  }

  /** The newest projection. */
  projection(): Projection | null {
    return this.#projection;
  }

  /** Sends a request to the leader with the node's own certificate. */
  forward(request: Request): Promise<Response> {
    return this.#requests.forward(request);
  }

  /** How this host is. */
  status(): HostStatusView {
    const { nodeId, clusterId, role, controlAddress, vtepAddress } = this.record;
    const { hostname, agentVersion } = this.#options.facts();
    const { applied } = this.#options.overlay.status;
    return {
      nodeId,
      clusterId,
      role,
      hostname,
      agentVersion,
      controlAddress,
      vtepAddress,
      connected: this.#stream.connected,
      leaderAddress: this.#link.leaderAddress,
      certificateNotAfter: new Date(this.#renewal.notAfterMs).toISOString(),
      applied,
      ready: this.#projection !== null && applied === this.#projection.digest,
      lastError: this.#lastError(),
      counters: {},
    };
  }

  /** Stops working; the kernel goes on forwarding. */
  close(): void {
    this.#stream.close();
    this.#renewal.close();
    this.#reporter.close();
    this.#attachments.close();
    this.#dialer.closeAll();
  }

  #onProjection(projection: Projection): void {
    this.#projection = projection;
    this.#attachments.setProjection(projection);
    this.#reporter.send();
  }

  #onManagers(managers: NodeRecord["managers"]): void {
    this.#link.setManagers(managers);
    const known = this.#identity.readRecord();
    if (JSON.stringify(known.managers) !== JSON.stringify(managers)) {
      this.#identity.writeRecord({ ...known, managers });
    }
  }

  #onRenewed(identity: TlsIdentity, trust: Trust): void {
    this.#dialer.setTrust(trust);
    this.#dialer.setIdentity(identity);
    this.#options.onIdentity(identity, trust);
    this.#stream.replace().catch((error: unknown) => {
      this.#options.logger.warn("The stream was not opened anew with the new certificate", {
        reason: error instanceof Error ? error.message : String(error),
      });
    });
  }

  #report(): NodeReport {
    const { applied, attached } = this.#options.overlay.status;
    return {
      v: 1,
      received: this.#projection?.digest ?? null,
      applied,
      attached: [...attached.keys()],
      gone: this.#attachments.gone(),
      lastError: this.#lastError(),
      facts: this.#options.facts(),
    };
  }

  #lastError(): string | null {
    const [problem] = this.#options.overlay.status.problems.values();
    return problem ?? null;
  }

  #view(record: AttachmentRecord): AttachmentView {
    const { target } = record.workload;
    return {
      id: record.id,
      netns: target.kind === "path" ? target.path : null,
      pid: target.kind === "pid" ? target.pid : null,
      name: record.name,
      lease: record.lease,
      interfaces: record.endpoints.flatMap(({ endpointId }) => this.#interfaceView(endpointId)),
      createdAt: new Date(record.createdAtMs).toISOString(),
    };
  }

  #interfaceView(endpointId: Id): AttachmentInterfaceView[] {
    for (const network of this.#projection?.networks ?? []) {
      const endpoint = network.endpoints.find(({ id }) => id === endpointId);
      if (endpoint === undefined) continue;
      return [{
        endpointId,
        networkId: network.id,
        networkName: network.name,
        interface: this.#options.overlay.status.attached.get(endpointId) ?? null,
        ip: endpoint.ip,
        prefixLength: Cidr.parse(network.subnet).prefixLength,
        mac: endpoint.mac,
        mtuBytes: network.mtuBytes,
      }];
    }
    return [];
  }
}
