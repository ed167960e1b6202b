import type { Cancel } from "../../src/base/mod.ts";
import type { Transport } from "../../src/netlink/mod.ts";
import type {
  FrameChannel,
  FrameListener,
  FrameSender,
  Host,
  Namespace,
  NamespaceIdentity,
  NotificationListener,
  ProcessName,
  Target,
} from "../../src/overlay/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  inNamespace,
  isRunning,
  listNamedNamespaces,
  namedNamespacePath,
  NetworkNamespace,
  openNamespace,
  openNamespaceOfPid,
  openNetlinkSocket,
  PacketSocket,
  readSysctl,
  SyscallError,
  type Watcher,
  writeSysctl,
} from "../../src/sys/mod.ts";

/**
 * A {@linkcode Host} over the real machine whose underlay is a namespace that the test made, and whose
 * sandboxes have names of its own, so that several hosts share one process and one `/run/netns`.
 */
export class TestHost implements Host {
  readonly #hostPath: string;
  readonly #prefix: string;
  readonly #watcher: Watcher;

  constructor(hostPath: string, prefix: string, watcher: Watcher) {
    this.#hostPath = hostPath;
    this.#prefix = prefix;
    this.#watcher = watcher;
  }

  openHostNamespace(): NetworkNamespace {
    return openNamespace(this.#hostPath);
  }

  openNamed(name: string): NetworkNamespace | null {
    return absentAsNull(() => openNamespace(namedNamespacePath(this.#prefix + name)));
  }

  identifyNamed(name: string): NamespaceIdentity | null {
    try {
      const { dev, ino } = Deno.statSync(namedNamespacePath(this.#prefix + name));
      return { device: dev, inode: ino ?? 0 };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  createNamed(name: string, prepare: (namespace: Namespace) => void): NetworkNamespace {
    return createNamedNamespace(this.#prefix + name, prepare);
  }

  deleteNamed(name: string): void {
    deleteNamedNamespace(this.#prefix + name);
  }

  listNamed(): readonly string[] {
    const names = listNamedNamespaces().filter((name) => name.startsWith(this.#prefix));
    return names.map((name) => name.slice(this.#prefix.length));
  }

  openTarget(target: Target): NetworkNamespace | null {
    if (target.kind === "path") return absentAsNull(() => openNamespace(target.path));
    if (!isRunning(target)) return null;
    return absentAsNull(() => openNamespaceOfPid(target.pid));
  }

  openTransport(namespace: Namespace): Transport {
    return openNetlinkSocket({ family: "route", namespace: own(namespace) });
  }

  openFrameSender(namespace: Namespace): FrameSender {
    return new PacketSocket(own(namespace));
  }

  openFrames(
    namespace: Namespace,
    what: { readonly interfaceIndex: number; readonly etherType: number },
    listener: FrameListener,
  ): FrameChannel {
    return this.#watcher.openFrames({ ...what, namespace: own(namespace) }, listener);
  }

  watch(namespace: Namespace, groups: readonly number[], listener: NotificationListener): Cancel {
    return this.#watcher.subscribe(
      { family: "route", namespace: own(namespace), groups, namespaces: "all" },
      listener,
    );
  }

  openXfrmTransport(namespace: Namespace): Transport {
    return openNetlinkSocket({ family: "xfrm", namespace: own(namespace) });
  }

  watchXfrm(
    namespace: Namespace,
    what: Parameters<Host["watchXfrm"]>[1],
    listener: NotificationListener,
  ): Cancel {
    return this.#watcher.subscribe(
      { family: "xfrm", ...what, namespaces: "own", namespace: own(namespace) },
      listener,
    );
  }

  readSysctl(namespace: Namespace, name: string): string | null {
    return absentAsNull(() => readSysctl(own(namespace), name));
  }

  writeSysctl(namespace: Namespace, name: string, value: string): void {
    writeSysctl(own(namespace), name, value);
  }

  readHostNetFile(name: string): string | null {
    const namespace = this.openHostNamespace();
    try {
      const path = `/proc/thread-self/net/${name}`;
      return inNamespace(namespace, () => Deno.readTextFileSync(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    } finally {
      namespace.close();
    }
  }

  processesWithSocket(inode: number): readonly ProcessName[] {
    const found: ProcessName[] = [];
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^[0-9]+$/.test(name)) continue;
      try {
        for (const { name: fd } of Deno.readDirSync(`/proc/${name}/fd`)) {
          if (Deno.readLinkSync(`/proc/${name}/fd/${fd}`) !== `socket:[${inode}]`) continue;
          const command = Deno.readTextFileSync(`/proc/${name}/comm`).trim();
          found.push({ pid: Number(name), command });
          break;
        }
      } catch (error) {
        // It has ended, or is a process that even root here may not look into.
        const passed = error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.PermissionDenied;
        if (!passed) throw error;
      }
    }
    return found;
  }
}

/** What the overlay hands back is what this gave it. */
function own(namespace: Namespace): NetworkNamespace {
  if (!(namespace instanceof NetworkNamespace)) throw new TypeError("Not a namespace of this host");
  return namespace;
}

function absentAsNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const absent = ["ENOENT", "EINVAL", "ESRCH", "ENOTDIR"];
    if (error instanceof SyscallError && absent.includes(error.errnoName)) return null;
    throw error;
  }
}
