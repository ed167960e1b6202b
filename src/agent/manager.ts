import type { Id, Logger } from "../base/mod.ts";
import { type ClusterApp, loadClusterApp, type OwnManager } from "../api/mod.ts";
import { ClusterMachine, ControlPlane } from "../cluster/mod.ts";
import type { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord, type OwnLeader } from "../node/mod.ts";
import type { Applied, ClusterState } from "../state/mod.ts";
import {
  DataLostError,
  LOCAL_TIMING,
  openStore,
  type Store,
  type StoreFailedError,
  WIDE_AREA_TIMING,
} from "../store/mod.ts";
import { systemClock, systemRandom } from "../sys/mod.ts";
import {
  createManagerStreams,
  Dialer,
  type Listener,
  type ManagerStreams,
  type PeerInfo,
  startListener,
  type TlsIdentity,
  type Trust,
} from "../tls/mod.ts";
import { mayBeNewerManager, principalOf, standingOf } from "./standing.ts";
import { AGENT_VERSION } from "./version.ts";

/**
 * A node that takes itself out of the cluster still hears the answer; its next request is refused
 * in any case, for the state does not know it any more.
 */
const LAST_WORDS_MS = 200;
const GRACE_MS = 500;
/** Another manager leads, or none does: somebody else has to be asked, or later. */
const NOT_MINE: readonly number[] = [421, 503];

/** What {@linkcode Manager.start} needs. */
export interface ManagerOptions {
  readonly record: NodeRecord;
  readonly files: StateFiles;
  /** Of the store. */
  readonly directory: string;
  readonly logger: Logger;
  /** It can acknowledge nothing any more. `lost`: its disk lost what it had promised. */
  readonly onFailure: (kind: "failed" | "lost") => void;
}

interface Parts {
  readonly record: NodeRecord;
  readonly logger: Logger;
  readonly machine: ClusterMachine;
  readonly dialer: Dialer;
  readonly streams: ManagerStreams;
  readonly store: Store<Applied>;
}

/** What only a manager has: the store, the other managers, and the port that the others come to. */
export class Manager implements OwnLeader {
  readonly #parts: Parts;
  readonly #plane: ControlPlane;
  #app: ClusterApp | null = null;
  #listener: Listener | null = null;

  private constructor(parts: Parts) {
    this.#parts = parts;
    const { store, machine, logger } = parts;
    this.#plane = new ControlPlane({
      store,
      machine,
      clock: systemClock,
      random: systemRandom,
      logger,
      onRemoved: (ids) => void systemClock.schedule(LAST_WORDS_MS, () => this.#endPeers(ids)),
    });
  }

  /** @throws {DataLostError} when its disk has less than was promised with it */
  static async start(options: ManagerOptions): Promise<Manager> {
    const { record, files, directory, logger, onFailure } = options;
    const machine = new ClusterMachine();
    const { identity, trust } = new IdentityStore(files).readTls();
    const dialer = new Dialer({ identity, trust, clock: systemClock });
    // One that has just joined has no state yet.
    const addressOf = (id: Id) =>
      machine.state.nodes.get(id)?.facts.controlAddress ??
        record.managers.find((manager) => manager.id === id)?.address ?? null;
    const streams = await createManagerStreams({
      selfId: record.nodeId,
      dialer,
      clock: systemClock,
      random: systemRandom,
      logger,
      addressOf,
      ownAddress: () => record.controlAddress,
    });
    const store = openStore<Applied>({
      directory,
      machine,
      memberId: record.nodeId,
      random: systemRandom,
      clock: systemClock,
      transport: streams,
      tickMs: () => tickMsOf(machine.state),
      logger,
      addressOf,
      onFailure: (error: StoreFailedError | DataLostError) => {
        logger.error(error.message);
        onFailure(error instanceof DataLostError ? "lost" : "failed");
      },
    });
    const manager = new Manager({ record, logger, machine, dialer, streams, store });
    try {
      await manager.#listen(identity, trust);
    } catch (error) {
      await manager.close();
      throw error;
    }
    return manager;
  }

  certify(...[request]: Parameters<OwnLeader["certify"]>): ReturnType<OwnLeader["certify"]> {
    return this.#plane.certify(this.#principal, request);
  }

  async fetch(request: Request): Promise<Response | null> {
    if (this.#app === null || !this.#plane.leads) return null;
    const peer = { principal: this.#principal, address: "local" };
    const response = await this.#app.fetch(request, peer);
    if (!NOT_MINE.includes(response.status)) return response;
    await response.body?.cancel();
    return null;
  }

  /** As it sees itself and the others. */
  status(): OwnManager {
    const { role, leader, term, lastIndex, commitIndex, appliedIndex, voters, learners } = this
      .#parts
      .store.status();
    return {
      role: role === "pre-candidate" ? "candidate" : role,
      term,
      leaderId: leader?.id ?? null,
      lastIndex,
      commitIndex,
      appliedIndex,
      voters,
      learners,
    };
  }

  setIdentity(identity: TlsIdentity, trust: Trust): void {
    const { dialer, streams } = this.#parts;
    this.#listener?.setTrust(trust);
    this.#listener?.setIdentity(identity);
    dialer.setTrust(trust);
    dialer.setIdentity(identity);
    streams.renew();
  }

  async close(): Promise<void> {
    const { store, streams, dialer } = this.#parts;
    // First, while the others can still be spoken to: it hands the leadership over.
    await store.close();
    this.#plane.close();
    streams.close();
    await this.#listener?.close({ graceMs: GRACE_MS });
    dialer.closeAll();
  }

  get #principal() {
    return { kind: "node", id: this.#parts.record.nodeId, role: "manager" } as const;
  }

  async #listen(identity: TlsIdentity, trust: Trust): Promise<void> {
    const { record: { controlAddress }, logger, streams } = this.#parts;
    const app = await loadClusterApp(this.#plane, { logger, agentVersion: AGENT_VERSION });
    this.#app = app;
    this.#listener = await startListener({
      port: Number(controlAddress.slice(controlAddress.lastIndexOf(":") + 1)),
      identity,
      trust,
      clock: systemClock,
      logger,
      authorize: (peer) => this.#authorize(peer),
      handle: (request, peer) =>
        app.fetch(request, {
          principal: principalOf(this.#plane.state, peer),
          address: peer.address,
        }),
      upgrade: streams.upgrade,
    });
  }

  #authorize(peer: PeerInfo): ReturnType<typeof standingOf> {
    const standing = standingOf(principalOf(this.#plane.state, peer), peer);
    const leaderId = this.#parts.store.leader?.id ?? null;
    return standing !== "member" && mayBeNewerManager(peer, { leaderId }) ? "member" : standing;
  }

  #endPeers(ids: readonly Id[]): void {
    for (const id of ids) {
      this.#listener?.closePeer(id);
      this.#parts.streams.closePeer(id);
    }
  }
}

/** One that has no state yet decides nothing. */
function tickMsOf(state: ClusterState): number {
  const isFar = state.exists && state.settings.managerTiming === "wide-area";
  return (isFar ? WIDE_AREA_TIMING : LOCAL_TIMING).tickMs;
}
