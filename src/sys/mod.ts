/**
 * The only door to the machine: system calls by FFI, netlink sockets, network namespaces,
 * processes, files that survive a power cut, and the real clock, randomness and log.
 *
 * Contract:
 * - every failed system call throws {@linkcode SyscallError}, which names the call, the object,
 *   and the errno;
 * - what is opened here is closed by whoever opened it, is not inherited by children
 *   (`FD_CLOEXEC`) and leaves nothing behind in the event loop once closed;
 * - namespaces are entered by synchronous code only, and always left again: a thread that is born
 *   in between would stay there.
 *
 * ```ts
 * import { createNamedNamespace, deleteNamedNamespace, openNetlinkSocket } from "./mod.ts";
 *
 * const sandbox = createNamedNamespace("agent-shop");
 * const socket = openNetlinkSocket({ family: "route", namespace: sandbox });
 * socket.close();
 * sandbox.close();
 * deleteNamedNamespace("agent-shop");
 * ```
 *
 * @module
 */
export { systemClock } from "./clock.ts";
export { becomeCommand, type CommandOptions } from "./command.ts";
export { dropTrustEnvironment } from "./environment.ts";
export { type ErrnoName, SyscallError } from "./errors.ts";
export {
  type FileLock,
  fsyncDirectory,
  type LockAnswer,
  lockFile,
  writeFileDurably,
} from "./file.ts";
export type { FrameChannel, FrameFilter, FrameListener } from "./frame_socket.ts";
export { createLogger, type LoggerOptions, type LogLevel } from "./logger.ts";
export { returnFreeMemory } from "./memory.ts";
export {
  createNamedNamespace,
  deleteNamedNamespace,
  listNamedNamespaces,
  namedNamespacePath,
} from "./named_namespace.ts";
export {
  inNamespace,
  type NamespaceIdentity,
  NetworkNamespace,
  openCurrentNamespace,
  openNamespace,
  openNamespaceOfPid,
  readSysctl,
  sameNamespace,
  writeSysctl,
} from "./namespace.ts";
export { notifyServiceManager } from "./notify.ts";
export {
  type NetlinkFamily,
  NetlinkSocket,
  type NetlinkSocketOptions,
  openNetlinkSocket,
} from "./netlink_socket.ts";
export type { NotificationListener, SubscriptionOptions } from "./notification_socket.ts";
export { PacketSocket } from "./packet_socket.ts";
export {
  bootId,
  hostname,
  identifyProcess,
  isRoot,
  isRunning,
  pidsInNamespace,
  type ProcessIdentity,
} from "./process.ts";
export { systemRandom } from "./random.ts";
export { namespaceCookie } from "./namespace_cookie.ts";
export { BlockingUnixStream } from "./unix_stream.ts";
export { Watcher } from "./watcher.ts";
