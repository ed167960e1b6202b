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
  pidsInNamespace,
  sameNamespace,
  SyscallError,
  type Watcher,
} from "../sys/mod.ts";

const RETRY_MS = 1_000;
/** Namespaces with this prefix are the overlay's sandboxes. */
const SANDBOX_PREFIX = "agent-";

/**
 * Workloads of this machine. A namespace is held open from the moment it is located: processes come
 * and go in it, and the pid by which it was named may be the first to go.
 */
export class MachineWorkloads implements Workloads {
  readonly #watcher: Watcher;
  readonly #bootId = bootId();
  /** By the text of their target. */
  readonly #held = new Map<string, NetworkNamespace>();

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
      return { target, namespace: this.#hold(target, namespace) };
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

  /** Lets go of the namespace. */
  release(workload: LocatedWorkload): void {
    const key = targetKey(workload.target);
    this.#held.get(key)?.close();
    this.#held.delete(key);
  }

  /** Calls once when no process is left in the namespace. */
  onEmpty(workload: LocatedWorkload, callback: () => void): Cancel {
    const namespace = this.#held.get(targetKey(workload.target));
    if (namespace === undefined) throw new TypeError("a workload that is watched was located");
    let cancelWatch: Cancel = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      try {
        const [pid] = pidsInNamespace(namespace.identity);
        if (pid === undefined) return callback();
        cancelWatch = this.#watcher.watchProcess(pid, look);
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        // It has ended between the two calls, or some process does not let itself be looked at:
        // not seen is not ended, so look again.
        timer = setTimeout(look, error.errnoName === "ESRCH" ? 0 : RETRY_MS);
      }
    };
    timer = setTimeout(look, 0);
    return () => {
      clearTimeout(timer);
      cancelWatch();
    };
  }

  /** Names of the interfaces that are in the workload now. */
  interfaceNames(workload: LocatedWorkload): readonly string[] {
    const namespace = this.#held.get(targetKey(workload.target));
    if (namespace === undefined) throw new TypeError("a workload that is looked into was located");
    // proc_pid_net(5): two lines of titles, then `  name: figures` for each device.
    const text = inNamespace(namespace, () => Deno.readTextFileSync("/proc/thread-self/net/dev"));
    return text.split("\n").slice(2).flatMap((line) => line.match(/^\s*([^:]+):/)?.slice(1) ?? []);
  }

  /** The namespace of a workload that is held, as a descriptor of the caller's own, or null. */
  open(target: WorkloadTarget): NetworkNamespace | null {
    if (target.kind === "path") {
      try {
        return openNamespace(target.path);
      } catch (error) {
        if (isAbsent(error)) return null;
        throw error;
      }
    }
    const held = this.#held.get(targetKey(target));
    return held === undefined ? null : openNamespace(`/proc/self/fd/${held.fd}`);
  }

  #adoptPath(
    workload: LocatedWorkload,
    target: WorkloadTarget,
    isThisBoot: boolean,
  ): LocatedWorkload | null {
    const namespace = this.open(target);
    // After a reboot its namespace may still have to be made: it is waited for.
    if (namespace === null) return isThisBoot ? null : workload;
    const key = this.#hold(target, namespace);
    if (!isThisBoot || key === workload.namespace) return { target, namespace: key };
    this.release(workload);
    return null;
  }

  /** Through the process that was named, or any that is still in that very namespace. */
  #findByCookie(key: string, target: WorkloadTarget & { kind: "pid" }): NetworkNamespace | null {
    const pids = isRunning(target) ? [target.pid] : allPids();
    const seen = new Set<number>();
    for (const pid of pids) {
      let namespace: NetworkNamespace;
      try {
        namespace = openNamespaceOfPid(pid);
      } catch (error) {
        if (isAbsent(error)) continue;
        throw error;
      }
      const { inode } = namespace.identity;
      if (!seen.has(inode) && this.#keyOf(namespace) === key) return namespace;
      seen.add(inode);
      namespace.close();
    }
    return null;
  }

  #hold(target: WorkloadTarget, namespace: NetworkNamespace): string {
    const key = targetKey(target);
    this.#held.get(key)?.close();
    this.#held.set(key, namespace);
    return this.#keyOf(namespace);
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
  try {
    return target.kind === "path" ? openNamespace(target.path) : openNamespaceOfPid(target.pid);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw target.kind === "path"
      ? new HostError(
        "netns-not-found",
        `${target.path} is no network namespace on this host: ${cause.message}`,
        { field: "/netns", cause },
      )
      : new HostError("process-not-found", `Process ${target.pid} has ended`, {
        field: "/pid",
        cause,
      });
  }
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
    const sandbox = openNamespace(namedNamespacePath(name));
    const isSandbox = sameNamespace(sandbox.identity, namespace.identity);
    sandbox.close();
    if (!isSandbox) continue;
    throw new HostError("invalid-value", `This is ${name}, a sandbox of the agent's own`, {
      field,
    });
  }
}

function allPids(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter(Number.isInteger);
}

function isAbsent(error: unknown): boolean {
  return error instanceof SyscallError &&
    ["ENOENT", "ESRCH", "EINVAL", "EACCES"].includes(error.errnoName);
}
