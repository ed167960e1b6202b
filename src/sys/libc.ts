import { encodeUtf8 } from "../base/mod.ts";
import type { Bytes } from "../base/mod.ts";

/**
 * The C library. Results that the C headers call `ssize_t` are read as 32 bits: no call here moves
 * more than 2 GiB, and a number costs less than a bigint.
 *
 * Opened once, when the module loads, and kept for the life of the process.
 */
const library = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  _exit: { parameters: ["i32"], result: "void" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  execvpe: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
  ioctl: { parameters: ["i32", "usize"], result: "i32" },
  mallocTrimOffThread: {
    name: "malloc_trim",
    parameters: ["usize"],
    result: "i32",
    nonblocking: true,
  },
  mount: { parameters: ["buffer", "buffer", "buffer", "usize", "pointer"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  pollOffThread: {
    name: "poll",
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  sendOffThread: {
    name: "send",
    parameters: ["i32", "buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  signal: { parameters: ["i32", "usize"], result: "usize" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "i64"], result: "i64" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
});

/** The C library's functions, raw: their callers turn −1 into an error at once. */
export const libc = library.symbols;

/**
 * The errno of the last call that failed *on this thread*. It says nothing about a call that ran
 * off the thread.
 */
export function lastErrno(): number {
  // One address per thread, and a module is evaluated by the thread that runs it.
  return errnoView.getInt32();
}

const errnoLocation = libc.__errno_location();
if (errnoLocation === null) throw new TypeError("The C library has no errno");
const errnoView = new Deno.UnsafePointerView(errnoLocation);

/**
 * Bytes of `text` with the terminating zero.
 *
 * @throws {TypeError} when `text` has a zero inside: C would silently see only a part of it
 */
export function cString(text: string): Bytes {
  if (text.includes("\0")) {
    throw new TypeError(`Cannot pass ${JSON.stringify(text)} to the kernel: it contains a NUL`);
  }
  return encodeUtf8(text + "\0");
}

/** Zeroed bytes whose address does not change, as calls off the thread and pointers need. */
export function pinnedBytes(length: number): Bytes {
  // An explicit ArrayBuffer: V8 keeps small typed arrays in its moving heap otherwise.
  return new Uint8Array(new ArrayBuffer(length));
}

/**
 * The address of `bytes`. It does not keep them: the caller must be able to reach them, by more
 * than the address, as long as the kernel may.
 */
export function addressOf(bytes: Bytes): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

/** The same bytes as a view that a call may be given: memory shared between threads is copied. */
export function ffiBytes(bytes: Uint8Array): Bytes {
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer)) return new Uint8Array(bytes);
  return new Uint8Array(buffer, bytes.byteOffset, bytes.length);
}
