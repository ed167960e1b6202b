import type { Cancel } from "../base/mod.ts";
import type { Transport } from "../netlink/mod.ts";
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
} from "../overlay/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  listNamedNamespaces,
  namedNamespacePath,
  NetworkNamespace,
  openCurrentNamespace,
  openNamespace,
  openNetlinkSocket,
  PacketSocket,
  readSysctl,
  SyscallError,
  type Watcher,
  writeSysctl,
} from "../sys/mod.ts";
import type { MachineWorkloads } from "./workloads.ts";

/** The network namespace of this process as the overlay's host. */
export class MachineHost implements Host {
  readonly #watcher: Watcher;
  readonly #workloads: MachineWorkloads;

  /** Notifications come through `watcher`, namespaces of workloads from `workloads`. */
  constructor(watcher: Watcher, workloads: MachineWorkloads) {
    this.#watcher = watcher;
    this.#workloads = workloads;
  }

  /** The namespace whose routes are the underlay. */
  openHostNamespace(): Namespace {
    return openCurrentNamespace();
  }

  /** Null when there is no namespace of this name. */
  openNamed(name: string): Namespace | null {
    return nullIfAbsent(() => openNamespace(namedNamespacePath(name)));
  }

  /** Which namespace the name stands for now, or null. */
  identifyNamed(name: string): NamespaceIdentity | null {
    const namespace = this.openNamed(name);
    namespace?.close();
    return namespace?.identity ?? null;
  }

  /** Makes a namespace that lives by its name, which it is given last. */
  createNamed(name: string, prepare: (namespace: Namespace) => void): Namespace {
    return createNamedNamespace(name, prepare);
  }

  /** Nothing happens when it is gone already. */
  deleteNamed(name: string): void {
    deleteNamedNamespace(name);
  }

  /** Names that stand for a namespace now. */
  listNamed(): readonly string[] {
    return listNamedNamespaces();
  }

  /** Null when the workload is not there, or there no more. */
  openTarget(target: Target): Namespace | null {
    return this.#workloads.open(target);
  }

  /** An rtnetlink socket in a namespace that this object has opened. */
  openTransport(namespace: Namespace): Transport {
    return openNetlinkSocket({ family: "route", namespace: own(namespace) });
  }

  /** A packet socket in a namespace that this object has opened. */
  openFrameSender(namespace: Namespace): FrameSender {
    return new PacketSocket(own(namespace));
  }

  /** Sends and hears frames of one EtherType at an interface of a namespace. */
  openFrames(
    namespace: Namespace,
    what: { readonly interfaceIndex: number; readonly etherType: number },
    listener: FrameListener,
  ): FrameChannel {
    return this.#watcher.openFrames({ ...what, namespace: own(namespace) }, listener);
  }

  /** Follows multicast groups of a namespace and of all that have an nsid in it. */
  watch(namespace: Namespace, groups: readonly number[], listener: NotificationListener): Cancel {
    return this.#watcher.subscribe(
      { family: "route", groups, namespaces: "all", namespace: own(namespace) },
      listener,
    );
  }

  /** An xfrm socket in a namespace that this object has opened. */
  openXfrmTransport(namespace: Namespace): Transport {
    return openNetlinkSocket({ family: "xfrm", namespace: own(namespace) });
  }

  /** Follows multicast groups of xfrm in one namespace. */
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

  /** Null when the kernel has no such setting. */
  readSysctl(namespace: Namespace, name: string): string | null {
    return nullIfAbsent(() => readSysctl(own(namespace), name));
  }

  /** Sets a setting of the kernel. */
  writeSysctl(namespace: Namespace, name: string, value: string): void {
    writeSysctl(own(namespace), name, value);
  }

  /** Text of a file below `/proc/thread-self/net`, or null. */
  readHostNetFile(name: string): string | null {
    try {
      return Deno.readTextFileSync(`/proc/thread-self/net/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /** Processes that have a descriptor of this socket open. */
  processesWithSocket(inode: number): readonly ProcessName[] {
    const wanted = `socket:[${inode}]`;
    const found: ProcessName[] = [];
    for (const { name: pid } of Deno.readDirSync("/proc")) {
      if (!/^[0-9]+$/.test(pid)) continue;
      try {
        const holds = [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name: fd }) =>
          Deno.readLinkSync(`/proc/${pid}/fd/${fd}`) === wanted
        );
        if (!holds) continue;
        found.push({
          pid: Number(pid),
          command: Deno.readTextFileSync(`/proc/${pid}/comm`).trimEnd(),
        });
      } catch {
        // It has ended, or a descriptor was closed, while we looked: then it holds no port.
      }
    }
    return found;
  }
}

function own(namespace: Namespace): NetworkNamespace {
  if (namespace instanceof NetworkNamespace) return namespace;
  throw new TypeError("the namespace was opened by this machine");
}

function nullIfAbsent<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyscallError && ["ENOENT", "EINVAL"].includes(error.errnoName)) {
      return null;
    }
    throw error;
  }
}
