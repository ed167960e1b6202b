import { concatBytes, decodeUtf8 } from "../base/mod.ts";
import type { Bytes } from "../base/mod.ts";
import { F_GETFD, F_SETFD, FD_CLOEXEC, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { check, checkUninterrupted } from "./errors.ts";
import { cString, libc } from "./libc.ts";

/** `open(2)` with `O_CLOEXEC`. @throws {SyscallError} */
export function openDescriptor(path: string, flags: number, mode = 0): number {
  const name = cString(path);
  return checkUninterrupted(() => libc.open(name, flags | O_CLOEXEC, mode), "open", path);
}

/** `close(2)`. Its errors are not errors of the caller: the descriptor is gone in any case. */
export function closeDescriptor(fd: number): void {
  libc.close(fd);
}

/** Reads at most `maxBytes`; nothing at the end. @throws {SyscallError} */
export function readDescriptor(fd: number, maxBytes: number, path?: string): Bytes {
  const buffer = new Uint8Array(maxBytes);
  const count = checkUninterrupted(() => libc.read(fd, buffer, BigInt(maxBytes)), "read", path);
  return buffer.slice(0, count);
}

/** Writes all of `bytes`. @throws {SyscallError} */
export function writeDescriptor(fd: number, bytes: Bytes, path?: string): void {
  let rest = bytes;
  while (rest.length > 0) {
    const part = rest;
    const count = checkUninterrupted(
      () => libc.write(fd, part, BigInt(part.length)),
      "write",
      path,
    );
    rest = rest.subarray(count);
  }
}

/** The text of a small file, read on this thread, in this thread's namespaces. @throws {SyscallError} */
export function readSmallFile(path: string): string {
  const fd = openDescriptor(path, O_RDONLY);
  try {
    const parts: Bytes[] = [];
    for (;;) {
      const part = readDescriptor(fd, 4096, path);
      if (part.length === 0) return decodeUtf8(concatBytes(...parts));
      parts.push(part);
    }
  } finally {
    closeDescriptor(fd);
  }
}

/** Where a symbolic link points. @throws {SyscallError} */
export function readLink(path: string): string {
  const buffer = new Uint8Array(4096);
  const count = check(
    libc.readlink(cString(path), buffer, BigInt(buffer.length)),
    "readlink",
    path,
  );
  return decodeUtf8(buffer.subarray(0, count));
}

/** Whether a command that this process becomes inherits the descriptor. @throws {SyscallError} */
export function setInherited(fd: number, inherited: "inherited" | "closed"): void {
  const flags = check(libc.fcntl(fd, F_GETFD, 0), "fcntl", `descriptor ${fd}`);
  const wanted = inherited === "closed" ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  if (wanted !== flags) check(libc.fcntl(fd, F_SETFD, wanted), "fcntl", `descriptor ${fd}`);
}
