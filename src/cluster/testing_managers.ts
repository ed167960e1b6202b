// Several managers in one process: real stores, real control planes, and a network of function calls.
import type { Frame, Id } from "../base/mod.ts";
import { checkCsr, createKeyAndCsr, hashSecret, parseToken } from "../ca/mod.ts";
import type { Applied } from "../state/mod.ts";
import { createStore, openStore, type RaftTransport, type Store } from "../store/mod.ts";
import { Issuer } from "./issuer.ts";
import { ClusterMachine, ControlPlane, foundCluster } from "./mod.ts";
import { realClock } from "./testing_clock.ts";
import { factsOf, keepingLogger, testRandom } from "./testing_plane.ts";

/** Elections after 150 to 300 ms. */
const TIMING = { tickMs: 10, heartbeatTicks: 3, electionTicks: 15 };

/** One of them. */
export interface TestPlaneManager {
  readonly id: Id;
  readonly store: Store<Applied>;
  readonly machine: ClusterMachine;
  readonly plane: ControlPlane;
}

/** All of a cluster. */
export class TestPlanes implements AsyncDisposable {
  readonly directory: string = Deno.makeTempDirSync({ prefix: "agent-managers-" });
  readonly all: TestPlaneManager[] = [];
  readonly removed: Id[] = [];
  /** Those whose frames neither come nor go. */
  readonly cut = new Set<Id>();
  readonly #receivers = new Map<Id, (from: Id, frame: Frame) => void>();

  static async found(): Promise<TestPlanes> {
    const planes = new TestPlanes();
    const { nodeId } = await foundCluster({
      directory: `${planes.directory}/host1`,
      clock: realClock,
      random: testRandom,
      csr: createKeyAndCsr().csr,
      facts: factsOf("host1", { controlAddress: "192.0.2.1:7443" }),
      settings: {},
    });
    planes.#open("host1", nodeId);
    return planes;
  }

  /** The one that leads, once one does. */
  async leader(among: readonly TestPlaneManager[] = this.all): Promise<TestPlaneManager> {
    for (;;) {
      const found = among.find(({ plane }) => plane.leads);
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Another manager, past admission; it decides nothing yet. */
  async join(hostname: string): Promise<TestPlaneManager> {
    const { plane } = await this.leader();
    const principal = { kind: "node", id: plane.newId(), role: "manager" } as const;
    const origin = {
      principal,
      requestId: plane.newId(),
      from: plane.stateTimeMs(),
      bodyHash: "token",
    };
    const token = { id: plane.newId(), role: "manager", lifetimeMs: 60_000, uses: 1 } as const;
    const { text } = await plane.createToken({ ...origin, token });
    if (text === null) throw new Error("there is a token");
    const id = plane.newId();
    const { publicKey } = checkCsr(createKeyAndCsr().csr);
    const issuer = new Issuer(realClock, testRandom);
    const role = "manager";
    const certificate = await issuer.issueNode(plane.state, { id, role, publicKey });
    const facts = factsOf(hostname, { controlAddress: `192.0.2.${this.all.length + 1}:7443` });
    createStore({
      directory: `${this.directory}/${hostname}`,
      incarnation: plane.state.incarnation,
      random: testRandom,
      begin: "join",
    });
    const joined = this.#open(hostname, id);
    await plane.writeOnce({ kind: "anonymous" }, {
      kind: "node.join",
      body: {
        secretHash: hashSecret(parseToken(text).secret),
        node: { id, role, labels: {}, facts, certificate },
      },
    });
    return joined;
  }

  /** Waits until so many decide. */
  async voters(count: number): Promise<void> {
    while ((await this.leader()).store.status().voters.length !== count) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { plane, store } of this.all) {
      await store.close();
      plane.close();
    }
    Deno.removeSync(this.directory, { recursive: true });
  }

  #open(hostname: string, id: Id): TestPlaneManager {
    const machine = new ClusterMachine();
    const logger = keepingLogger();
    const store = openStore<Applied>({
      directory: `${this.directory}/${hostname}`,
      machine,
      memberId: id,
      random: testRandom,
      clock: realClock,
      transport: this.#transportOf(id),
      logger,
      timing: TIMING,
      addressOf: (member) => machine.state.nodes.get(member)?.facts.controlAddress ?? null,
      onFailure: (error) => {
        throw error;
      },
    });
    const plane = new ControlPlane({
      store,
      machine,
      clock: realClock,
      random: testRandom,
      logger,
      onRemoved: (ids) => this.removed.push(...ids),
    });
    const manager = { id, store, machine, plane };
    this.all.push(manager);
    return manager;
  }

  #transportOf(id: Id): RaftTransport {
    return {
      listen: (receiver) => {
        if (receiver === null) this.#receivers.delete(id);
        else this.#receivers.set(id, receiver);
      },
      send: (to, frames) => {
        queueMicrotask(() => {
          if (this.cut.has(id) || this.cut.has(to)) return;
          for (const frame of frames) this.#receivers.get(to)?.(id, frame);
        });
      },
      setPeers: () => {},
    };
  }
}
