import type { Logger } from "../base/mod.ts";
import { type ClusterApp, loadClusterApp } from "../api/mod.ts";
import { ClusterMachine, ControlPlane } from "../cluster/mod.ts";
import type { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord } from "../node/mod.ts";
import type { Applied } from "../state/mod.ts";
import { openSingleStore, type Store } from "../store/mod.ts";
import { systemClock, systemRandom } from "../sys/mod.ts";
import { type Listener, startListener, type TlsIdentity, type Trust } from "../tls/mod.ts";
import { principalOf, standingOf } from "./standing.ts";
import { AGENT_VERSION } from "./version.ts";

/**
 * A node that takes itself out of the cluster still hears the answer; its next request is refused
 * in any case, for the state does not know it any more.
 */
const LAST_WORDS_MS = 200;

/** What only a manager has: the store, and the port that the others come to. */
export class Manager {
  readonly plane: ControlPlane;
  readonly fetch: ClusterApp["fetch"];
  readonly #store: Store<Applied>;
  readonly #listener: Listener;

  private constructor(
    plane: ControlPlane,
    app: Manager["fetch"],
    store: Store<Applied>,
    listener: Listener,
  ) {
    this.plane = plane;
    this.fetch = app;
    this.#store = store;
    this.#listener = listener;
  }

  static async start(
    record: NodeRecord,
    files: StateFiles,
    directory: string,
    logger: Logger,
    stop: (code: number) => void,
  ): Promise<Manager> {
    const machine = new ClusterMachine();
    const store = openSingleStore<Applied>({
      directory,
      machine,
      random: systemRandom,
      onFailure: (error) => {
        logger.error(error.message);
        stop(1);
      },
    });
    const plane = new ControlPlane({
      store,
      machine,
      clock: systemClock,
      random: systemRandom,
      logger,
      onRemoved: (ids) => {
        systemClock.schedule(LAST_WORDS_MS, () => ids.forEach((id) => listener.closePeer(id)));
      },
    });
    const app = await loadClusterApp(plane, { logger, agentVersion: AGENT_VERSION });
    const { identity, trust } = new IdentityStore(files).readTls();
    const listener = await startListener({
      port: Number(record.controlAddress.slice(record.controlAddress.lastIndexOf(":") + 1)),
      identity,
      trust,
      clock: systemClock,
      logger,
      authorize: (peer) => standingOf(principalOf(plane.state, peer), peer),
      handle: (request, peer) =>
        app.fetch(request, {
          principal: principalOf(plane.state, peer),
          address: peer.address,
        }),
    });
    return new Manager(plane, app.fetch, store, listener);
  }

  setIdentity(identity: TlsIdentity, trust: Trust): void {
    this.#listener.setTrust(trust);
    this.#listener.setIdentity(identity);
  }

  async close(): Promise<void> {
    this.plane.close();
    await this.#listener.close({ graceMs: 500 });
    await this.#store.close();
  }
}
