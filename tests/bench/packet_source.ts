/**
 * Sends UDP packets of 64 bytes as fast as the kernel takes them, many with each system call, so that
 * what is measured is the packets' way and not the way into the kernel. Two programs in one:
 *
 * - `source ADDRESS SECONDS` sends, and ends;
 * - `sink` takes them, so that nobody answers that the port is closed, until it is ended.
 *
 * @module
 */

/** The port that is called "discard". */
const PORT = 9;
/**
 * UDP payload of a frame of 64 bytes, the least that Ethernet has: without its header (14) and
 * checksum (4), and the headers of IPv4 (20) and UDP (8).
 */
const PAYLOAD_BYTES = 18;
const MESSAGES_PER_CALL = 64;

const AF_INET = 2;
const SOCK_DGRAM = 2;
/** struct iovec: pointer, size_t. */
const IOVEC_BYTES = 16;
/** struct mmsghdr: struct msghdr (56, `msg_iov` at 16, `msg_iovlen` at 24), u32 msg_len, padding. */
const MMSGHDR_BYTES = 64;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  pause: { parameters: [], result: "i32" },
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`The kernel refused ${what}`);
  return result;
}

/** struct sockaddr_in. */
function socketAddress(ip: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, PORT);
  bytes.set(ip.split(".").map(Number), 4);
  return bytes;
}

function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

function send(ip: string, seconds: number): void {
  const address = socketAddress(ip);
  const fd = must(libc.socket(AF_INET, SOCK_DGRAM, 0), "a socket");
  must(libc.connect(fd, address, address.length), `the address ${ip}`);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const vector = new Uint8Array(IOVEC_BYTES);
  new BigUint64Array(vector.buffer).set([addressOf(payload), BigInt(PAYLOAD_BYTES)]);
  const messages = new Uint8Array(MESSAGES_PER_CALL * MMSGHDR_BYTES);
  const view = new DataView(messages.buffer);
  for (let offset = 0; offset < messages.length; offset += MMSGHDR_BYTES) {
    view.setBigUint64(offset + 16, addressOf(vector), true);
    view.setBigUint64(offset + 24, 1n, true);
  }
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  while (performance.now() < endMs) {
    must(libc.sendmmsg(fd, messages, MESSAGES_PER_CALL, 0), "the packets");
  }
  console.log((performance.now() - startMs) / 1000);
}

function sink(): void {
  const address = socketAddress("0.0.0.0");
  const fd = must(libc.socket(AF_INET, SOCK_DGRAM, 0), "a socket");
  must(libc.bind(fd, address, address.length), `UDP port ${PORT}`);
  // Nobody reads: what does not fit into the socket is dropped there, when it has arrived.
  libc.pause();
}

if (import.meta.main) {
  const [mode, ip = "", seconds = "0"] = Deno.args;
  if (mode === "source") send(ip, Number(seconds));
  else sink();
}
