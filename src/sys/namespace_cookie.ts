import { AF_UNIX, SO_NETNS_COOKIE, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "./constants.ts";
import { closeDescriptor } from "./descriptor.ts";
import { check } from "./errors.ts";
import { libc, pinnedBytes } from "./libc.ts";
import { inNamespace, type NetworkNamespace } from "./namespace.ts";

/**
 * The kernel's number for a network namespace, which it gives to no other one until the next boot,
 * unlike the inode, which a new namespace may get as soon as the old one is gone
 * (`SO_NETNS_COOKIE`, Linux 5.14).
 *
 * @throws {SyscallError}
 */
export function namespaceCookie(namespace: NetworkNamespace): bigint {
  const socket = inNamespace(
    namespace,
    () => check(libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"),
  );
  try {
    const value = pinnedBytes(8);
    const length = pinnedBytes(4);
    new Uint32Array(length.buffer)[0] = value.length;
    const result = libc.getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, value, length);
    check(result, "getsockopt", "SO_NETNS_COOKIE");
    return new DataView(value.buffer).getBigUint64(0, true);
  } finally {
    closeDescriptor(socket);
  }
}
