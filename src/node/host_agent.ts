import { type Clock, type Id, type Logger, newId, type Random } from "../base/mod.ts";
import type {
  CheckOrder,
  CheckReport,
  ManagerAddress,
  NodeFacts,
  NodeReport,
  Projection,
  ReportedIpsec,
  ReportReply,
} from "../state/mod.ts";
import { Dialer, TlsDialError, type TlsIdentity, type Trust } from "../tls/mod.ts";
import type { AttachRequest } from "./attachment_draft.ts";
import type { Lease } from "./attachment_lives.ts";
import { AttachmentStore } from "./attachment_store.ts";
import { Attachments } from "./attachments.ts";
import type { BootKeys } from "./boot_keys.ts";
import { Checker } from "./checker.ts";
import { type AttachmentView, type HostStatusView, viewAttachment } from "./host_views.ts";
import { HostError } from "./host_error.ts";
import { IdentityStore, type NodeRecord } from "./identity.ts";
import { KnownIncarnation } from "./known_incarnation.ts";
import { LeaderLink } from "./leader_link.ts";
import { LeaderRequests } from "./leader_requests.ts";
import { NewestProjection } from "./newest_projection.ts";
import type { NodeFiles, Overlay, OverlayStatus, OwnLeader, Workloads } from "./ports.ts";
import { ProjectionStream } from "./projection_stream.ts";
import { Renewal } from "./renewal.ts";
import { lastErrorOf, reportOf } from "./report.ts";
import { Reporter } from "./reporter.ts";

/** A person waits. */
const FOLLOW_TIMEOUT_MS = 5_000;

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
  /** By which the data plane encrypts, too. */
  readonly bootKeys: BootKeys;
  /** On a manager; null on every other host. */
  readonly ownLeader: OwnLeader | null;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
  /** Where log lines go. */
  readonly logger: Logger;
  /** What the host says of itself now. */
  readonly facts: () => NodeFacts;
  /** What IPsec has carried and refused, of some seconds ago. */
  readonly ipsec: () => ReportedIpsec | null;
  /** Probes the peers of an encrypted network. */
  readonly check: (order: CheckOrder, projection: Projection | null) => Promise<CheckReport>;
  /** A renewed certificate, for whoever else shows it. */
  readonly onIdentity: (identity: TlsIdentity, trust: Trust) => void;
  /**
   * The leader agrees with the newest certificate, which may be of another role than this host had.
   * `incarnation` is the cluster's.
   */
  readonly onAccepted: (incarnation: Id) => void;
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
  readonly #checker: Checker;
  readonly #stream: ProjectionStream;
  readonly #renewal: Renewal;
  readonly #projection: NewestProjection;
  readonly #incarnation: KnownIncarnation;
  readonly #ready = Promise.withResolvers<void>();
  #role: NodeRecord["role"];
  /** Whether the leader knows what this host is like now. */
  #isHeard = false;

  /** Takes up the node that is on disk, and begins to work. */
  constructor(options: HostAgentOptions) {
    this.#options = options;
    const { files, clock, random, logger } = options;
    this.#identity = new IdentityStore(files);
    this.record = this.#identity.readRecord();
    const { managers } = this.record;
    this.#incarnation = new KnownIncarnation(this.#identity);
    const { identity, trust, role } = this.#identity.readTls();
    this.#role = role;
    this.#dialer = new Dialer({ identity, trust, clock });
    const incarnation = () => this.#incarnation.text;
    const ports = { clock, random, logger };
    const link = new LeaderLink({ dialer: this.#dialer, managers, ...ports, incarnation });
    this.#link = link;
    this.#requests = new LeaderRequests(link, clock, random, options.ownLeader);
    this.#projection = new NewestProjection(clock);
    this.#reporter = new Reporter({
      link,
      clock,
      logger,
      report: () => this.#report(),
      onTaken: (report, reply) => this.#onTaken(report, reply),
    });
    this.#checker = new Checker({
      link,
      logger,
      projection: () => this.#projection.value,
      check: options.check,
    });
    this.#attachments = this.#openAttachments();
    this.#renewal = new Renewal({
      link,
      ownLeader: options.ownLeader,
      store: this.#identity,
      clock,
      random,
      logger,
      onRenewed: (fresh, roots) => this.#onRenewed(fresh, roots),
    });
    this.#stream = this.#openStream();
  }

  /** What its certificate makes of it now. */
  get role(): NodeRecord["role"] {
    return this.#role;
  }

  /** Resolves when the kernel first has what the leader wants of this node, and the leader has heard of it. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** The overlay's status has changed. */
  overlayChanged(status: OverlayStatus): void {
    if (status.gone.size > 0) this.#attachments.endpointsGone(status.gone);
    if (this.#isHeard && this.#isApplied(status)) this.#ready.resolve();
    this.#reporter.send();
  }

  /** What the host says of itself has changed. */
  factsChanged(): void {
    this.#reporter.send();
  }

  /** Draws an id for a request. */
  newId(): Id {
    return newId(this.#options.random);
  }

  /** Attaches a workload: all networks or none; in the kernel when it resolves. */
  async attach(order: AttachOrder): Promise<AttachmentView> {
    const record = await this.#attachments.attach(order.request, order);
    return viewAttachment(record, this.#projection.value, this.#options.overlay.status);
  }

  /** The lease of an attachment. To close it only triggers a look at its workload. */
  openLease(id: Id): Lease {
    return this.#attachments.openLease(id);
  }

  /** All attachments, ordered by id. */
  attachments(): readonly AttachmentView[] {
    const { status } = this.#options.overlay;
    return this.#attachments.list()
      .map((record) => viewAttachment(record, this.#projection.value, status));
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
    return this.#projection.value;
  }

  /** Sends a request to the leader with the node's own certificate. */
  forward(request: Request): Promise<Response> {
    return this.#requests.forward(request);
  }

  /**
   * Asks the manager at this address from now on, also after a restart.
   *
   * @throws {HostError} `unavailable` when no manager of this cluster answers there; then nothing changes
   */
  async follow(address: string): Promise<ManagerAddress> {
    let id: Id;
    try {
      const request = { method: "GET", path: "/v1/ca", address, timeoutMs: FOLLOW_TIMEOUT_MS };
      id = (await this.#dialer.request(request)).peer.id;
    } catch (cause) {
      if (!(cause instanceof TlsDialError)) throw cause;
      throw new HostError("unavailable", cause.message, { cause });
    }
    const managers = [{ id, address }];
    this.#incarnation.follow(managers);
    this.#link.setManagers(managers);
    this.#link.forgetLeader();
    return { id, address };
  }

  /** How this host is; what there is to count is not its to know. */
  status(): HostStatusView {
    const { nodeId, clusterId, controlAddress, vtepAddress } = this.record;
    const { role } = this;
    const { hostname, agentVersion, encryption } = this.#options.facts();
    const { status } = this.#options.overlay;
    return {
      nodeId,
      clusterId,
      incarnation: this.#incarnation.known,
      role,
      hostname,
      agentVersion,
      controlAddress,
      vtepAddress,
      encryption,
      connected: this.#stream.connected,
      leaderAddress: this.#link.leaderAddress,
      certificateNotAfter: new Date(this.#renewal.notAfterMs).toISOString(),
      applied: status.applied,
      ready: this.#isApplied(status),
      lastError: lastErrorOf(status),
      ipsec: this.#options.ipsec(),
      counters: {},
    };
  }

  /** Stops working; the kernel goes on forwarding. */
  close(): void {
    this.#stream.close();
    this.#renewal.close();
    this.#reporter.close();
    this.#checker.close();
    this.#attachments.close();
    this.#link.close();
    this.#dialer.closeAll();
  }

  #openAttachments(): Attachments {
    const { workloads, overlay, clock, random } = this.#options;
    return new Attachments({
      store: new AttachmentStore(this.#options.attachmentsPath),
      projection: this.#projection,
      workloads,
      overlay,
      clock,
      random,
      createEndpoints: (wanted, signal) => this.#requests.createEndpoints(wanted, signal),
      onChange: () => this.#reporter.send(),
      tellLeader: () => this.#reporter.sent(),
    });
  }

  #openStream(): ProjectionStream {
    const { clock, random, logger, onRemoved } = this.#options;
    return new ProjectionStream({
      link: this.#link,
      clock,
      random,
      logger,
      onProjection: (projection) => {
        this.#projection.set(projection);
        this.#options.bootKeys.projected(projection);
        this.#attachments.projectionChanged();
      },
      onAccepted: ({ incarnation }) => this.#options.onAccepted(incarnation),
      onReceived: () => this.#reporter.send(),
      check: (projection) => this.#incarnation.check(projection),
      onManagers: (managers, projection) => {
        this.#incarnation.take(projection, managers);
        this.#link.setManagers(managers);
      },
      onStateTime: (stateTimeMs) => this.#requests.setStateTime(stateTimeMs),
      onCheck: (order) => this.#checker.take(order),
      onConnected: (link) => void (link === "up" && this.#reporter.send()),
      askMembership: () => this.#renewal.renew(),
      onRemoved,
    });
  }

  #isApplied({ applied }: OverlayStatus): boolean {
    return this.#projection.value !== null && applied === this.#projection.value.digest;
  }

  #onRenewed(identity: TlsIdentity, trust: Trust): void {
    this.#dialer.setTrust(trust);
    this.#dialer.setIdentity(identity);
    this.#options.onIdentity(identity, trust);
    this.#role = this.#identity.readTls().role;
    void this.#stream.replace();
  }

  /** What came of a report may make the boot key usable, or useless: both are the data plane's concern. */
  #onTaken(report: NodeReport, reply: ReportReply): void {
    const { bootKeys } = this.#options;
    const before = bootKeys.pair;
    this.#isHeard = true;
    if (this.#isApplied(this.#options.overlay.status)) this.#ready.resolve();
    const key = bootKeys.answered(report.number, reply);
    this.#attachments.forget(report.gone);
    if (bootKeys.pair !== before) this.#attachments.projectionChanged();
    if (key === "new-key") this.#reporter.send();
  }

  #report(): NodeReport {
    const { overlay: { status }, bootKeys, ipsec, facts } = this.#options;
    return reportOf({
      received: this.#stream.received,
      status,
      gone: this.#attachments.gone(),
      bootKeys,
      ipsec: ipsec(),
      facts: facts(),
    });
  }
}
