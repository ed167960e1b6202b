import type { Bytes } from "../base/mod.ts";
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_STREAM } from "./constants.ts";
import { closeDescriptor, readDescriptor } from "./descriptor.ts";
import { check, checkUninterrupted } from "./errors.ts";
import { cString, ffiBytes, libc } from "./libc.ts";

/** Length of `sun_path` in struct sockaddr_un, its terminating zero included. */
const SUN_PATH_BYTES = 108;

/**
 * A unix stream that holds the thread while it waits: for code that is about to become another
 * program and so cannot await, and whose descriptor that program is to inherit.
 *
 * ```ts ignore
 * const stream = BlockingUnixStream.connect("/run/agent/agent.sock");
 * stream.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: agent\r\n\r\n"));
 * const head = stream.read(4096);
 * becomeCommand({ argv: ["sh"], env: {}, keepFds: [stream.fd], prepare: () => {} });
 * ```
 */
export class BlockingUnixStream {
  /** Its number, the same in the program that this process becomes. */
  readonly fd: number;
  readonly #path: string;
  #open = true;

  private constructor(fd: number, path: string) {
    this.fd = fd;
    this.#path = path;
  }

  /**
   * Connects to a listening socket.
   *
   * @throws {SyscallError} `ENOENT` when there is no such socket, `ECONNREFUSED` when nobody
   *   listens on it
   * @throws {RangeError} when the path is longer than a socket's may be
   */
  static connect(path: string): BlockingUnixStream {
    const name = cString(path);
    if (name.length > SUN_PATH_BYTES) {
      throw new RangeError(
        `Cannot connect to ${path}: a socket's path has at most ${SUN_PATH_BYTES - 1} bytes`,
      );
    }
    const address = new Uint8Array(2 + SUN_PATH_BYTES);
    new DataView(address.buffer).setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    const fd = check(libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", "unix");
    try {
      checkUninterrupted(() => libc.connect(fd, address, address.length), "connect", path);
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
    return new BlockingUnixStream(fd, path);
  }

  /** Writes all of `bytes`. @throws {SyscallError} `EPIPE` when the other end is gone */
  write(bytes: Uint8Array): void {
    this.#assertOpen();
    let rest = ffiBytes(bytes);
    while (rest.length > 0) {
      const part = rest;
      const send = () => libc.send(this.fd, part, BigInt(part.length), MSG_NOSIGNAL);
      rest = rest.subarray(checkUninterrupted(send, "send", this.#path));
    }
  }

  /** At least one byte and at most `maxBytes`; none at the end of the stream. @throws {SyscallError} */
  read(maxBytes: number): Bytes {
    this.#assertOpen();
    return readDescriptor(this.fd, maxBytes, this.#path);
  }

  /** Closing it again does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.fd);
  }

  #assertOpen(): void {
    if (!this.#open) throw new TypeError(`Cannot use the stream to ${this.#path}: it is closed`);
  }
}
