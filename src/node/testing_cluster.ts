// Both halves of the control plane in one process: a manager behind real TLS on the loopback, and hosts
// that have joined it. Only the data plane is simulated.
import { loadClusterApp } from "../api/mod.ts";
import { principalOf, standingOf } from "../agent/standing.ts";
import { type Clock, type Id, type Principal } from "../base/mod.ts";
import { certificateToPem } from "../ca/mod.ts";
import { decodeBase64url } from "../base/mod.ts";
import { realClock } from "../cluster/testing_clock.ts";
import { factsOf, keepingLogger, TestPlane } from "../cluster/testing_plane.ts";
import { StateFiles } from "../machine/mod.ts";
import type { Settings } from "../state/mod.ts";
import { systemRandom } from "../sys/mod.ts";
import { type Listener, startListener, type TlsIdentity, type Trust } from "../tls/mod.ts";
import { IdentityStore, joinCluster, type NodeRecord } from "./mod.ts";
import { type HostOptions, TestHost } from "./testing_host.ts";

export type { HostOptions, TestHost };

/** What a test does to a request on its way to the manager, or to the answer on its way back. */
export type Meddle = (
  request: Request,
  principal: Principal,
  next: () => Promise<Response>,
) => Promise<Response>;

const GREETING: Meddle = (_request, _principal, next) => next();

/** A manager that hosts can join. */
export class TestManager implements AsyncDisposable {
  readonly cluster: TestPlane;
  /** Every request passes through it. */
  meddle: Meddle = GREETING;
  readonly #hosts: TestHost[] = [];
  readonly #doorClock: Clock;
  #listener: Listener | null = null;
  #identity: TlsIdentity;

  private constructor(cluster: TestPlane, doorClock: Clock) {
    this.cluster = cluster;
    this.#doorClock = doorClock;
    const { certificate } = cluster.founded;
    this.#identity = {
      privateKeyPem: cluster.key.privateKey,
      certificatePem: certificateToPem(decodeBase64url(certificate)),
    };
  }

  static async start(
    options: {
      readonly settings?: Partial<Settings>;
      /** Of the control plane. */
      readonly clock?: Clock;
      /** Of what listens. */
      readonly doorClock?: Clock;
    } = {},
  ): Promise<TestManager> {
    const { clock = realClock, doorClock = realClock, settings = {} } = options;
    const plainVxlanPort = 10_000 + systemRandom.below(9_000);
    const facts = factsOf("first", { controlAddress: "127.0.0.1:1" });
    const cluster = await TestPlane.found({
      clock,
      facts,
      settings: { plainVxlanPort, ...settings },
    });
    const manager = new TestManager(cluster, doorClock);
    await manager.listen(0);
    const { plane, founded, manager: principal } = cluster;
    await plane.writeOnce(principal, {
      kind: "node.describe",
      body: { id: founded.nodeId, facts: { ...facts, controlAddress: manager.address } },
    });
    return manager;
  }

  get plane(): TestPlane["plane"] {
    return this.cluster.plane;
  }

  /** `127.0.0.1:<port>`. */
  get address(): string {
    if (this.#listener === null) throw new Error("it does not listen");
    return this.#listener.address;
  }

  get trust(): Trust {
    const { clusterId, root } = this.cluster.founded;
    return { clusterId, roots: [decodeBase64url(root)] };
  }

  setIdentity(identity: TlsIdentity, trust: Trust): void {
    this.#identity = identity;
    this.#listener?.setTrust(trust);
    this.#listener?.setIdentity(identity);
  }

  async listen(port: number): Promise<void> {
    const app = await loadClusterApp({
      newId: () => this.plane.newId(),
      stateTimeMs: () => this.plane.stateTimeMs(),
      heard: (incarnation) => this.plane.heard(incarnation),
      ca: () => this.plane.ca(),
      read: () => this.plane.read(),
      backup: () => this.plane.backup(),
      write: (request) => this.plane.write(request),
      createNetwork: (request) => this.plane.createNetwork(request),
      rotateNetwork: (request) => this.plane.rotateNetwork(request),
      createToken: (request) => this.plane.createToken(request),
      join: (request, peer) => this.plane.join(request, peer),
      certify: (principal, request) => this.plane.certify(principal, request),
      checkNetwork: (networkId) => this.plane.checkNetwork(networkId),
      checked: (id, report) => this.plane.checked(id, report),
      report: (id, report) => this.plane.report(id, report),
      openStream: (id, signal) => this.plane.openStream(id, signal),
    }, { logger: keepingLogger(this.cluster.lines), agentVersion: "0.0.0" });
    this.#listener = await startListener({
      host: "127.0.0.1",
      port,
      identity: this.#identity,
      trust: this.trust,
      clock: this.#doorClock,
      logger: keepingLogger(this.cluster.lines),
      limits: { strangersPerAddress: 64 },
      authorize: (peer) => standingOf(principalOf(this.plane.state, peer), peer),
      handle: (request, peer) => {
        const principal = principalOf(this.plane.state, peer);
        return this.meddle(request, principal, () =>
          app.fetch(request, {
            principal,
            address: peer.address,
          }));
      },
    });
  }

  /** Nothing answers at its address any more. */
  async stopListening(): Promise<number> {
    const port = this.#listener?.port ?? 0;
    await this.#listener?.close();
    this.#listener = null;
    return port;
  }

  /** Removes a member, and ends its connections. */
  async remove(id: Id): Promise<void> {
    await this.plane.writeOnce(this.cluster.manager, { kind: "node.remove", body: { id } });
    this.#listener?.closePeer(id);
  }

  /** A host that has joined, and whose agent runs. */
  async join(hostname: string, options: HostOptions = {}): Promise<TestHost> {
    const { text } = await this.cluster.token();
    const address = `127.${80 + systemRandom.below(100)}.${systemRandom.below(256)}.1`;
    const facts = factsOf(hostname, {
      controlAddress: `${address}:7443`,
      vtepAddress: address,
      ...options.facts,
    });
    const directory = Deno.makeTempDirSync({ prefix: "agent-node-" });
    const store = new IdentityStore(new StateFiles(directory));
    const record = await joinCluster({
      address: this.address,
      token: text,
      facts,
      probePort: this.plane.state.settings.plainVxlanPort,
      store,
      clock: options.joinClock ?? realClock,
      random: systemRandom,
      onStep: () => {},
      becomeManager: () => Promise.resolve(),
    });
    return this.#takeIn(new TestHost(directory, record, facts, options));
  }

  /** The manager's own host. */
  own(options: HostOptions = {}): TestHost {
    const { clusterId, nodeId, certificate } = this.cluster.founded;
    const directory = Deno.makeTempDirSync({ prefix: "agent-node-" });
    const facts = factsOf("first", { controlAddress: this.address });
    const record: NodeRecord = {
      v: 1,
      clusterId,
      nodeId,
      role: "manager",
      controlAddress: this.address,
      vtepAddress: facts.vtepAddress,
      managers: [{ id: nodeId, address: this.address }],
    };
    const store = new IdentityStore(new StateFiles(directory));
    store.writeTls(
      this.cluster.key.privateKey,
      decodeBase64url(certificate),
      this.trust.roots.map((root) => new Uint8Array(root)),
    );
    store.writeRecord(record);
    return this.#takeIn(
      new TestHost(directory, record, facts, {
        ownLeader: {
          certify: (request) => {
            const principal = { kind: "node", id: nodeId, role: "manager" } as const;
            return this.plane.certify(principal, request);
          },
          fetch: () => Promise.resolve(null),
        },
        onIdentity: (identity, trust) => this.setIdentity(identity, trust),
        ...options,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#hosts) await host.end();
    await this.stopListening();
    await this.cluster[Symbol.asyncDispose]();
  }

  #takeIn(host: TestHost): TestHost {
    this.#hosts.push(host);
    return host;
  }
}
