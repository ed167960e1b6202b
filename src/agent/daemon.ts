import type { Logger } from "../base/mod.ts";
import { createClusterApp, createHostApp } from "../api/mod.ts";
import { ClusterMachine, ControlPlane } from "../cluster/mod.ts";
import { MachineHost, MachineWorkloads, StateFiles } from "../machine/mod.ts";
import { HostAgent, IdentityStore, type NodeRecord } from "../node/mod.ts";
import type { Applied } from "../state/mod.ts";
import { openSingleStore, type Store } from "../store/mod.ts";
import {
  createLogger,
  lockFile,
  type LogLevel,
  systemClock,
  systemRandom,
  Watcher,
} from "../sys/mod.ts";
import { Listener, type TlsIdentity, type Trust } from "../tls/mod.ts";
import { HostDescription } from "./describe.ts";
import { ReconciledOverlay } from "./overlay_adapter.ts";
import { type Directories, pathsOf } from "./paths.ts";
import { principalOf, standingOf } from "./standing.ts";
import { AGENT_VERSION } from "./version.ts";

/**
 * A node that takes itself out of the cluster still hears the answer; its next request is refused
 * in any case, for the state does not know it any more.
 */
const LAST_WORDS_MS = 200;

/** How to run. */
export interface DaemonOptions extends Directories {
  readonly logLevel: LogLevel;
  /** Called once, when the kernel has what the cluster wants of this node. */
  readonly onReady: () => void;
}

/** Another agent runs with these directories. */
export class AlreadyRunningError extends Error {
  /** `AlreadyRunningError`. */
  override name = "AlreadyRunningError";
}

/** Runs a node until it is told to stop; resolves with the process's exit code. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const paths = pathsOf(options);
  const lock = lockFile(paths.lock);
  if (lock.kind === "held") {
    throw new AlreadyRunningError(
      `Another agent runs here (process ${lock.holderPid ?? "unknown"}): ${paths.lock} is locked`,
    );
  }
  const logger = createLogger({ level: options.logLevel });
  const stop = Promise.withResolvers<number>();
  const files = new StateFiles(options.stateDir);
  const record = new IdentityStore(files).readRecord();
  logger.info("The agent starts", {
    version: AGENT_VERSION,
    node: record.nodeId,
    role: record.role,
  });

  const manager = record.role === "manager"
    ? await Manager.start(record, files, paths.store, logger, (code) => stop.resolve(code))
    : null;
  const host = startHost(options, record, files, logger, manager, (code) => stop.resolve(code));
  const server = serveSocket(host.agent, paths.socket, options.runDir, logger, manager);
  host.agent.ready.then(options.onReady);

  const onSignal = () => stop.resolve(0);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, onSignal);
  const code = await stop.promise;
  logger.info("The agent stops; the kernel goes on forwarding", { code });
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, onSignal);
  host.agent.close();
  await server.shutdown();
  await manager?.close();
  await host.close();
  lock.lock.release();
  return code;
}

/** What only a manager has: the store, and the port that the others come to. */
class Manager {
  readonly plane: ControlPlane;
  readonly fetch: ReturnType<typeof createClusterApp>["fetch"];
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
    const app = createClusterApp(plane, { logger, agentVersion: AGENT_VERSION });
    const { identity, trust } = new IdentityStore(files).readTls();
    const listener = await Listener.start({
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

function startHost(
  options: DaemonOptions,
  record: NodeRecord,
  files: StateFiles,
  logger: Logger,
  manager: Manager | null,
  stop: (code: number) => void,
): { readonly agent: HostAgent; close(): Promise<void> } {
  const watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  const host = new MachineHost(watcher, workloads);
  const overlay = new ReconciledOverlay(
    { host, clock: systemClock, logger },
    (status) => agent.overlayChanged(status),
  );
  const description = new HostDescription(host, record, AGENT_VERSION);
  const agent: HostAgent = new HostAgent({
    files,
    attachmentsPath: pathsOf(options).attachments,
    workloads,
    overlay,
    ownLeader: manager === null ? null : {
      certify: (request) => {
        const principal = { kind: "node", id: record.nodeId, role: "manager" } as const;
        return manager.plane.certify(principal, request);
      },
    },
    clock: systemClock,
    random: systemRandom,
    logger,
    facts: () => description.facts(),
    onIdentity: (identity, trust) => manager?.setIdentity(identity, trust),
    onRemoved: () => {
      logger.error("This node was removed from the cluster: its networks are taken down");
      overlay.removeAll().then(() => stop(0), (error: unknown) => {
        logger.error("Not all could be taken down", { reason: String(error) });
        stop(1);
      });
    },
  });
  return {
    agent,
    close: async () => {
      await overlay.close();
      await watcher.close();
    },
  };
}

function serveSocket(
  agent: HostAgent,
  path: string,
  directory: string,
  logger: Logger,
  manager: Manager | null,
): Deno.HttpServer {
  // The directory is closed to all but root before anything is bound in it.
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  Deno.chmodSync(directory, 0o700);
  removeStale(path);
  const app = createHostApp({
    newId: () => agent.newId(),
    attach: (order) => agent.attach(order),
    openLease: (id) => agent.openLease(id),
    attachments: () => agent.attachments(),
    detach: (id) => agent.detach(id),
    plan: () => agent.plan(),
    status: () => agent.status(),
    projection: () => agent.projection(),
    // The leader's own calls need no network: the principal is the same.
    forward: manager === null
      ? (request) => agent.forward(request)
      : (request) =>
        manager.fetch(request, {
          principal: { kind: "node", id: agent.record.nodeId, role: "manager" },
          address: "local",
        }),
  }, { logger, agentVersion: AGENT_VERSION });
  return Deno.serve({ path, onListen: () => {} }, (request) => app.fetch(request));
}

/** A socket stays behind also after a clean end; the lock says that nobody listens on it. */
function removeStale(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
