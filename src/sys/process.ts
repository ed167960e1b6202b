import { hostname as nodeHostname } from "node:os";
import { readLink, readSmallFile } from "./descriptor.ts";
import { isErrno, type SyscallError } from "./errors.ts";
import { libc } from "./libc.ts";
import type { NamespaceIdentity } from "./namespace.ts";

/** A pid and when it began: tells a process from a later one with the same pid. */
export interface ProcessIdentity {
  /** The number, which the kernel gives to another process later. */
  readonly pid: number;
  /** In the kernel's clock ticks since boot; valid for one boot only. */
  readonly startTicks: number;
}

/**
 * Who a pid is now.
 *
 * @returns null when there is no such process, or it has ended and only its parent has not noticed
 */
export function identifyProcess(pid: number): ProcessIdentity | null {
  let text: string;
  try {
    text = readSmallFile(`/proc/${pid}/stat`);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
  // proc_pid_stat(5): the second field is the program's name in brackets, with any bytes in it.
  // After it: [0] state, [17] number of threads, [19] start time.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const threads = Number(fields[17]);
  // The first thread may have ended while others go on: then the process goes on.
  if (state === "X" || (state === "Z" && threads <= 1)) return null;
  return { pid, startTicks: Number(fields[19]) };
}

/** Whether it still runs, and is not another process with the same pid. */
export function isRunning(process: ProcessIdentity): boolean {
  return identifyProcess(process.pid)?.startTicks === process.startTicks;
}

/**
 * The processes that are in a network namespace, this one included, by their first thread (any
 * thread when the first has ended). A process that starts or ends meanwhile may be missed or
 * listed.
 *
 * @throws {SyscallError} `EACCES` when it cannot be told where some process is: "not seen" must
 *   never look like "ended"
 */
export function pidsInNamespace(namespace: NamespaceIdentity): number[] {
  const wanted = `net:[${namespace.inode}]`;
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    const link = readNamespaceLink(`/proc/${name}`);
    const isInside = link === null ? isAnyThreadInside(name, wanted) : link === wanted;
    if (isInside) pids.push(Number(name));
  }
  return pids.sort((left, right) => left - right);
}

function isAnyThreadInside(pid: string, wanted: string): boolean {
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      if (readNamespaceLink(`/proc/${pid}/task/${name}`) === wanted) return true;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

/** `net:[…]` of a process's or thread's directory; null when it has ended, be it as a zombie. */
function readNamespaceLink(directory: string): string | null {
  try {
    return readLink(`${directory}/ns/net`);
  } catch (error) {
    if (isGone(error)) return null;
    if (isErrno(error, "EACCES", "EPERM")) return inferNamespaceLink(directory, error);
    throw error;
  }
}

/**
 * The same for a process that security rules keep closed (an LSM, or capabilities that this process
 * lacks). `/proc/<pid>/net` is open to all, and its files have inodes of their own in each
 * namespace: that tells at least who shares ours, as a host's own daemons do.
 */
function inferNamespaceLink(directory: string, denied: SyscallError): string | null {
  let inode: number | null;
  try {
    inode = Deno.statSync(`${directory}/net/dev`).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  if (inode === Deno.statSync("/proc/thread-self/net/dev").ino) {
    return readLink("/proc/thread-self/ns/net");
  }
  throw denied;
}

function isGone(error: unknown): boolean {
  return isErrno(error, "ENOENT", "ESRCH");
}

/** The kernel's boot id, 36 characters: another one after each boot. @throws {SyscallError} */
export function bootId(): string {
  return readSmallFile("/proc/sys/kernel/random/boot_id").trim();
}

/** The host's name, as the kernel has it. */
export function hostname(): string {
  return nodeHostname();
}

/** Whether the effective user is root. */
export function isRoot(): boolean {
  return libc.geteuid() === 0;
}
