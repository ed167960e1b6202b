import { EFD_CLOEXEC, EFD_NONBLOCK, POLLIN, SYS_pidfd_open } from "./constants.ts";
import type { Cancel } from "../base/mod.ts";
import { closeDescriptor, readDescriptor, writeDescriptor } from "./descriptor.ts";
import { check, isErrno, SyscallError } from "./errors.ts";
import {
  type FrameChannel,
  type FrameFilter,
  type FrameListener,
  FrameSocket,
} from "./frame_socket.ts";
import { lastErrno, libc, pinnedBytes } from "./libc.ts";
import {
  type NotificationListener,
  NotificationSocket,
  type SubscriptionOptions,
} from "./notification_socket.ts";

/** struct pollfd: i32 fd, i16 events, i16 revents. */
const POLLFD_BYTES = 8;

/** A callback gets at most so many datagrams in a row; then others of the event loop have a turn. */
const DATAGRAMS_PER_TURN = 256;

/** A descriptor that is watched, and what to do when it can be read. */
interface Watched {
  readonly fd: number;
  onReadable(): void;
}

/**
 * Tells of kernel notifications and of the ends of processes. All of them share one blocked
 * `poll`, off the thread, so watching costs one of the runtime's pool threads and nothing while
 * nothing happens; Deno's own event loop cannot watch a foreign descriptor. An eventfd wakes it:
 * closing a descriptor would not.
 *
 * Callbacks run one after the other, from the event loop, and must not throw.
 *
 * ```ts
 * const watcher = new Watcher();
 * const cancel = watcher.watchProcess(Deno.ppid, () => console.log("alone"));
 * cancel();
 * await watcher.close();
 * ```
 */
export class Watcher implements AsyncDisposable {
  readonly #wake = check(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  readonly #watched = new Set<Watched>();
  /** The poll and what comes after it; null until there is something to watch. */
  #running: Promise<void> | null = null;
  #closed = false;

  /**
   * Follows multicast groups of a netlink family.
   *
   * @returns what ends it
   * @throws {SyscallError}
   */
  subscribe(options: SubscriptionOptions, listener: NotificationListener): Cancel {
    this.#assertOpen();
    const socket = new NotificationSocket(options);
    const watched = { fd: socket.fd, onReadable: () => this.#deliver(watched, socket, listener) };
    return this.#watch(watched);
  }

  /**
   * Sends frames at an interface, and hears those of one EtherType that come in there.
   *
   * @throws {SyscallError} `ENODEV` when there is no such interface
   */
  openFrames(filter: FrameFilter, listener: FrameListener): FrameChannel {
    this.#assertOpen();
    const socket = new FrameSocket(filter);
    const watched: Watched = {
      fd: socket.fd,
      onReadable: () => {
        for (let turn = 0; turn < DATAGRAMS_PER_TURN && this.#watched.has(watched); turn++) {
          const received = socket.receive();
          if (received === null) return;
          if (received !== "lost") {
            listener.onFrame(received);
            continue;
          }
          close();
          listener.onLost();
        }
      },
    };
    const close = this.#watch(watched);
    return {
      send: (frame) => {
        if (!this.#watched.has(watched)) throw new TypeError("Cannot send a frame: it is closed");
        socket.send(frame);
      },
      close,
    };
  }

  /**
   * Calls `onExit` once, when a process has ended: all its threads, whether or not its parent has
   * waited for it. The pid cannot come to mean another process meanwhile; make sure that it did
   * not before, by `isRunning` after this call.
   *
   * @returns what ends it
   * @throws {SyscallError} `ESRCH` when there is no such process
   */
  watchProcess(pid: number, onExit: () => void): Cancel {
    this.#assertOpen();
    const fd = Number(libc.syscall(BigInt(SYS_pidfd_open), BigInt(pid), 0n));
    check(fd, "pidfd_open", `process ${pid}`);
    const cancel = this.#watch({
      fd,
      onReadable: () => {
        cancel();
        onExit();
      },
    });
    return cancel;
  }

  /** Ends all that is watched; then nothing of it is left in the event loop. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { fd } of this.#watched) closeDescriptor(fd);
    this.#watched.clear();
    this.#wakeUp();
    await this.#running;
    closeDescriptor(this.#wake);
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #deliver(watched: Watched, socket: NotificationSocket, listener: NotificationListener): void {
    // A callback may end its own subscription: then the descriptor is closed already.
    for (let turn = 0; turn < DATAGRAMS_PER_TURN && this.#watched.has(watched); turn++) {
      const received = socket.receive();
      if (received === null) return;
      if (received.kind === "overrun") listener.onOverrun();
      else listener.onDatagram(received.datagram, received.nsid);
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new TypeError("Cannot watch: the watcher is closed");
  }

  #watch(watched: Watched): Cancel {
    this.#watched.add(watched);
    this.#running ??= this.#run();
    this.#wakeUp();
    return () => {
      // A poll that is under way keeps the file itself until the eventfd has ended it.
      if (this.#watched.delete(watched)) closeDescriptor(watched.fd);
      if (!this.#closed) this.#wakeUp();
    };
  }

  #wakeUp(): void {
    // Adding to the eventfd's counter; it ends any poll that has not seen it.
    writeDescriptor(this.#wake, new Uint8Array(new BigUint64Array([1n]).buffer));
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const polled = [...this.#watched];
      const fds = pinnedBytes((1 + polled.length) * POLLFD_BYTES);
      const view = new DataView(fds.buffer);
      for (const [index, fd] of [this.#wake, ...polled.map((one) => one.fd)].entries()) {
        view.setInt32(index * POLLFD_BYTES, fd, true);
        view.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
      }
      await pollReadable(fds, 1 + polled.length);
      if (view.getInt16(6, true) !== 0) this.#sleepAgain();
      for (const [index, one] of polled.entries()) {
        const readable = view.getInt16((1 + index) * POLLFD_BYTES + 6, true) !== 0;
        // A callback before this one may have ended it, and its descriptor's number be another's.
        if (readable && this.#watched.has(one)) one.onReadable();
      }
    }
  }

  #sleepAgain(): void {
    try {
      readDescriptor(this.#wake, 8);
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
    }
  }
}

/** Waits until one can be read, or a signal came. */
async function pollReadable(fds: Uint8Array<ArrayBuffer>, count: number): Promise<void> {
  if (await libc.pollOffThread(fds, BigInt(count), -1) !== -1) return;
  // The errno stayed on the other thread: ask again here, without waiting.
  if (libc.poll(fds, BigInt(count), 0) === -1) throw new SyscallError("poll", lastErrno());
}
