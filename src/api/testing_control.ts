// An in-memory manager for the tests: the real state, without log, certificates and network.
import {
  encodeBase32,
  encodeBase64url,
  formatPrincipal,
  type Id,
  type Principal,
  sha256,
} from "../base/mod.ts";
import { encodeUtf8 } from "../base/mod.ts";
import {
  type CertifyReply,
  type CertifyRequest,
  type CheckReport,
  ClusterState,
  type Command,
  type Entry,
  type JoinReply,
  type JoinRequest,
  type NetworkCheck,
  type NodeFacts,
  type NodeReport,
  type Outcome,
  type ReportReply,
  type Settings,
  valueOf,
} from "../state/mod.ts";
import type {
  Backup,
  Control,
  Incarnation,
  Liveness,
  MemberReport,
  NetworkWriteRequest,
  NodePrincipal,
  Quorum,
  RotateRequest,
  TokenOutcome,
  TokenWriteRequest,
  View,
  WriteRequest,
} from "./ports.ts";
import type { CaReply } from "./types.ts";

export const SETTINGS: Settings = {
  certificateValidityMs: 90 * 24 * 3_600_000,
  keyRotationIntervalMs: 12 * 3_600_000,
  epochLimitMs: 24 * 3_600_000,
  managerTiming: "local",
  addressPool: "10.64.0.0/11",
  subnetPrefixLength: 24,
  controlPort: 7443,
  plainVxlanPort: 19999,
  encryptedVxlanPortBase: 20000,
};

export function factsOf(hostname: string, host: number): NodeFacts {
  return {
    hostname,
    controlAddress: `192.0.2.${host}:7443`,
    vtepAddress: `192.0.2.${host}`,
    underlayMtuBytes: 1500,
    hostRoutes: [],
    encryption: "ok",
    agentVersion: "0.1.0",
    featureLevel: 1,
  };
}

export class TestControl implements Control {
  readonly state: ClusterState = ClusterState.empty();
  readonly written: WriteRequest[] = [];
  readonly alive = new Map<Id, Liveness>();
  readonly told = new Map<Id, readonly MemberReport[]>();
  /** Incarnations that callers say they live in. */
  readonly incarnations: Incarnation[] = [];
  /** What the leader knows of other managers. */
  followers: Quorum["members"] = [];
  readonly checks = new Map<Id, NetworkCheck>();
  readonly checkReports: (readonly [Id, CheckReport])[] = [];
  /** Secrets that were drawn. */
  readonly secrets: string[] = [];
  /** Thrown by what would begin an epoch. */
  rotationRefusal: Error | null = null;
  readonly managerId: Id;
  readonly workerId: Id;
  readonly otherWorkerId: Id;
  nowMs = Date.UTC(2026, 0, 31, 12);
  openStreams = 0;
  /** Thrown by everything that needs a leader. */
  refusal: Error | null = null;
  /** Waited for by {@linkcode TestControl.read}. */
  gate: Promise<void> = Promise.resolve();
  #drawn = 0;

  constructor() {
    this.managerId = this.newId();
    this.#apply({
      kind: "cluster.create",
      body: {
        clusterId: this.newId(),
        incarnation: this.newId(),
        authority: { roots: [bytesText("root")], rootKey: bytesText("the root's private key") },
        settings: SETTINGS,
        node: {
          id: this.managerId,
          role: "manager",
          labels: {},
          facts: factsOf("host1", 1),
          certificate: this.#certificate("host1"),
        },
      },
    });
    this.workerId = this.#joined("host2", 2);
    this.otherWorkerId = this.#joined("host3", 3);
  }

  newId(): Id {
    return encodeBase32(sha256(encodeUtf8(`id ${++this.#drawn}`)).subarray(0, 16));
  }

  stateTimeMs(): number {
    return Math.max(this.nowMs, this.state.timeMs);
  }

  heard(incarnation: Incarnation): void {
    this.incarnations.push(incarnation);
    if (this.refusal !== null) throw this.refusal;
  }

  backup(): Promise<Backup> {
    const { clusterId, revision, timeMs: writtenAtMs } = this.state;
    const bytes = encodeUtf8("sealed");
    return Promise.resolve({ key: "AGTBAK-1-key-check", bytes, clusterId, revision, writtenAtMs });
  }

  ca(): CaReply {
    return { v: 1, clusterId: this.state.clusterId, roots: this.state.authority.roots };
  }

  async read(): Promise<View> {
    await this.#lead();
    return {
      state: this.state,
      liveness: (nodeId) =>
        this.alive.get(nodeId) ??
          { alive: false, lastSeenAtMs: null, lastError: null, ipsec: null, attached: new Set() },
      members: (networkId) => this.told.get(networkId) ?? [],
      quorum: () => ({
        term: 7,
        leaderId: this.managerId,
        commitIndex: 42,
        mayLose: 0,
        members: this.followers,
      }),
      check: (networkId) => this.checks.get(networkId) ?? null,
    };
  }

  async write(request: WriteRequest): Promise<Outcome> {
    await this.#lead();
    this.written.push(request);
    const { command, principal, requestId, from, bodyHash } = request;
    const entry = { v: 1, ...command, requestId, principal: formatPrincipal(principal), bodyHash };
    const complete: Entry = { ...entry, v: 1, from, at: this.stateTimeMs() };
    return this.state.apply(complete).outcome;
  }

  createNetwork({ network, ...origin }: NetworkWriteRequest): Promise<Outcome> {
    const { encryption, ...body } = network;
    const command: Command = {
      kind: "network.create",
      body: encryption === undefined
        ? body
        : { ...body, encryption: { ...encryption, secret: this.#secret() } },
    };
    return this.write({ ...origin, command });
  }

  async rotateNetwork({ networkId, ...origin }: RotateRequest): Promise<Outcome> {
    if (this.rotationRefusal !== null) throw this.rotationRefusal;
    const newest = this.state.networks.get(networkId)?.keys?.epochs[0]?.epoch ?? 0;
    const body = { id: networkId, epoch: newest + 1, secret: this.#secret() };
    return await this.write({ ...origin, command: { kind: "network.rotate", body } });
  }

  async createToken({ token, ...origin }: TokenWriteRequest): Promise<TokenOutcome> {
    const command: Command = {
      kind: "token.create",
      body: { ...token, secretHash: hashOf(`secret of ${token.id}`) },
    };
    const outcome = await this.write({ ...origin, command });
    if (!outcome.ok) return { outcome, text: null };
    return { outcome, text: `AGTKN-1-${valueOf("token.create", outcome.value).id}` };
  }

  async join(request: JoinRequest, _peerAddress: string): Promise<JoinReply> {
    await this.#lead();
    if (this.state.tokenBySecret(hashOf(request.secret)) === undefined) {
      throw refusal("token-unknown", "No such token");
    }
    return {
      v: 1,
      nodeId: this.workerId,
      clusterId: this.state.clusterId,
      certificate: bytesText("certificate"),
      roots: this.state.authority.roots,
      managers: [{ id: this.managerId, address: "192.0.2.1:7443" }],
      incarnation: this.state.incarnation,
      stateTimeMs: this.stateTimeMs(),
    };
  }

  async certify(_principal: NodePrincipal, _request: CertifyRequest): Promise<CertifyReply> {
    await this.#lead();
    return { v: 1, certificate: bytesText("certificate"), roots: this.state.authority.roots };
  }

  async checkNetwork(networkId: Id): Promise<NetworkCheck> {
    await this.#lead();
    const check: NetworkCheck = {
      checkId: this.newId(),
      networkId,
      cause: "asked",
      startedAtMs: this.nowMs,
      finishedAtMs: null,
      directions: 0,
      passed: 0,
      verdicts: [],
    };
    this.checks.set(networkId, check);
    return check;
  }

  async checked(nodeId: Id, report: CheckReport): Promise<void> {
    await this.#lead();
    this.checkReports.push([nodeId, report]);
  }

  async report(nodeId: Id, report: NodeReport): Promise<ReportReply> {
    await this.#lead();
    this.alive.set(nodeId, {
      alive: true,
      lastSeenAtMs: this.nowMs,
      lastError: report.lastError,
      ipsec: report.ipsec,
      attached: new Set(report.attached),
    });
    return { v: 1, stateTimeMs: this.stateTimeMs(), seenBefore: 0 };
  }

  async openStream(_nodeId: Id, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    await this.#lead();
    this.openStreams++;
    const closed = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => closed.resolve(), { once: true });
    return new ReadableStream({
      start: (controller) => {
        controller.enqueue(encodeUtf8("frame"));
        closed.promise.then(() => controller.close());
      },
      cancel: () => {
        this.openStreams--;
      },
    });
  }

  #secret(): string {
    const secret = hashOf(`secret ${this.secrets.length}`);
    this.secrets.push(secret);
    return secret;
  }

  async #lead(): Promise<void> {
    await this.gate;
    if (this.refusal !== null) throw this.refusal;
  }

  #joined(hostname: string, host: number): Id {
    const id = this.newId();
    const secretHash = hashOf(`join secret of ${hostname}`);
    this.#apply({
      kind: "token.create",
      body: { id: this.newId(), secretHash, role: "worker", lifetimeMs: 3_600_000, uses: 1 },
    });
    this.#apply({
      kind: "node.join",
      body: {
        secretHash,
        node: {
          id,
          role: "worker",
          labels: {},
          facts: factsOf(hostname, host),
          certificate: this.#certificate(hostname),
        },
      },
    });
    return id;
  }

  #certificate(of: string) {
    return {
      serial: "00".repeat(16),
      spkiHash: hashOf(`key of ${of}`),
      notAfterMs: this.nowMs + SETTINGS.certificateValidityMs,
      certificate: bytesText(`certificate of ${of}`),
    };
  }

  #apply(command: Command): void {
    const requestId = this.newId();
    const { outcome } = this.state.apply({
      v: 1,
      ...command,
      requestId,
      principal: "test",
      bodyHash: hashOf(requestId),
      from: this.nowMs,
      at: this.nowMs,
    });
    if (!outcome.ok) throw new Error(`${command.kind}: ${JSON.stringify(outcome.rejection)}`);
  }
}

/** An error as other folders throw it: its own class, no import from here. */
export function refusal(code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more });
}

export function hashOf(text: string): string {
  return encodeBase64url(sha256(encodeUtf8(text)));
}

export function bytesText(text: string): string {
  return encodeBase64url(encodeUtf8(text));
}

/** One principal of each kind; the worker's id is that of a member. */
export function principalsOf(control: TestControl): Record<string, Principal> {
  return {
    anonymous: { kind: "anonymous" },
    worker: { kind: "node", id: control.workerId, role: "worker" },
    manager: { kind: "node", id: control.managerId, role: "manager" },
    admin: { kind: "admin", id: control.newId() },
    recovering: { kind: "recovering", id: control.workerId },
  };
}
