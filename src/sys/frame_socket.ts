import type { Bytes } from "../base/mod.ts";
import {
  AF_PACKET,
  BPF_JMP_JEQ_K,
  BPF_LD_H_ABS,
  BPF_RET_K,
  EAGAIN,
  ETH_P_ALL,
  MSG_DONTWAIT,
  PACKET_IGNORE_OUTGOING,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_PACKET,
} from "./constants.ts";
import { closeDescriptor } from "./descriptor.ts";
import { check } from "./errors.ts";
import { ffiBytes, lastErrno, libc } from "./libc.ts";
import { inNamespace, type NetworkNamespace } from "./namespace.ts";
import { receiveBuffer, setSocketOption } from "./netlink_socket.ts";
import { attachFilter } from "./socket_filter.ts";

/** Which frames. */
export interface FrameFilter {
  /** Where the interface is. */
  readonly namespace: NetworkNamespace;
  /** Only what comes in there. */
  readonly interfaceIndex: number;
  /** Only frames of this type. */
  readonly etherType: number;
}

/** Who is told. */
export interface FrameListener {
  /** A frame has come in, with its Ethernet header. */
  onFrame(frame: Bytes): void;
  /** The interface is gone, or down: nothing more will be heard. */
  onLost(): void;
}

/** Open frames of an interface. */
export interface FrameChannel {
  /** Sends one frame, its Ethernet header included. @throws {SyscallError} */
  send(frame: Uint8Array): void;
  /** Closing it again does nothing. The kernel takes some ms for it. */
  close(): void;
}

/** struct sockaddr_ll, see `packet_socket.ts`. */
const SOCKADDR_LL_BYTES = 20;
const ETHER_TYPE_OFFSET = 12;

/**
 * A packet socket that hears frames of one EtherType as they come in at an interface. It is of protocol
 * "all": only such a socket stands before the bridge of which the interface may be a port, which takes every
 * frame for itself. The kernel filters, so that other packets cost next to nothing.
 */
export class FrameSocket {
  readonly fd: number;

  /** @throws {SyscallError} `ENODEV` when there is no such interface */
  constructor({ namespace, interfaceIndex, etherType }: FrameFilter) {
    const what = `interface ${interfaceIndex}`;
    // Protocol 0: nothing is heard before the filter stands.
    this.fd = inNamespace(
      namespace,
      () => check(libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket", "packet"),
    );
    try {
      this.#attachFilter(etherType);
      setSocketOption(
        this.fd,
        SOL_PACKET,
        PACKET_IGNORE_OUTGOING,
        1,
        "PACKET_IGNORE_OUTGOING",
      );
      const address = new Uint8Array(SOCKADDR_LL_BYTES);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setUint16(2, ETH_P_ALL);
      view.setInt32(4, interfaceIndex, true);
      check(libc.bind(this.fd, address, SOCKADDR_LL_BYTES), "bind", what);
    } catch (error) {
      closeDescriptor(this.fd);
      throw error;
    }
  }

  /** The next that is queued, or null; `lost` when the interface is gone or down. */
  receive(): Bytes | "lost" | null {
    const { length } = receiveBuffer;
    const got = libc.recvfrom(this.fd, receiveBuffer, BigInt(length), MSG_DONTWAIT, null, null);
    if (got === -1) return lastErrno() === EAGAIN ? null : "lost";
    return receiveBuffer.slice(0, got);
  }

  /** Sends one frame, its Ethernet header included. @throws {SyscallError} */
  send(frame: Uint8Array): void {
    check(libc.send(this.fd, ffiBytes(frame), BigInt(frame.length), 0), "send", "packet");
  }

  #attachFilter(etherType: number): void {
    attachFilter(this.fd, [
      { code: BPF_LD_H_ABS, otherwise: 0, operand: ETHER_TYPE_OFFSET },
      { code: BPF_JMP_JEQ_K, otherwise: 1, operand: etherType },
      { code: BPF_RET_K, otherwise: 0, operand: 0xffff },
      { code: BPF_RET_K, otherwise: 0, operand: 0 },
    ]);
  }
}
