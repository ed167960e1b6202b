import type { Bytes } from "../base/mod.ts";
import { closeDescriptor } from "./descriptor.ts";
import {
  BPF_JMP_JEQ_K,
  BPF_LD_W_ABS,
  BPF_RET_K,
  EAGAIN,
  ENOBUFS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_LISTEN_ALL_NSID,
  SOL_NETLINK,
} from "./constants.ts";
import { SyscallError } from "./errors.ts";
import { addressOf, lastErrno, libc, pinnedBytes } from "./libc.ts";
import { openNetlinkDescriptor, receiveBuffer, setSocketOption } from "./netlink_socket.ts";
import type { NetlinkSocketOptions } from "./netlink_socket.ts";
import { attachFilter } from "./socket_filter.ts";

/** What to follow. */
export interface SubscriptionOptions extends NetlinkSocketOptions {
  /** Numbers of multicast groups: `RTNLGRP_…`, `XFRMNLGRP_…`. */
  readonly groups: readonly number[];
  /**
   * `all`: also what happens in every other namespace that has an nsid in the socket's own
   * (`RTM_NEWNSID` gives it one).
   */
  readonly namespaces: "own" | "all";
  /**
   * Port ID of a socket: what its requests have caused, where the kernel says so in the message's header, is
   * left out by the kernel itself.
   */
  readonly notCausedBy?: number;
}

/** Who is told. */
export interface NotificationListener {
  /**
   * Something happened.
   *
   * @param datagram one or more netlink messages
   * @param nsid the namespace it happened in; null for the socket's own, unless someone gave that
   *   one an nsid in itself
   */
  onDatagram(datagram: Uint8Array, nsid: number | null): void;
  /** Notifications were lost: what was learned from them must be read anew. */
  onOverrun(): void;
}

/** What a {@linkcode NotificationSocket} has received. */
export type Notification =
  | { readonly kind: "datagram"; readonly datagram: Bytes; readonly nsid: number | null }
  | { readonly kind: "overrun" };

/** A netlink socket in multicast groups. */
export class NotificationSocket {
  readonly fd: number;

  /** @throws {SyscallError} */
  constructor(options: SubscriptionOptions) {
    this.fd = openNetlinkDescriptor(options);
    try {
      if (options.namespaces === "all") {
        setSocketOption(
          this.fd,
          SOL_NETLINK,
          NETLINK_LISTEN_ALL_NSID,
          1,
          "NETLINK_LISTEN_ALL_NSID",
        );
      }
      // Before the first group, so that nothing of it comes.
      if (options.notCausedBy !== undefined) leaveOut(this.fd, options.notCausedBy);
      for (const group of options.groups) {
        setSocketOption(
          this.fd,
          SOL_NETLINK,
          NETLINK_ADD_MEMBERSHIP,
          group,
          `NETLINK_ADD_MEMBERSHIP of group ${group}`,
        );
      }
    } catch (error) {
      closeDescriptor(this.fd);
      throw error;
    }
  }

  /** The next that is queued, or null. @throws {SyscallError} */
  receive(): Notification | null {
    for (;;) {
      callView.setUint32(MSG_NAMELEN, SOCKADDR_NL_BYTES, true);
      callView.setBigUint64(MSG_CONTROLLEN, BigInt(CONTROL_BYTES), true);
      const length = libc.recvmsg(this.fd, call, MSG_DONTWAIT | MSG_TRUNC);
      if (length === -1) {
        const errno = lastErrno();
        if (errno === EAGAIN) return null;
        if (errno === ENOBUFS) return { kind: "overrun" };
        throw new SyscallError("recvmsg", errno, "netlink notifications");
      }
      // A datagram that was cut is lost all the same.
      if (length > receiveBuffer.length) return { kind: "overrun" };
      // Another program may send to this port too: only the kernel, port 0, is believed.
      if (callView.getUint32(SENDER + 4, true) !== 0) continue;
      return { kind: "datagram", datagram: receiveBuffer.slice(0, length), nsid: receivedNsid() };
    }
  }
}

/** Leaves out messages with a port ID in their header (`nlmsg_pid`, the u32 at 12). */
function leaveOut(fd: number, portId: number): void {
  attachFilter(fd, [
    { code: BPF_LD_W_ABS, otherwise: 0, operand: 12 },
    { code: BPF_JMP_JEQ_K, otherwise: 1, operand: networkOrder(portId) },
    { code: BPF_RET_K, otherwise: 0, operand: 0 },
    { code: BPF_RET_K, otherwise: 0, operand: 0xffffffff },
  ]);
}

/** BPF loads in network order, and the header is in the host's. */
function networkOrder(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return view.getUint32(0);
}

/*
 * struct msghdr (64-bit):        struct cmsghdr (64-bit):
 *  0 pointer name                 0 u64 length, this header included
 *  8 u32     name length          8 i32 level
 * 16 pointer iovec               12 i32 type
 * 24 u64     iovec count         16 data
 * 32 pointer control
 * 40 u64     control length      struct iovec: pointer, u64 length
 * 48 i32     flags               struct sockaddr_nl: u16 family, u16 zero, u32 port ID, u32 groups
 *
 * One set serves all sockets, for receiving is synchronous.
 */
const MSG_NAME = 0;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROL = 32;
const MSG_CONTROLLEN = 40;
const IOVEC = 56;
const SENDER = 72;
const SOCKADDR_NL_BYTES = 12;
const CONTROL = 88;
const CONTROL_BYTES = 64;
// All in one piece of memory: a part that only an address leads to would be collected as garbage.
const call = pinnedBytes(CONTROL + CONTROL_BYTES);
const callView = new DataView(call.buffer);
{
  const address = addressOf(call);
  callView.setBigUint64(MSG_NAME, address + BigInt(SENDER), true);
  callView.setBigUint64(MSG_IOV, address + BigInt(IOVEC), true);
  callView.setBigUint64(MSG_IOVLEN, 1n, true);
  callView.setBigUint64(MSG_CONTROL, address + BigInt(CONTROL), true);
  callView.setBigUint64(IOVEC, addressOf(receiveBuffer), true);
  callView.setBigUint64(IOVEC + 8, BigInt(receiveBuffer.length), true);
}

function receivedNsid(): number | null {
  if (callView.getBigUint64(MSG_CONTROLLEN, true) < 20n) return null;
  const level = callView.getInt32(CONTROL + 8, true);
  const type = callView.getInt32(CONTROL + 12, true);
  if (level !== SOL_NETLINK || type !== NETLINK_LISTEN_ALL_NSID) return null;
  const nsid = callView.getInt32(CONTROL + 16, true);
  return nsid < 0 ? null : nsid;
}
