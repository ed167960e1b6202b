import type { Logger } from "../base/mod.ts";
import { createHostApp } from "../api/mod.ts";
import { MachineHost, MachineWorkloads, RunDirectory, StateFiles } from "../machine/mod.ts";
import { BootKeys, HostAgent, HostError, IdentityStore, type NodeRecord } from "../node/mod.ts";
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
import { DEFAULT_SETTINGS } from "../state/mod.ts";
import { AddressError, joinAddress, splitAddress } from "./addresses.ts";
import { HostDescription } from "./describe.ts";
import { EncryptionFile } from "./encryption_memory.ts";
import { EncryptionProbe } from "./encryption_probe.ts";
import { IpsecCounters } from "./ipsec_counters.ts";
import { ManagerHalf } from "./manager_half.ts";
import { ReconciledOverlay } from "./overlay_adapter.ts";
import { checkAsOrdered } from "./pair_checks.ts";
import { type Directories, pathsOf } from "./paths.ts";
import { settleStore } from "./store_exchange.ts";
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
  settleStore(options);
  const logger = createLogger({ level: options.logLevel });
  const stop = Promise.withResolvers<number>();
  const files = new StateFiles(options.stateDir);
  const record = new IdentityStore(files).readRecord();
  logger.info("The agent starts", {
    version: AGENT_VERSION,
    node: record.nodeId,
    role: record.role,
  });

  const manager = new ManagerHalf({
    files,
    directory: paths.store,
    logger,
    stop: (code) => stop.resolve(code),
  });
  await manager.start();
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
  await manager.close();
  await host.close();
  lock.lock.release();
  return code;
}

/** A host at work. */
interface RunningHost {
  readonly agent: HostAgent;
  /** How it is, with what there is to count now. */
  status(): Promise<ReturnType<HostAgent["status"]>>;
  close(): Promise<void>;
}

async function startHost(
  options: DaemonOptions,
  record: NodeRecord,
  files: StateFiles,
  logger: Logger,
  manager: ManagerHalf,
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
    memory: new EncryptionFile(files, { bootId: bootId(), agentVersion: AGENT_VERSION }),
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
  const ipsec = new IpsecCounters(host, systemClock);
  const agent: HostAgent = new HostAgent({
    files,
    attachmentsPath: pathsOf(options).attachments,
    workloads,
    overlay,
    bootKeys,
    ownLeader: manager,
    ...ports,
    facts: () => description.facts(),
    check: (order, projection) => checkAsOrdered({ host, ...ports }, order, projection),
    ipsec: () => ipsec.summary(agent.projection(), overlay.status.guardLack),
    onIdentity: (identity, trust) => manager.setIdentity(identity, trust),
    onAccepted: (incarnation) => manager.settle(incarnation),
    onRemoved: () => {
      logger.error("This node was removed from the cluster: its networks are taken down");
      overlay.removeAll().then(() => bootKeys.remove()).then(() => stop(0), (error: unknown) => {
        logger.error("Not all could be taken down", { reason: String(error) });
        stop(1);
      });
    },
  });
  return {
    agent,
    status: async () => {
      const { summary, peers } = await ipsec.count(agent.projection(), overlay.status.guardLack);
      return {
        ...agent.status(),
        ipsec: summary,
        counters: { reconciler: { ...overlay.stats }, ipsecPeers: peers },
      };
    },
    close: async () => {
      encryption.close();
      await overlay.close();
      cancelTrim();
      await watcher.close();
    },
  };
}

function serveSocket(
  { agent, status }: RunningHost,
  path: string,
  directory: string,
  logger: Logger,
  manager: ManagerHalf,
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
    status: async () => ({ ...await status(), manager: manager.status() }),
    projection: () => agent.projection(),
    follow: (address) => followAt(agent, address),
    forward: (request) => agent.forward(request),
  }, { logger, agentVersion: AGENT_VERSION });
  return Deno.serve({ path, onListen: () => {} }, (request) => app.fetch(request));
}

async function followAt(agent: HostAgent, text: string): ReturnType<HostAgent["follow"]> {
  let address: string;
  try {
    const split = splitAddress(text, DEFAULT_SETTINGS.controlPort);
    address = joinAddress(split.address, split.port);
  } catch (cause) {
    if (!(cause instanceof AddressError)) throw cause;
    throw new HostError("invalid-value", cause.message, { field: "/address", cause });
  }
  return await agent.follow(address);
}

/** A socket stays behind also after a clean end; the lock says that nobody listens on it. */
function removeStale(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
