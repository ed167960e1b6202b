import { closeDescriptor } from "./descriptor.ts";
import { AF_PACKET, SOCK_CLOEXEC, SOCK_RAW } from "./constants.ts";
import { check } from "./errors.ts";
import { ffiBytes, libc } from "./libc.ts";
import { inNamespace, type NetworkNamespace } from "./namespace.ts";

/** struct sockaddr_ll: u16 family, u16be protocol, i32 ifindex, u16 type, u8 type, u8 length, 8 bytes. */
const SOCKADDR_LL_BYTES = 20;

/** Sends Ethernet frames out at interfaces of one namespace, and receives none. */
export class PacketSocket implements Disposable {
  readonly #fd: number;
  #closed = false;

  /** Opens it in that namespace. @throws {SyscallError} */
  constructor(namespace: NetworkNamespace) {
    // Protocol 0: the kernel gives it no frame.
    const open = () =>
      check(libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket", "packet");
    this.#fd = inNamespace(namespace, open);
  }

  /**
   * Sends one frame, its Ethernet header included.
   *
   * @throws {SyscallError} `ENETDOWN` when the interface is down, `ENXIO` when there is none
   */
  send(interfaceIndex: number, frame: Uint8Array): void {
    if (this.#closed) throw new TypeError("Cannot use a packet socket: it is closed");
    const address = new Uint8Array(SOCKADDR_LL_BYTES);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setInt32(4, interfaceIndex, true);
    const { length } = frame;
    const bytes = ffiBytes(frame);
    check(
      libc.sendto(this.#fd, bytes, BigInt(length), 0, address, SOCKADDR_LL_BYTES),
      "sendto",
      `interface ${interfaceIndex}`,
    );
  }

  /** Closing it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeDescriptor(this.#fd);
  }

  /** For `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
