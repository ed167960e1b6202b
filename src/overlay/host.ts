import type { Cancel } from "../base/mod.ts";
import type { Transport } from "../netlink/mod.ts";

/** An open network namespace. It lives at least until this is closed. */
export interface Namespace {
  /** A descriptor of this process, for requests that name a namespace by it. */
  readonly fd: number;
  /** Equal for all descriptors and paths of one namespace. */
  readonly identity: NamespaceIdentity;
  /** Closing it again does nothing. */
  close(): void;
}

/** Device and inode of the kernel's file for a namespace. */
export interface NamespaceIdentity {
  /** Of nsfs. */
  readonly device: number;
  /** Used again by the kernel after the namespace's end. */
  readonly inode: number;
}

/** Where a workload is: a file that stands for its namespace, or one of its processes. */
export type Target =
  | { readonly kind: "path"; readonly path: string }
  | {
    readonly kind: "pid";
    readonly pid: number;
    /** Clock ticks since boot: tells the process from a later one with the same pid. */
    readonly startTicks: number;
  };

/** Sends Ethernet frames out at interfaces of a namespace. */
export interface FrameSender {
  /** Sends one frame, its Ethernet header included. */
  send(interfaceIndex: number, frame: Uint8Array): void;
  /** Closing it again does nothing. */
  close(): void;
}

/** Open frames of an interface. */
export interface FrameChannel {
  /** Sends one frame, its Ethernet header included. @throws when the interface is down */
  send(frame: Uint8Array): void;
  /** Closing it again does nothing. It takes some ms. */
  close(): void;
}

/** Told of frames. */
export interface FrameListener {
  /** A frame has come in, with its Ethernet header. */
  onFrame(frame: Uint8Array): void;
  /** The interface is gone, or down: nothing more will be heard. */
  onLost(): void;
}

/** Told what the kernel says by itself. */
export interface NotificationListener {
  /**
   * Something has changed.
   *
   * @param datagram one or more netlink messages
   * @param nsid id of the namespace where it happened, or null for the watched one itself
   */
  onDatagram(datagram: Uint8Array, nsid: number | null): void;
  /** Notifications were lost: the state has to be dumped again. */
  onOverrun(): void;
}

/** A process, as an error names it. */
export interface ProcessName {
  /** Its number. */
  readonly pid: number;
  /** Name of its program (`/proc/<pid>/comm`). */
  readonly command: string;
}

/**
 * What the overlay needs of the machine. One object stands for one host: a network namespace whose
 * routes are the underlay, and a set of namespace names (`/run/netns`).
 *
 * All of it is synchronous and quick; what fails throws an error that says which call, on what, and
 * why.
 */
export interface Host {
  /** The namespace whose routes are the underlay. */
  openHostNamespace(): Namespace;
  /** Null when there is no namespace of this name. */
  openNamed(name: string): Namespace | null;
  /** Which namespace the name stands for now, or null; quicker than to open it. */
  identifyNamed(name: string): NamespaceIdentity | null;
  /**
   * Makes a namespace that lives by its name, which it is given last: whenever this process is
   * killed there is no namespace of that name, or one that is prepared.
   *
   * @throws when the name is taken
   */
  createNamed(name: string, prepare: (namespace: Namespace) => void): Namespace;
  /** Nothing happens when it is gone already. */
  deleteNamed(name: string): void;
  /** All names that stand for a namespace. */
  listNamed(): readonly string[];
  /** Null when the path does not stand for a namespace (yet), or the process has ended. */
  openTarget(target: Target): Namespace | null;
  /** An rtnetlink socket. */
  openTransport(namespace: Namespace): Transport;
  /** What sends frames from a namespace. */
  openFrameSender(namespace: Namespace): FrameSender;
  /**
   * Sends frames at an interface of a namespace, and hears those of one EtherType that come in there, before
   * a bridge of which it is a port. Callbacks come from the event loop.
   *
   * @throws when there is no such interface
   */
  openFrames(
    namespace: Namespace,
    what: { readonly interfaceIndex: number; readonly etherType: number },
    listener: FrameListener,
  ): FrameChannel;
  /**
   * Follows multicast groups (`RTNLGRP_…`) of a namespace, and of all that have an nsid in it.
   * Callbacks come from the event loop.
   */
  watch(namespace: Namespace, groups: readonly number[], listener: NotificationListener): Cancel;
  /** An xfrm socket. @throws when the kernel has no IPsec */
  openXfrmTransport(namespace: Namespace): Transport;
  /**
   * Follows multicast groups (`XFRMNLGRP_…`) of one namespace, but for what the socket with the port ID
   * `notCausedBy` has caused. Callbacks come from the event loop.
   */
  watchXfrm(
    namespace: Namespace,
    { groups, notCausedBy }: { readonly groups: readonly number[]; readonly notCausedBy: number },
    listener: NotificationListener,
  ): Cancel;
  /** Null when the kernel has no such setting. `name` is as in `net/ipv4/ip_forward`. */
  readSysctl(namespace: Namespace, name: string): string | null;
  /** Sets what {@linkcode readSysctl} reads. */
  writeSysctl(namespace: Namespace, name: string, value: string): void;
  /** Text of a file below `/proc/thread-self/net`, as the host's namespace has it; null: no such. */
  readHostNetFile(name: string): string | null;
  /** Processes that have a descriptor of this socket (inode of sockfs) open. */
  processesWithSocket(inode: number): readonly ProcessName[];
}
