// Managers with everything real: disks, certificates, mutual TLS on the loopback. Only the clocks of
// the core run faster than in production, so that a test of elections takes no minutes.
import { type Clock, encodeUtf8, type Id, type Logger, newId } from "../base/mod.ts";
import { certificateToPem, checkCsr, createKeyAndCsr, createRoot, issue } from "../ca/mod.ts";
import {
  createManagerStreams,
  Dialer,
  type Listener,
  type ManagerStreams,
  startListener,
  type StreamLimits,
  type TlsIdentity,
} from "../tls/mod.ts";
import { createStore, openStore, type Store, type StoreOptions, type Timing } from "./mod.ts";
import { random, Recorder } from "./testing_store.ts";

export const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Nobody is elected because a busy machine stands still: for tests that need no election. */
export const PATIENT_TIMING: Timing = { tickMs: 10, heartbeatTicks: 5, electionTicks: 1500 };
/** Elections after 1 to 2 s: for tests that wait for one. */
export const ELECTION_TIMING: Timing = { tickMs: 10, heartbeatTicks: 5, electionTicks: 100 };

/** Lines of warnings and worse. */
export function keepingLogger(lines: string[]): Logger {
  const keep = (message: string, fields: unknown) =>
    void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const logger: Logger = {
    error: keep,
    warn: keep,
    info: () => {},
    debug: () => {},
    with: () => logger,
  };
  return logger;
}

/** Gives certificates to managers, and to those who would like to be. */
export class TestAuthority {
  readonly clusterId = newId(random);
  readonly #root: Awaited<ReturnType<typeof createRoot>>;

  private constructor(clusterId: Id, root: Awaited<ReturnType<typeof createRoot>>) {
    this.clusterId = clusterId;
    this.#root = root;
  }

  static async create(): Promise<TestAuthority> {
    const clusterId = newId(random);
    const serial = random.bytes(16);
    const nowMs = Date.now() - 86_400_000;
    return new TestAuthority(clusterId, await createRoot({ clusterId, serial, nowMs }));
  }

  get trust() {
    return { clusterId: this.clusterId, roots: [this.#root.certificate] };
  }

  async identity(
    id: Id,
    options: { readonly role?: "manager" | "worker"; readonly lifetimeMs?: number } = {},
  ): Promise<TlsIdentity> {
    const { role = "manager", lifetimeMs = 86_400_000 } = options;
    const { csr, privateKey } = await createKeyAndCsr();
    const certificate = await issue({
      root: this.#root.certificate,
      rootKey: this.#root.privateKey,
      publicKey: checkCsr(csr).publicKey,
      clusterId: this.clusterId,
      serial: random.bytes(16),
      role,
      id,
      nowMs: Date.now(),
      lifetimeMs,
    });
    return { privateKeyPem: privateKey, certificatePem: certificateToPem(certificate) };
  }
}

type ManagerOptions =
  & Partial<Pick<StoreOptions<number>, "snapshotEvery" | "keepEntries" | "timing" | "limits">>
  & { readonly streamLimits?: Partial<StreamLimits> };

/** One of them. */
export class TestManager {
  readonly id: Id;
  readonly directory: string;
  readonly lines: string[] = [];
  readonly failures: Error[] = [];
  /** With whom nothing passes. */
  readonly cut = new Set<Id>();
  machine = new Recorder();
  readonly #identity: TlsIdentity;
  readonly #managers: TestManagers;
  #parts: {
    readonly store: Store<number>;
    readonly listener: Listener;
    readonly dialer: Dialer;
    readonly streams: ManagerStreams;
  } | null = null;
  port = 0;

  constructor(
    managers: TestManagers,
    id: Id,
    identity: TlsIdentity,
    options: { readonly begin: "found" | "join"; readonly under: string },
  ) {
    const { begin, under } = options;
    this.id = id;
    this.#managers = managers;
    this.#identity = identity;
    this.directory = `${under}/${id}`;
    createStore({
      directory: this.directory,
      incarnation: managers.incarnation,
      random,
      begin,
      memberId: id,
    });
  }

  get runs(): boolean {
    return this.#parts !== null;
  }

  get store(): Store<number> {
    if (this.#parts === null) throw new Error(`${this.id} does not run`);
    return this.#parts.store;
  }

  get streams(): ManagerStreams {
    if (this.#parts === null) throw new Error(`${this.id} does not run`);
    return this.#parts.streams;
  }

  get leads(): boolean {
    return this.#parts?.store.isLeader ?? false;
  }

  async start(): Promise<void> {
    const { trust } = this.#managers.authority;
    const { options } = this.#managers;
    const logger = keepingLogger(this.lines);
    const dialer = new Dialer({ identity: this.#identity, trust, clock });
    const addressOf = (id: Id) => this.cut.has(id) ? null : this.#managers.addressOf(id);
    const streams = await createManagerStreams({
      selfId: this.id,
      dialer,
      clock,
      random,
      logger,
      addressOf,
      ownAddress: () => null,
      limits: { firstRetryMs: 20, lastRetryMs: 200, ...options.streamLimits },
    });
    const listener = await startListener({
      host: "127.0.0.1",
      port: this.port,
      identity: this.#identity,
      trust,
      clock,
      logger,
      authorize: ({ identity }) =>
        identity === null || this.cut.has(identity.id) ? "refused" : "member",
      handle: () => new Response(null, { status: 404 }),
      upgrade: streams.upgrade,
    });
    this.port = listener.port;
    this.machine = new Recorder();
    try {
      const store = openStore<number>({
        timing: PATIENT_TIMING,
        ...options,
        directory: this.directory,
        machine: this.machine,
        memberId: this.id,
        random,
        clock,
        transport: streams,
        logger,
        addressOf,
        onFailure: (error) => this.failures.push(error),
      });
      this.#parts = { store, listener, dialer, streams };
    } catch (error) {
      streams.close();
      await listener.close();
      dialer.closeAll();
      throw error;
    }
  }

  /** Nothing passes between this one and `other` any more, and what is open ends. */
  cutFrom(other: TestManager): void {
    for (const [one, another] of [[this, other], [other, this]] as const) {
      one.cut.add(another.id);
      one.#parts?.streams.closePeer(another.id);
      one.#parts?.listener.recheck();
    }
  }

  healWith(other: TestManager): void {
    this.cut.delete(other.id);
    other.cut.delete(this.id);
  }

  async stop(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    await parts.store.close();
    this.#parts = null;
    parts.streams.close();
    await parts.listener.close();
    parts.dialer.closeAll();
  }
}

/** All managers of a cluster, in this process. */
export class TestManagers implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "agent-managers-" });
  readonly incarnation = newId(random);
  readonly authority: TestAuthority;
  readonly options: ManagerOptions;
  readonly all: TestManager[] = [];
  /** Every write that was acknowledged. */
  readonly acknowledged: string[] = [];

  private constructor(authority: TestAuthority, options: ManagerOptions) {
    this.authority = authority;
    this.options = options;
  }

  /** `count` managers that vote, the first of which leads. */
  static async create(count: number, options: ManagerOptions = {}): Promise<TestManagers> {
    const managers = new TestManagers(await TestAuthority.create(), options);
    const first = await managers.add("found");
    await first.start();
    for (let number = 1; number < count; number++) await managers.join();
    return managers;
  }

  addressOf(id: Id): string | null {
    const port = this.all.find((manager) => manager.id === id)?.port ?? 0;
    return port === 0 ? null : `127.0.0.1:${port}`;
  }

  async add(begin: "found" | "join", under = this.directory): Promise<TestManager> {
    const id = newId(random);
    const identity = await this.authority.identity(id);
    const manager = new TestManager(this, id, identity, { begin, under });
    this.all.push(manager);
    return manager;
  }

  /** Brings a new one in, from nothing to a vote. */
  async join(under?: string): Promise<TestManager> {
    const manager = await this.add("join", under);
    await manager.start();
    const { store } = await this.leader();
    await store.addLearner(manager.id);
    await eventually(
      () => store.status().members.some(({ id, caughtUp }) => id === manager.id && caughtUp),
      () => `${manager.id} catches up: ${JSON.stringify(store.status())}`,
    );
    await store.promote(manager.id);
    return manager;
  }

  get running(): TestManager[] {
    return this.all.filter((manager) => manager.runs);
  }

  /** Whoever leads among these, as soon as one does. */
  async leader(among: readonly TestManager[] = this.running): Promise<TestManager> {
    let found: TestManager | undefined;
    await eventually(
      () => (found = among.find((manager) => manager.leads)) !== undefined,
      () => `one leads: ${JSON.stringify(among.map(({ store }) => store.status()))}`,
    );
    if (found === undefined) throw new Error("there is a leader");
    return found;
  }

  /** Writes through whoever leads, again and again until it is acknowledged. */
  async write(text: string, among: readonly TestManager[] = this.running): Promise<void> {
    for (;;) {
      const { store } = await this.leader(among);
      try {
        await store.propose(encodeUtf8(text));
        this.acknowledged.push(text);
        return;
      } catch (error) {
        const name = error instanceof Error ? error.name : "";
        const passes = ["NotLeaderError", "OutcomeUnknownError", "StoreRefusedError"];
        if (!passes.includes(name)) throw error;
        await pause(10);
      }
    }
  }

  /** Every running manager has all that was acknowledged, in one and the same order. */
  async converged(among: readonly TestManager[] = this.running): Promise<void> {
    await this.write(`marker ${this.acknowledged.length}`, among);
    const marker = this.acknowledged.at(-1) ?? "";
    await eventually(
      () => among.every(({ machine }) => machine.entries.includes(marker)),
      () => `all have ${marker}: ${among.map(({ machine }) => machine.entries.length)}`,
    );
    const [first] = among;
    for (const { machine } of among) {
      const missing = this.acknowledged.filter((text) => !machine.entries.includes(text));
      if (missing.length > 0) throw new Error(`lost: ${missing.slice(0, 5)} (${missing.length})`);
      const end = machine.entries.indexOf(marker);
      const same = machine.entries.slice(0, end).every((text, place) =>
        text === first?.machine.entries[place]
      );
      if (!same) throw new Error("two managers have different logs");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Followers first: nobody takes a leadership over in the end.
    const running = this.running.toSorted((left, right) =>
      Number(left.leads) - Number(right.leads)
    );
    for (const manager of running) await manager.stop();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

/** Resolves when `condition` holds. Long after it should, it says what was waited for. */
export async function eventually(condition: () => boolean, what: () => string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`In vain: ${what()}`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
