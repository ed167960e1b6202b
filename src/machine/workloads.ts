import type { Cancel } from "../base/mod.ts";
import {
  HostError,
  type LocatedWorkload,
  type Workloads,
  type WorkloadTarget,
} from "../node/mod.ts";
import {
  bootId,
  identifyProcess,
  inNamespace,
  isRunning,
  listNamedNamespaces,
  namedNamespacePath,
  namespaceCookie,
  type NetworkNamespace,
  openCurrentNamespace,
  openNamespace,
  openNamespaceOfPid,
  sameNamespace,
  SyscallError,
  type Watcher,
} from "../sys/mod.ts";
import { EmptyWatch } from "./empty_watch.ts";

/** Of opening what is not there. */
const ABSENT = ["ENOENT", "ESRCH", "EINVAL", "EACCES", "ENOTDIR"];
/** Namespaces with this prefix are the overlay's sandboxes. */
const SANDBOX_PREFIX = "agent-";

/** A namespace that is kept open for those who have located it. */
interface Held {
  readonly namespace: NetworkNamespace;
  holders: number;
}

/**
 * Workloads of this machine.
 *
 * The namespace of a process is held open from the moment it is located: processes come and go in
 * it, and the one by which it was named may be the first to go. One that a path stands for is not:
 * the path keeps it alive, and when that is gone the namespace has to die, which an open descriptor
 * would prevent.
 */
export class MachineWorkloads implements Workloads {
  readonly #watcher: Watcher;
  readonly #bootId = bootId();
  /** By process. */
  readonly #held = new Map<string, Held>();

  /** Process ends are heard of through `watcher`. */
  constructor(watcher: Watcher) {
    this.#watcher = watcher;
  }

  /** Finds what a person means by a path or a pid. */
  locate(
    wanted: { readonly netns?: string | undefined; readonly pid?: number | undefined },
  ): LocatedWorkload {
    const target = wanted.netns === undefined
      ? locateProcess(wanted.pid)
      : { kind: "path" as const, path: wanted.netns };
    const namespace = openTarget(target);
    try {
      refuseOwn(namespace, target);
      const workload = { target, namespace: this.#keyOf(namespace) };
      if (target.kind === "pid") this.#hold(target, namespace);
      else namespace.close();
      return workload;
    } catch (error) {
      namespace.close();
      throw error;
    }
  }

  /** As {@linkcode MachineWorkloads.locate} after a restart; null when that workload is gone. */
  adopt(workload: LocatedWorkload): LocatedWorkload | null {
    const { target } = workload;
    const isThisBoot = workload.namespace.startsWith(`${this.#bootId}/`);
    if (target.kind === "path") return this.#adoptPath(workload, target, isThisBoot);
    if (!isThisBoot) return null;
    const namespace = this.#findByCookie(workload.namespace, target);
    if (namespace === null) return null;
    this.#hold(target, namespace);
    return workload;
  }

  /** Lets go of the namespace: once for each time that it was located or adopted. */
  release({ target }: LocatedWorkload): void {
    const key = targetKey(target);
    const held = this.#held.get(key);
    if (held === undefined || --held.holders > 0) return;
    held.namespace.close();
    this.#held.delete(key);
  }

  /** Calls once when no process is left in the namespace, or it is gone. */
  onEmpty(workload: LocatedWorkload, callback: () => void): Cancel {
    const namespace = this.open(workload.target);
    if (namespace === null || this.#keyOf(namespace) !== workload.namespace) {
      namespace?.close();
      const timer = setTimeout(callback, 0);
      return () => clearTimeout(timer);
    }
    // Held open meanwhile, so that its inode, which tells its processes, cannot become another's.
    const watch = new EmptyWatch(this.#watcher, namespace, callback);
    return () => watch.cancel();
  }

  /** Names of the interfaces that are in the workload now. */
  interfaceNames(workload: LocatedWorkload): readonly string[] {
    const namespace = this.open(workload.target);
    if (namespace === null) return [];
    try {
      // proc_pid_net(5): two lines of titles, then `  name: figures` for each device.
      const text = inNamespace(namespace, () => Deno.readTextFileSync("/proc/thread-self/net/dev"));
      const lines = text.split("\n").slice(2);
      return lines.flatMap((line) => line.match(/^\s*([^:]+):/)?.slice(1) ?? []);
    } finally {
      namespace.close();
    }
  }

  /** The namespace of a workload, as a descriptor of the caller's own; null when it is gone. */
  open(target: WorkloadTarget): NetworkNamespace | null {
    if (target.kind === "path") return nullIfAbsent(() => openNamespace(target.path));
    const held = this.#held.get(targetKey(target));
    return held === undefined ? null : openNamespace(`/proc/self/fd/${held.namespace.fd}`);
  }

  #adoptPath(
    workload: LocatedWorkload,
    target: WorkloadTarget,
    isThisBoot: boolean,
  ): LocatedWorkload | null {
    const namespace = this.open(target);
    // After a reboot its namespace may still have to be made: it is waited for.
    if (namespace === null) return isThisBoot ? null : workload;
    const key = this.#keyOf(namespace);
    namespace.close();
    return !isThisBoot || key === workload.namespace ? { target, namespace: key } : null;
  }

  /** Through the process that was named, or any that is still in that very namespace. */
  #findByCookie(key: string, target: WorkloadTarget & { kind: "pid" }): NetworkNamespace | null {
    const pids = isRunning(target) ? [target.pid] : allPids();
    const seen = new Set<number>();
    for (const pid of pids) {
      const namespace = nullIfAbsent(() => openNamespaceOfPid(pid));
      if (namespace === null) continue;
      const { inode } = namespace.identity;
      if (!seen.has(inode) && this.#keyOf(namespace) === key) return namespace;
      seen.add(inode);
      namespace.close();
    }
    return null;
  }

  #hold(target: WorkloadTarget, namespace: NetworkNamespace): void {
    const key = targetKey(target);
    const held = this.#held.get(key);
    if (held === undefined) {
      this.#held.set(key, { namespace, holders: 1 });
    } else {
      namespace.close();
      held.holders++;
    }
  }

  #keyOf(namespace: NetworkNamespace): string {
    return `${this.#bootId}/${namespaceCookie(namespace)}`;
  }
}

function targetKey(target: WorkloadTarget): string {
  return target.kind === "path" ? target.path : `${target.pid}@${target.startTicks}`;
}

function locateProcess(pid: number | undefined): WorkloadTarget {
  const process = pid === undefined ? null : identifyProcess(pid);
  if (process !== null) return { kind: "pid", ...process };
  throw new HostError("process-not-found", `No process ${pid} runs on this host`, {
    field: "/pid",
  });
}

function openTarget(target: WorkloadTarget): NetworkNamespace {
  let namespace: NetworkNamespace;
  try {
    namespace = target.kind === "path"
      ? openNamespace(target.path)
      : openNamespaceOfPid(target.pid);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    if (target.kind === "pid") throw hasEnded(target.pid, cause);
    throw new HostError(
      "netns-not-found",
      `${target.path} is no network namespace on this host: ${cause.message}`,
      { field: "/netns", cause },
    );
  }
  // Only now that it is open: before, the pid could still have become another process's.
  if (target.kind === "path" || isRunning(target)) return namespace;
  namespace.close();
  throw hasEnded(target.pid);
}

function hasEnded(pid: number, cause?: unknown): HostError {
  return new HostError("process-not-found", `Process ${pid} has ended`, { field: "/pid", cause });
}

/** The host's own namespace on an overlay would bridge the two; a sandbox is not a workload. */
function refuseOwn(namespace: NetworkNamespace, target: WorkloadTarget): void {
  const field = target.kind === "path" ? "/netns" : "/pid";
  const own = openCurrentNamespace();
  try {
    if (sameNamespace(own.identity, namespace.identity)) {
      throw new HostError(
        "invalid-value",
        "This is the host's own network namespace: give the workload one of its own",
        { field },
      );
    }
  } finally {
    own.close();
  }
  for (const name of listNamedNamespaces()) {
    if (!name.startsWith(SANDBOX_PREFIX)) continue;
    const sandbox = nullIfAbsent(() => openNamespace(namedNamespacePath(name)));
    if (sandbox === null) continue;
    const isSandbox = sameNamespace(sandbox.identity, namespace.identity);
    sandbox.close();
    if (!isSandbox) continue;
    throw new HostError(
      "invalid-value",
      `This is ${name}: namespaces whose names begin with ${SANDBOX_PREFIX} are the agent's own`,
      { field },
    );
  }
}

function allPids(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter(Number.isInteger);
}

function nullIfAbsent<T>(open: () => T): T | null {
  try {
    return open();
  } catch (error) {
    if (error instanceof SyscallError && ABSENT.includes(error.errnoName)) return null;
    throw error;
  }
}
