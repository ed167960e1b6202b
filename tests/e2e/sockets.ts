/**
 * Sockets of this process in namespaces of hosts and workloads. The kernel knows a socket's namespace
 * from its birth, so a packet from any of them costs a system call here, not a process there.
 *
 * @module
 */
import { inNamespace, openNamespace } from "../../src/sys/mod.ts";

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
/** A datagram that is not there by then is not on its way. */
const LATE_MS = 20;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

/** What the kernel answered instead of doing it. */
export class SocketError extends Error {
  readonly errno: number;
  constructor(what: string) {
    const place = libc.__errno_location();
    const errno = place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
    super(`The kernel refused ${what}: errno ${errno}`);
    this.name = "SocketError";
    this.errno = errno;
  }
}

/** `errno` of a port that somebody has. */
export const EADDRINUSE = 98;

/** `errno` of a frame that a filter dropped. */
const ENOBUFS = 105;

/** Does something synchronous in the network namespace of which this is the path. */
export function inside<T>(netns: string, action: () => T): T {
  using namespace = openNamespace(netns);
  return inNamespace(namespace, action);
}

/** A file below `/proc/net` as the namespace has it. */
export function readProcNet(netns: string, file: string): string {
  return inside(netns, () => Deno.readTextFileSync(`/proc/thread-self/net/${file}`));
}

/** How many packets have left a device of a namespace. */
export function sentPackets(netns: string, device: string): number {
  const line = readProcNet(netns, "dev").split("\n").find((row) =>
    row.trim().startsWith(`${device}:`)
  );
  // Nine columns of what came in and one of bytes stand before.
  return Number(line?.replace(/^.*:/, "").trim().split(/\s+/)[9] ?? Number.NaN);
}

/** struct sockaddr_in. */
function internetAddress(ip: string, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(ip.split(".").map(Number), 4);
  return bytes;
}

class OpenSocket implements Disposable {
  protected readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  close(): void {
    if (this.#open) libc.close(this.fd);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Sends whole Ethernet frames by a device, as they are. */
export class FrameSocket extends OpenSocket {
  static open(netns: string, device: string): FrameSocket {
    return inside(netns, () => {
      const index = libc.if_nametoindex(new TextEncoder().encode(`${device}\0`));
      if (index === 0) throw new SocketError(`the name ${device}`);
      // Protocol 0: nothing is received.
      const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
      if (fd < 0) throw new SocketError("a packet socket");
      const socket = new FrameSocket(fd);
      // struct sockaddr_ll: u16 family, u16 protocol, i32 ifindex, 12 more.
      const address = new Uint8Array(20);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setInt32(4, index, true);
      if (libc.bind(fd, address, address.length) < 0) {
        const error = new SocketError(`to bind to ${device}`);
        socket.close();
        throw error;
      }
      return socket;
    });
  }

  /** Whether it got out: a filter on the device may drop it. */
  send(frame: Uint8Array<ArrayBuffer>): boolean {
    if (libc.sendto(this.fd, frame, BigInt(frame.length), 0, null, 0) >= 0) return true;
    const error = new SocketError("a frame");
    if (error.errno === ENOBUFS) return false;
    throw error;
  }
}

/** A plain UDP socket over IPv4, such as any user's program may have. */
export class UdpSocket extends OpenSocket {
  /** `from`: the address and port to send from; the kernel's choice without. */
  static open(netns: string, from?: { readonly ip: string; readonly port: number }): UdpSocket {
    return inside(netns, () => {
      const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (fd < 0) throw new SocketError("a UDP socket");
      const socket = new UdpSocket(fd);
      if (from !== undefined) {
        const on = new Uint8Array([1, 0, 0, 0]);
        // What helps a program to share a port with one that wants it, too.
        for (const option of [SO_REUSEADDR, SO_REUSEPORT]) {
          libc.setsockopt(fd, SOL_SOCKET, option, on, on.length);
        }
        const address = internetAddress(from.ip, from.port);
        if (libc.bind(fd, address, address.length) < 0) {
          const error = new SocketError(`the UDP port ${from.ip}:${from.port}`);
          socket.close();
          throw error;
        }
      }
      return socket;
    });
  }

  /** Whether the kernel took it. */
  send(payload: Uint8Array<ArrayBuffer>, ip: string, port: number): boolean {
    const to = internetAddress(ip, port);
    const length = BigInt(payload.length);
    return libc.sendto(this.fd, payload, length, MSG_DONTWAIT, to, to.length) >= 0;
  }

  /** How many datagrams have come since the last look. */
  receiveAll(): number {
    let count = 0;
    for (const _ of this.receive()) count++;
    return count;
  }

  /** As {@linkcode receiveAll}, with those that a busy kernel delivers a moment later. */
  receiveLate(): number {
    let count = this.receiveAll();
    while (this.hasSome(LATE_MS)) count += this.receiveAll();
    return count;
  }

  /** Waits so long for a datagram, and holds the thread meanwhile; whether there is one. */
  hasSome(patienceMs = LATE_MS): boolean {
    // struct pollfd: i32 fd, i16 events, i16 revents.
    const wanted = new Uint8Array(8);
    const view = new DataView(wanted.buffer);
    view.setInt32(0, this.fd, true);
    view.setInt16(4, POLLIN, true);
    return libc.poll(wanted, 1n, patienceMs) > 0;
  }

  /** The datagrams that have come since the last look; each is good until the next. */
  *receive(): Generator<Uint8Array> {
    const buffer = new Uint8Array(2048);
    for (;;) {
      const length = libc.recv(this.fd, buffer, BigInt(buffer.length), MSG_DONTWAIT);
      if (length < 0) return;
      yield buffer.subarray(0, Number(length));
    }
  }
}

/** Both ends of a TCP connection between two namespaces. */
export class TcpPair implements Disposable {
  readonly #near: number;
  readonly #far: number;
  readonly #buffer = new Uint8Array(1 << 16);

  private constructor(near: number, far: number) {
    this.#near = near;
    this.#far = far;
  }

  /** From one namespace to an address in the other. */
  static connect(from: string, to: string, ip: string, port: number): TcpPair {
    const kind = SOCK_STREAM | SOCK_CLOEXEC;
    const address = internetAddress(ip, port);
    const door = inside(to, () => libc.socket(AF_INET, kind, 0));
    const near = inside(from, () => libc.socket(AF_INET, kind, 0));
    try {
      if (libc.bind(door, address, address.length) < 0 || libc.listen(door, 1) < 0) {
        throw new SocketError(`to listen on ${ip}:${port}`);
      }
      if (libc.connect(near, address, address.length) < 0) {
        throw new SocketError(`to connect to ${ip}:${port}`);
      }
      return new TcpPair(near, libc.accept4(door, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC));
    } finally {
      libc.close(door);
    }
  }

  /** Sends what the kernel takes now, and reads what has arrived; how many bytes that was. */
  push(bytes: Uint8Array<ArrayBuffer>): number {
    libc.send(this.#near, bytes, BigInt(bytes.length), MSG_DONTWAIT);
    let arrived = 0;
    for (;;) {
      const length = Number(libc.recv(this.#far, this.#buffer, BigInt(this.#buffer.length), 0));
      if (length <= 0) return arrived;
      arrived += length;
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#near);
    libc.close(this.#far);
  }
}
