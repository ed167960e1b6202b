import { encodeUtf8 } from "../base/mod.ts";
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./constants.ts";
import { closeDescriptor } from "./descriptor.ts";
import { check } from "./errors.ts";
import { cString, ffiBytes, libc } from "./libc.ts";

/** Length of `sun_path` in struct sockaddr_un. */
const SUN_PATH_BYTES = 108;

/**
 * Tells the service manager that has started this process how it is, by sd_notify(3)'s protocol: one
 * datagram to the socket that `NOTIFY_SOCKET` names. Nothing happens where there is none.
 *
 * @param socket the value of `NOTIFY_SOCKET`; an `@` in front stands for the abstract namespace
 * @param state `READY=1`, `STATUS=…`, one to a line
 * @throws {SyscallError} when nobody hears it
 */
export function notifyServiceManager(socket: string | undefined, state: string): void {
  if (socket === undefined || !/^[/@]/.test(socket)) return;
  const name = cString(socket).subarray(0, -1);
  if (name.length >= SUN_PATH_BYTES) return;
  if (socket.startsWith("@")) name[0] = 0;
  // An abstract name ends with the address; a path may, since the rest of sun_path is zero anyway.
  const address = new Uint8Array(2 + name.length + (socket.startsWith("@") ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const fd = check(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "unix");
  try {
    check(libc.connect(fd, address, address.length), "connect", socket);
    const bytes = ffiBytes(encodeUtf8(state));
    check(libc.send(fd, bytes, BigInt(bytes.length), MSG_NOSIGNAL), "send", socket);
  } finally {
    closeDescriptor(fd);
  }
}
