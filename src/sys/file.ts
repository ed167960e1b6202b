import { dirname } from "node:path";
import { encodeUtf8 } from "../base/mod.ts";
import { LOCK_EX, LOCK_NB, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from "./constants.ts";
import { closeDescriptor, openDescriptor, readSmallFile, writeDescriptor } from "./descriptor.ts";
import { check, checkUninterrupted, isErrno } from "./errors.ts";
import { cString, ffiBytes, libc } from "./libc.ts";

/** A lock that this process holds. */
export interface FileLock {
  /** Gives it back. Without that the kernel does, when the process ends, however it ends. */
  release(): void;
}

/** What {@linkcode lockFile} found. */
export type LockAnswer =
  | { readonly kind: "locked"; readonly lock: FileLock }
  /** Another process holds it: the one with this pid, if it has said so. */
  | { readonly kind: "held"; readonly holderPid: number | null };

/**
 * Takes a lock, by `flock(2)` on a file that it makes when it is missing, and writes this process's
 * pid into it. Never delete the file: two processes could then lock two files of the same name.
 *
 * @throws {SyscallError}
 */
export function lockFile(path: string): LockAnswer {
  const fd = openDescriptor(path, O_RDWR | O_CREAT, 0o600);
  try {
    checkUninterrupted(() => libc.flock(fd, LOCK_EX | LOCK_NB), "flock", path);
    check(libc.ftruncate(fd, 0n), "ftruncate", path);
    writeDescriptor(fd, encodeUtf8(`${Deno.pid}\n`), path);
    return { kind: "locked", lock: new DescriptorLock(fd) };
  } catch (error) {
    closeDescriptor(fd);
    if (isErrno(error, "EAGAIN")) return { kind: "held", holderPid: readPid(path) };
    throw error;
  }
}

class DescriptorLock implements FileLock {
  readonly #fd: number;
  #held = true;

  constructor(fd: number) {
    this.#fd = fd;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    closeDescriptor(this.#fd);
  }
}

function readPid(path: string): number | null {
  const text = readSmallFile(path).trim();
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : null;
}

/**
 * Replaces a file so that after a power cut there is the old one or the new one, whole: a temporary
 * file beside it, `fsync`, `rename`, `fsync` of the directory. It holds the thread until the disk
 * has it, so that two writes to one path cannot overtake each other.
 *
 * @param mode permission bits, 0o600 for secrets; they hold whatever the umask is
 * @throws {SyscallError} when it is not certain that the file is on the disk; after a failed
 *   `fsync` do not try again, for the kernel may have dropped what it could not write
 */
export function writeFileDurably(path: string, bytes: Uint8Array, mode: number): void {
  // One temporary name per path, so that what a killed process left is taken away by the next.
  const temporary = `${path}.new`;
  const temporaryName = cString(temporary);
  libc.unlink(temporaryName);
  const fd = openDescriptor(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  try {
    try {
      check(libc.fchmod(fd, mode), "fchmod", temporary);
      writeDescriptor(fd, ffiBytes(bytes), temporary);
      check(libc.fsync(fd), "fsync", temporary);
    } finally {
      closeDescriptor(fd);
    }
    check(libc.rename(temporaryName, cString(path)), "rename", path);
  } catch (error) {
    libc.unlink(temporaryName);
    throw error;
  }
  fsyncDirectory(dirname(path));
}

/** Makes the names in a directory durable: new, renamed and deleted files. @throws {SyscallError} */
export function fsyncDirectory(path: string): void {
  const fd = openDescriptor(path, O_RDONLY);
  try {
    check(libc.fsync(fd), "fsync", path);
  } finally {
    closeDescriptor(fd);
  }
}
