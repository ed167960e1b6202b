import type { JsonObject, Logger } from "../base/mod.ts";
import { createHostApp } from "../api/mod.ts";
import { MachineHost, MachineWorkloads, RunDirectory, StateFiles } from "../machine/mod.ts";
import { BootKeys, HostAgent, IdentityStore, type NodeRecord } from "../node/mod.ts";
import { probeEncryption } from "../overlay/mod.ts";
import {
  bootId,
  createLogger,
  lockFile,
  type LogLevel,
  returnFreeMemory,
  systemClock,
  systemRandom,
  Watcher,
} from "../sys/mod.ts";
import { HostDescription } from "./describe.ts";
import { EncryptionProbe } from "./encryption_probe.ts";
import { IpsecCounters } from "./ipsec_counters.ts";
import type { Manager } from "./manager.ts";
import { ReconciledOverlay } from "./overlay_adapter.ts";
import { type Directories, pathsOf } from "./paths.ts";
import { AGENT_VERSION } from "./version.ts";

/** After so long without news the work that they made is done. */
const QUIET_MS = 5_000;

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
    ? await startManager(record, files, paths.store, logger, (code) => stop.resolve(code))
    : null;
  const host = await startHost(
    options,
    record,
    files,
    logger,
    manager,
    (code) => stop.resolve(code),
  );
  const server = serveSocket(host, paths.socket, options.runDir, logger, manager);
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

/** A worker does not even load what a manager is made of. */
async function startManager(...args: Parameters<typeof Manager.start>): Promise<Manager> {
  const { Manager } = await import("./manager.ts");
  return await Manager.start(...args);
}

/** A host at work. */
interface RunningHost {
  readonly agent: HostAgent;
  /** What there is to count, for one who looks for a fault. */
  counters(): Promise<JsonObject>;
  close(): Promise<void>;
}

async function startHost(
  options: DaemonOptions,
  record: NodeRecord,
  files: StateFiles,
  logger: Logger,
  manager: Manager | null,
  stop: (code: number) => void,
): Promise<RunningHost> {
  const watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  const host = new MachineHost(watcher, workloads);
  let cancelTrim = () => {};
  const ports = { clock: systemClock, random: systemRandom, logger };
  const bootKeys = new BootKeys({
    files: new RunDirectory(options.runDir),
    bootId: bootId(),
    firstReportNumber: systemClock.nowMs(),
    ...ports,
  });
  // Before anything is said of this host.
  const encryption = await EncryptionProbe.start({
    probe: () => probeEncryption(host),
    ...ports,
    onChange: () => agent.factsChanged(),
  });
  const overlay = new ReconciledOverlay(
    { host, ...ports, keys: bootKeys },
    (status) => {
      agent.overlayChanged(status);
      cancelTrim();
      // A projection of a thousand endpoints leaves megabytes behind.
      cancelTrim = systemClock.schedule(QUIET_MS, returnFreeMemory);
    },
  );
  const description = new HostDescription({
    host,
    addresses: record,
    encryption: () => encryption.answer,
    agentVersion: AGENT_VERSION,
  });
  const agent: HostAgent = new HostAgent({
    files,
    attachmentsPath: pathsOf(options).attachments,
    workloads,
    overlay,
    bootKeys,
    ownLeader: manager === null ? null : {
      certify: (request) => {
        const principal = { kind: "node", id: record.nodeId, role: "manager" } as const;
        return manager.plane.certify(principal, request);
      },
    },
    ...ports,
    facts: () => description.facts(),
    onIdentity: (identity, trust) => manager?.setIdentity(identity, trust),
    onRemoved: () => {
      logger.error("This node was removed from the cluster: its networks are taken down");
      overlay.removeAll().then(() => bootKeys.remove()).then(() => stop(0), (error: unknown) => {
        logger.error("Not all could be taken down", { reason: String(error) });
        stop(1);
      });
    },
  });
  const ipsec = new IpsecCounters(host, systemClock);
  return {
    agent,
    counters: async () => ({
      reconciler: { ...overlay.stats },
      ipsec: await ipsec.count(agent.projection()),
    }),
    close: async () => {
      encryption.close();
      await overlay.close();
      cancelTrim();
      await watcher.close();
    },
  };
}

function serveSocket(
  { agent, counters }: RunningHost,
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
    status: async () => ({ ...agent.status(), counters: await counters() }),
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
