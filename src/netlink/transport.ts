/**
 * One netlink socket, in the network namespace where it was opened. Whoever implements it
 *
 * - sets `NETLINK_EXT_ACK`, `NETLINK_CAP_ACK` and, for rtnetlink, `NETLINK_GET_STRICT_CHK`, so that
 *   errors say why and dumps are filtered in the kernel;
 * - passes on only datagrams whose sender is the kernel (`nl_pid` 0);
 * - gives each datagram whole: parts of a dump reach 32 KB.
 */
export interface Transport {
  /** The socket's own address (`nl_pid` after `bind`); replies carry it. */
  readonly portId: number;
  /**
   * Sends one datagram. rtnetlink and xfrm handle every request of it before this returns, so acks
   * are queued then.
   */
  send(datagram: Uint8Array): void;
  /** The same off the thread, for requests that hold the kernel long (deleting a link: 16 ms). */
  sendOffThread(datagram: Uint8Array): Promise<void>;
  /**
   * The next queued datagram, or null when none is queued (`MSG_DONTWAIT`). The bytes are the
   * caller's to keep.
   *
   * @throws {OverrunError} on `ENOBUFS`: datagrams were lost; those queued before can still be read
   */
  receive(): Uint8Array | null;
  /** Frees the socket. */
  close(): void;
}

/**
 * The receive buffer was full (`ENOBUFS`), so the kernel threw away acks or notifications. Requests
 * were handled all the same. Who follows notifications has to dump again.
 */
export class OverrunError extends Error {
  /** Tells it from other errors. */
  override name = "OverrunError";

  /** To be made with the error of the system call as `cause`. */
  constructor(options?: ErrorOptions) {
    super(
      "The netlink socket lost messages (ENOBUFS): its receive buffer was full; dump the state again",
      options,
    );
  }
}
