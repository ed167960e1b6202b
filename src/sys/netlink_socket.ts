import type { Bytes } from "../base/mod.ts";
import { OverrunError, type Transport } from "../netlink/mod.ts";
import { closeDescriptor } from "./descriptor.ts";
import {
  AF_NETLINK,
  EAGAIN,
  EMSGSIZE,
  ENOBUFS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  NETLINK_XFRM,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from "./constants.ts";
import { check, SyscallError } from "./errors.ts";
import { ffiBytes, lastErrno, libc, pinnedBytes } from "./libc.ts";
import { inNamespace, type NetworkNamespace } from "./namespace.ts";

/** `route`: links, addresses, routes, neighbours, traffic control. `xfrm`: IPsec. */
export type NetlinkFamily = "route" | "xfrm";

/** Which socket to open, and where. */
export interface NetlinkSocketOptions {
  /** What it speaks of. */
  readonly family: NetlinkFamily;
  /** The namespace it speaks for; by default the one this thread is in. */
  readonly namespace?: NetworkNamespace;
}

/**
 * Room for 16,000 acks or a burst of thousands of notifications; the default holds 256 acks. The
 * kernel takes memory only for what is queued.
 */
const SOCKET_BUFFER_BYTES = 8 << 20;

/**
 * More than any datagram of the kernel: parts of dumps reach 32 KiB, and a link with hundreds of
 * virtual functions some 200 KiB. Shared by all sockets, for receiving is synchronous; what is
 * never written to costs no memory.
 */
export const receiveBuffer: Bytes = pinnedBytes(1 << 20);

/** struct sockaddr_nl: u16 family, u16 zero, u32 port ID, u32 groups. */
const SOCKADDR_NL_BYTES = 12;
/** V8 keeps arrays of so many bytes in its own heap (`typed_array_max_size_in_heap`). */
const MOVED_BYTES = 64;
const sender = pinnedBytes(SOCKADDR_NL_BYTES);
const senderView = new DataView(sender.buffer);
const senderLength = new Uint32Array(pinnedBytes(4).buffer);

/** One netlink socket, as `src/netlink` wants it. */
export class NetlinkSocket implements Transport, Disposable {
  readonly portId: number;
  readonly #fd: number;
  #sending = 0;
  #closed = false;

  /** Takes over `fd`, a bound netlink socket. */
  constructor(fd: number) {
    this.#fd = fd;
    this.portId = readPortId(fd);
  }

  /** As {@linkcode Transport.send} says. @throws {SyscallError} */
  send(datagram: Uint8Array): void {
    this.#assertOpen();
    sendNow(this.#fd, ffiBytes(datagram));
  }

  /** As {@linkcode Transport.sendOffThread} says. @throws {SyscallError} as a rejection */
  async sendOffThread(datagram: Uint8Array): Promise<void> {
    this.#assertOpen();
    const copy = pinned(datagram);
    this.#sending++;
    try {
      const sent = await libc.sendOffThread(this.#fd, copy, BigInt(copy.length), 0);
      // The errno stayed on the other thread. A datagram that was refused was not handled, so
      // sending it here does no harm, and either works or says why it does not.
      if (sent === -1) sendNow(this.#fd, copy);
    } finally {
      this.#sending--;
      if (this.#closed && this.#sending === 0) closeDescriptor(this.#fd);
    }
  }

  /**
   * As {@linkcode Transport.receive} says; the bytes are the caller's own.
   *
   * @throws {OverrunError}
   * @throws {SyscallError}
   */
  receive(): Bytes | null {
    this.#assertOpen();
    for (;;) {
      const length = receiveNext(this.#fd);
      if (length === null) return null;
      // Another program may send to this port too: only the kernel, port 0, is believed.
      if (senderView.getUint32(4, true) === 0) return receiveBuffer.slice(0, length);
    }
  }

  /** What is being sent off the thread still is; then the descriptor goes. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#sending === 0) closeDescriptor(this.#fd);
  }

  /** For `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new TypeError("Cannot use a netlink socket: it is closed");
  }
}

/**
 * Opens a netlink socket with extended acks, short acks (they do not repeat the request) and
 * strict checking, without which the kernel ignores the filters of a dump.
 *
 * @throws {SyscallError}
 */
export function openNetlinkSocket(options: NetlinkSocketOptions): NetlinkSocket {
  const fd = openNetlinkDescriptor(options);
  try {
    return new NetlinkSocket(fd);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** The descriptor of a bound netlink socket with all options set. @throws {SyscallError} */
export function openNetlinkDescriptor(options: NetlinkSocketOptions): number {
  const protocol = options.family === "route" ? NETLINK_ROUTE : NETLINK_XFRM;
  const open = () =>
    check(
      libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol),
      "socket",
      `netlink ${options.family}`,
    );
  const { namespace } = options;
  const fd = namespace === undefined ? open() : inNamespace(namespace, open);
  try {
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES, "SO_RCVBUFFORCE");
    // A datagram longer than this buffer is refused, and a batch is one datagram.
    setSocketOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES, "SO_SNDBUFFORCE");
    setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
    setSocketOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
    setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1, "NETLINK_GET_STRICT_CHK");
    const address = new Uint8Array(SOCKADDR_NL_BYTES);
    new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
    check(libc.bind(fd, address, SOCKADDR_NL_BYTES), "bind", `netlink ${options.family}`);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** `setsockopt(2)` with an int. @throws {SyscallError} */
export function setSocketOption(
  fd: number,
  level: number,
  option: number,
  value: number,
  name: string,
): void {
  const bytes = new Uint8Array(new Int32Array([value]).buffer);
  check(libc.setsockopt(fd, level, option, bytes, bytes.length), "setsockopt", name);
}

/** What V8 does not move, as it does arrays of up to 64 bytes; a batch is not copied once more. */
function pinned(datagram: Uint8Array): Bytes {
  const bytes = ffiBytes(datagram);
  if (bytes.length > MOVED_BYTES) return bytes;
  const copy = pinnedBytes(datagram.length);
  copy.set(datagram);
  return copy;
}

function sendNow(fd: number, datagram: Bytes): void {
  check(libc.send(fd, datagram, BigInt(datagram.length), 0), "send", "netlink request");
}

function readPortId(fd: number): number {
  const address = new Uint8Array(SOCKADDR_NL_BYTES);
  const length = new Uint8Array(new Uint32Array([SOCKADDR_NL_BYTES]).buffer);
  check(libc.getsockname(fd, address, length), "getsockname", "netlink");
  return new DataView(address.buffer).getUint32(4, true);
}

/** Puts the next datagram into {@linkcode receiveBuffer} and its sender beside it. */
function receiveNext(fd: number): number | null {
  senderLength[0] = SOCKADDR_NL_BYTES;
  const length = libc.recvfrom(
    fd,
    receiveBuffer,
    BigInt(receiveBuffer.length),
    MSG_DONTWAIT | MSG_TRUNC,
    sender,
    senderLength,
  );
  if (length === -1) {
    const errno = lastErrno();
    if (errno === EAGAIN) return null;
    const error = new SyscallError("recvfrom", errno, "netlink");
    throw errno === ENOBUFS ? new OverrunError({ cause: error }) : error;
  }
  if (length > receiveBuffer.length) {
    throw new SyscallError("recvfrom", EMSGSIZE, `netlink datagram of ${length} bytes`);
  }
  return length;
}
