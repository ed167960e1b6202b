import { getSystemErrorMap } from "node:util";
import { lastErrno } from "./libc.ts";

/** The kernel's name of an error number, or `errno 4711` for one without a name here. */
export type ErrnoName = `E${string}` | `errno ${number}`;

/** A system call that failed. */
export class SyscallError extends Error {
  /** For logs and stack traces. */
  override name = "SyscallError";
  /** As in its manual page: `setns`. */
  readonly call: string;
  /** The error number, as the kernel has it (positive). */
  readonly errno: number;
  /** The same for programs to compare with: `ENOENT`. */
  readonly errnoName: ErrnoName;
  /** What it was done to: a path, an option, a program. */
  readonly path?: string;

  /** Of a call that has failed with `errno`, a positive number as the kernel has it. */
  constructor(call: string, errno: number, path?: string) {
    const [name, meaning] = describeErrno(errno);
    super(`${call}${path === undefined ? "" : ` ${path}`} failed: ${meaning} (${name})`);
    this.call = call;
    this.errno = errno;
    this.errnoName = name;
    if (path !== undefined) this.path = path;
  }
}

function describeErrno(errno: number): [name: ErrnoName, meaning: string] {
  const [name, meaning] = getSystemErrorMap().get(-errno) ?? [];
  if (name === undefined || meaning === undefined) {
    return [`errno ${errno}`, "the kernel refused with an unusual error"];
  }
  return [`E${name.slice(1)}`, meaning];
}

/**
 * Gives back what a call returned.
 *
 * @throws {SyscallError} when that is −1; so it must come right after the call, before another
 * call changes errno
 */
export function check(result: number, call: string, path?: string): number {
  if (result === -1) throw new SyscallError(call, lastErrno(), path);
  return result;
}

/** Whether `error` is a failed call with one of these errno names. */
export function isErrno(error: unknown, ...names: readonly ErrnoName[]): error is SyscallError {
  return error instanceof SyscallError && names.includes(error.errnoName);
}

/** {@linkcode check} of a call that is done again when a signal interrupted it. */
export function checkUninterrupted(call: () => number, name: string, path?: string): number {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const error = new SyscallError(name, lastErrno(), path);
    if (error.errnoName !== "EINTR") throw error;
  }
}
