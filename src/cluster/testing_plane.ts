// What the tests of both halves of the control plane stand on: a real store on a temporary
// directory, the real authority, and clocks that a test can turn by hand.
import {
  type Bytes,
  type Clock,
  decodeBase64url,
  encodeBase64url,
  type Id,
  type LogFields,
  type Logger,
  type Principal,
  type Random,
} from "../base/mod.ts";
import { checkCsr, createKeyAndCsr, hashSecret, type KeyAndCsr, parseToken } from "../ca/mod.ts";
import {
  type Applied,
  type CommandBodies,
  type Network,
  type NodeFacts,
  type NodeReport,
  type Settings,
  valueOf,
} from "../state/mod.ts";
import { openSingleStore, type Store } from "../store/mod.ts";
import { Issuer } from "./issuer.ts";
import { ClusterMachine, ControlPlane, foundCluster, type Founded, recoverStore } from "./mod.ts";
import { realClock } from "./testing_clock.ts";

export const testRandom: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  below: (limit) => Math.floor(Math.random() * limit),
};

/** A line as it was logged. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps its lines. */
export function keepingLogger(lines: LogLine[] = []): Logger {
  const at = (level: string) => (message: string, fields: LogFields = {}) =>
    void lines.push({ level, message, fields });
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    with: () => logger,
  };
  return logger;
}

/** What a test host says of itself. */
export function factsOf(hostname: string, facts: Partial<NodeFacts> = {}): NodeFacts {
  return {
    hostname,
    controlAddress: "127.0.0.1:7443",
    vtepAddress: "127.0.0.1",
    underlayMtuBytes: 1500,
    hostRoutes: [],
    encryption: "unavailable (a test)",
    agentVersion: "0.0.0",
    featureLevel: 1,
    ...facts,
  };
}

let reportNumber = 0;

export function reportOf(facts: NodeFacts, report: Partial<NodeReport> = {}): NodeReport {
  return {
    v: 1,
    received: null,
    applied: null,
    attached: [],
    gone: [],
    lastError: null,
    number: ++reportNumber,
    bootKey: null,
    epochs: [],
    ipsec: null,
    facts,
    ...report,
  };
}

/** A member of a {@linkcode TestPlane} that is only in the state. */
export interface TestMember {
  readonly id: Id;
  readonly facts: NodeFacts;
  readonly key: KeyAndCsr;
  readonly certificate: Bytes;
}

/** A cluster of one manager, without a network around it. */
export class TestPlane implements AsyncDisposable {
  readonly directory: string;
  readonly lines: LogLine[] = [];
  readonly removed: Id[] = [];
  readonly founded: Founded;
  readonly key: KeyAndCsr;
  readonly clock: Clock;
  machine = new ClusterMachine();
  store: Store<Applied>;
  plane: ControlPlane;

  private constructor(clock: Clock, directory: string, key: KeyAndCsr, founded: Founded) {
    this.directory = directory;
    this.clock = clock;
    this.key = key;
    this.founded = founded;
    [this.store, this.plane] = this.#open();
  }

  static async found(
    options: {
      readonly clock?: Clock;
      readonly settings?: Partial<Settings>;
      readonly facts?: NodeFacts;
    } = {},
  ): Promise<TestPlane> {
    const { clock = realClock, settings = {}, facts = factsOf("first") } = options;
    const directory = Deno.makeTempDirSync({ prefix: "agent-cluster-" });
    const key = createKeyAndCsr();
    const founded = await foundCluster({
      directory: `${directory}/store`,
      clock,
      random: testRandom,
      csr: key.csr,
      facts,
      settings,
    });
    return new TestPlane(clock, directory, key, founded);
  }

  get manager(): Principal {
    return { kind: "node", id: this.founded.nodeId, role: "manager" };
  }

  /** As after the end of the process, with a new one. */
  async restart(): Promise<void> {
    this.plane.close();
    await this.store.close();
    this.machine = new ClusterMachine();
    [this.store, this.plane] = this.#open();
  }

  /** As after the end of the process, when what is on its disk was recovered before the next begins. */
  async recover(): Promise<void> {
    this.plane.close();
    await this.store.close();
    const [from, to] = [`${this.directory}/store`, `${this.directory}/store.new`];
    const ports = { clock: this.clock, random: testRandom };
    recoverStore({ from, to, nodeId: this.founded.nodeId, ...ports });
    Deno.removeSync(from, { recursive: true });
    Deno.renameSync(to, from);
    this.machine = new ClusterMachine();
    [this.store, this.plane] = this.#open();
  }

  /** The secret of a new token. */
  async token(
    token: Partial<Pick<CommandBodies["token.create"], "role" | "lifetimeMs" | "uses">> = {},
  ): Promise<{ readonly id: Id; readonly text: string; readonly secret: Uint8Array }> {
    const id = this.plane.newId();
    const { text } = await this.plane.createToken({
      token: { id, role: "worker", lifetimeMs: 3_600_000, uses: 1, ...token },
      principal: this.manager,
      requestId: this.plane.newId(),
      from: this.plane.stateTimeMs(),
      bodyHash: id,
    });
    if (text === null) throw new Error("there is a token");
    return { id, text, secret: parseToken(text).secret };
  }

  /** Past admission: for tests of what comes after it. */
  async member(
    hostname: string,
    role: "worker" | "manager" = "worker",
    more: Partial<NodeFacts> = {},
  ): Promise<TestMember> {
    const [key, token] = [createKeyAndCsr(), await this.token({ role })];
    const id = this.plane.newId();
    const facts = factsOf(hostname, more);
    const issuer = new Issuer(this.clock, testRandom);
    const { publicKey } = checkCsr(key.csr);
    const certificate = await issuer.issueNode(this.plane.state, { id, role, publicKey });
    await this.plane.writeOnce({ kind: "anonymous" }, {
      kind: "node.join",
      body: {
        secretHash: hashSecret(token.secret),
        node: { id, role, labels: {}, facts, certificate },
      },
    });
    return { id, facts, key, certificate: decodeBase64url(certificate.certificate) };
  }

  network(name: string): Promise<Network> {
    return this.plane.writeOnce(this.manager, {
      kind: "network.create",
      body: { id: this.plane.newId(), name, labels: {}, allowedNodes: "any" },
    });
  }

  /** One that is encrypted. */
  async encrypted(name: string, rotationIntervalMs?: number): Promise<Network> {
    const outcome = await this.plane.createNetwork({
      ...this.origin(),
      network: {
        id: this.plane.newId(),
        name,
        labels: {},
        allowedNodes: "any",
        encryption: rotationIntervalMs === undefined ? {} : { rotationIntervalMs },
      },
    });
    if (!outcome.ok) throw new Error(outcome.rejection.message);
    return valueOf("network.create", outcome.value);
  }

  /** Of a request that somebody on the manager makes. */
  origin() {
    const requestId = this.plane.newId();
    const from = this.plane.stateTimeMs();
    return { principal: this.manager, requestId, from, bodyHash: requestId };
  }

  /** On a node; gives its id. */
  async endpoint(networkId: Id, nodeId: Id, name?: string): Promise<Id> {
    const id = this.plane.newId();
    const endpoint = { id, networkId, nodeId, ...(name === undefined ? {} : { name }) };
    await this.plane.writeOnce(this.manager, {
      kind: "endpoints.create",
      body: { endpoints: [endpoint] },
    });
    return id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.plane.close();
    await this.store.close();
    Deno.removeSync(this.directory, { recursive: true });
  }

  #open(): [Store<Applied>, ControlPlane] {
    const { machine, clock } = this;
    const store = openSingleStore<Applied>({
      directory: `${this.directory}/store`,
      machine,
      random: testRandom,
      onFailure: (error) => {
        throw error;
      },
    });
    const plane = new ControlPlane({
      store,
      machine,
      clock,
      random: testRandom,
      logger: keepingLogger(this.lines),
      onRemoved: (ids) => this.removed.push(...ids),
    });
    return [store, plane];
  }
}

/** A request for a new key, as it travels. */
export function newCsr(): string {
  return encodeBase64url(createKeyAndCsr().csr);
}
