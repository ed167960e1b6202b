import { closeDescriptor, openDescriptor, readSmallFile, writeDescriptor } from "./descriptor.ts";
import { encodeUtf8 } from "../base/mod.ts";
import {
  CLONE_NEWNET,
  EINVAL,
  ESRCH,
  NS_GET_NSTYPE,
  NSFS_MAGIC,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
} from "./constants.ts";
import { check, isErrno, SyscallError } from "./errors.ts";
import { libc, pinnedBytes } from "./libc.ts";

/** Device and inode of the kernel's file: equal for all descriptors and paths of one namespace. */
export interface NamespaceIdentity {
  /** `st_dev` of nsfs. */
  readonly device: number;
  /** `st_ino`: the number in `net:[4026531840]`. */
  readonly inode: number;
}

/** Whether both are the same namespace. The kernel uses an inode again after a namespace's end. */
export function sameNamespace(left: NamespaceIdentity, right: NamespaceIdentity): boolean {
  return left.device === right.device && left.inode === right.inode;
}

/** An open network namespace. The kernel keeps it alive until this is closed. */
export class NetworkNamespace implements Disposable {
  /** For netlink attributes such as `IFLA_NET_NS_FD`. */
  readonly fd: number;
  /** Which namespace it is. */
  readonly identity: NamespaceIdentity;
  #open = true;

  /** Takes over `fd`, which must be a network namespace's. */
  constructor(fd: number) {
    this.fd = fd;
    const { dev, ino } = Deno.statSync(`/proc/self/fd/${fd}`);
    // Deno leaves the inode out on Windows only.
    this.identity = { device: dev, inode: ino ?? 0 };
  }

  /** Closing it again does nothing: the number may be another's by then. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.fd);
  }

  /** For `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The namespace that this thread is in. */
export function openCurrentNamespace(): NetworkNamespace {
  // Not /proc/self: that is the process's first thread, whichever asks.
  return new NetworkNamespace(openDescriptor("/proc/thread-self/ns/net", O_RDONLY));
}

/**
 * The namespace that a path names, such as `/run/netns/web` or `/proc/4711/ns/net`. Anything else
 * is refused before it is opened: opening a device or a pipe could act or wait.
 *
 * @throws {SyscallError} `ENOENT` and the like; `EINVAL` when it is not a network namespace
 */
export function openNamespace(path: string): NetworkNamespace {
  const handle = openDescriptor(path, O_PATH);
  try {
    const statfs = pinnedBytes(256);
    check(libc.fstatfs(handle, statfs), "fstatfs", path);
    // struct statfs: f_type is its first word, 8 bytes on 64-bit machines.
    const isNamespace = new DataView(statfs.buffer).getBigInt64(0, true) === BigInt(NSFS_MAGIC);
    if (!isNamespace) throw notANamespace(path);
    const fd = openDescriptor(`/proc/self/fd/${handle}`, O_RDONLY);
    if (libc.ioctl(fd, BigInt(NS_GET_NSTYPE)) !== CLONE_NEWNET) {
      closeDescriptor(fd);
      throw notANamespace(path);
    }
    return new NetworkNamespace(fd);
  } finally {
    closeDescriptor(handle);
  }
}

function notANamespace(path: string): SyscallError {
  return new SyscallError("setns", EINVAL, `${path}, which is not a network namespace,`);
}

/**
 * The namespace of a process (of its first thread).
 *
 * @throws {SyscallError} `ESRCH` when there is no such process
 */
export function openNamespaceOfPid(pid: number): NetworkNamespace {
  try {
    return openNamespace(`/proc/${pid}/ns/net`);
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw new SyscallError("open", ESRCH, `/proc/${pid}/ns/net`);
    throw error;
  }
}

/**
 * Runs `action` in a namespace and comes back, also when it throws. Nothing else of this program
 * runs in between; so `action` must be synchronous, and must not make the runtime start a thread
 * (no `Deno.Command`, `Deno.connect`, `Deno.listen`, `Worker`): a thread born inside stays there.
 * System calls by this module, and Deno's synchronous file functions, are fine.
 *
 * When the way back fails the process ends: everything it did from then on would be done in the
 * wrong network.
 *
 * @throws {SyscallError} when the namespace cannot be entered
 */
export function inNamespace<T>(namespace: NetworkNamespace, action: () => T): T {
  return andReturn(() => enterNamespace(namespace), action);
}

/** As {@linkcode inNamespace}, in a namespace made for it. */
export function inNewNamespace<T>(action: () => T): T {
  return andReturn(() => check(libc.unshare(CLONE_NEWNET), "unshare"), action);
}

function andReturn<T>(enter: () => void, action: () => T): T {
  const home = openCurrentNamespace();
  try {
    enter();
    let result: T;
    try {
      result = action();
    } finally {
      try {
        enterNamespace(home);
      } catch (error) {
        die(error);
      }
    }
    if (result instanceof Promise) {
      throw new TypeError("Cannot run an asynchronous function in a namespace: it has left it");
    }
    return result;
  } finally {
    home.close();
  }
}

function enterNamespace(namespace: NetworkNamespace): void {
  check(libc.setns(namespace.fd, CLONE_NEWNET), "setns", `network namespace ${namespace.fd}`);
}

/** `EX_SOFTWARE` of sysexits.h. */
const EXIT_SOFTWARE = 70;

function die(error: unknown): never {
  try {
    const message = `Cannot return to the host's network namespace: ${error}; ending at once\n`;
    Deno.stderr.writeSync(encodeUtf8(message));
  } finally {
    // Not Deno.exit: its handlers would still run, in the wrong network.
    libc._exit(EXIT_SOFTWARE);
  }
  throw error;
}

/**
 * Reads `/proc/sys/<name>` as a namespace has it.
 *
 * @param name with slashes, for a device's name may have dots: `net/ipv4/conf/eth0.1/forwarding`
 * @throws {SyscallError} `ENOENT` when the kernel has no such setting
 */
export function readSysctl(namespace: NetworkNamespace, name: string): string {
  const path = sysctlPath(name);
  // What /proc/sys/net shows is the namespace of the thread that opens it, so the opening must
  // happen inside, on this thread.
  return inNamespace(namespace, () => readSmallFile(path)).trimEnd();
}

/** Sets `/proc/sys/<name>` in a namespace; as {@linkcode readSysctl}. @throws {SyscallError} */
export function writeSysctl(namespace: NetworkNamespace, name: string, value: string): void {
  const path = sysctlPath(name);
  inNamespace(namespace, () => {
    const fd = openDescriptor(path, O_WRONLY);
    try {
      writeDescriptor(fd, encodeUtf8(value), path);
    } finally {
      closeDescriptor(fd);
    }
  });
}

function sysctlPath(name: string): string {
  if (!name.startsWith("net/") || name.split("/").some((part) => part === "" || part === "..")) {
    throw new TypeError(
      `Cannot use sysctl ${
        JSON.stringify(name)
      }: it is not a path below net/, as net/ipv4/ip_forward`,
    );
  }
  return `/proc/sys/${name}`;
}
