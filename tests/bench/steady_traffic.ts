/**
 * Sends numbered UDP packets to others at an even rate and takes theirs, each of which counts once. A
 * program of its own for each workload: `steady_traffic.ts OWN_NUMBER RATE IP…`, where the others come in the
 * order of their numbers and the rate is that of all packets together.
 *
 * SIGHUP begins the sending, SIGINT ends it; SIGTERM, when all that was sent has had the time to arrive, has it print a
 * {@linkcode TrafficReport} and end.
 *
 * @module
 */

/** What one workload has sent and received. */
export interface TrafficReport {
  readonly sent: number;
  /** What the kernel has not taken. */
  readonly refused: number;
  /** Each packet once. */
  readonly received: number;
  readonly duplicates: number;
  /** Packets that have arrived and for which the socket had no room. */
  readonly overflows: number;
}

const PORT = 7000;
/** The number of the sender, and of the packet; each u32. */
const PAYLOAD_BYTES = 64;
const RECEIVE_BUFFER_BYTES = 8 << 20;
const TICK_MS = 5;

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
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

type State = "sending" | "listening" | "ended";

/** Which numbers have come. */
class Seen {
  #bits = new Uint8Array(1 << 16);
  count = 0;
  duplicates = 0;

  add(number: number): void {
    if (number >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(number + 1, this.#bits.length * 2));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    if (this.#bits[number] === 1) this.duplicates++;
    else this.count++;
    this.#bits[number] = 1;
  }
}

function overflows(): number {
  const port = PORT.toString(16).toUpperCase();
  const lines = Deno.readTextFileSync("/proc/net/udp").split("\n");
  const line = lines.find((text) => text.includes(`:${port} `));
  return Number(line?.trim().split(/\s+/).at(-1) ?? Number.NaN);
}

async function run(own: number, ratePerS: number, others: readonly string[]): Promise<void> {
  const now: { state: State; startMs: number } = { state: "listening", startMs: 0 };
  // Before the port is bound: that is what whoever sends the signals waits for.
  Deno.addSignalListener("SIGHUP", () => {
    now.startMs = performance.now();
    now.state = "sending";
  });
  Deno.addSignalListener("SIGINT", () => now.state = "listening");
  Deno.addSignalListener("SIGTERM", () => now.state = "ended");
  const fd = must(libc.socket(AF_INET, SOCK_DGRAM, 0), "a socket");
  const size = new Uint8Array(new Int32Array([RECEIVE_BUFFER_BYTES]).buffer);
  must(libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length), "a receive buffer");
  const any = socketAddress("0.0.0.0");
  must(libc.bind(fd, any, any.length), `UDP port ${PORT}`);
  const addresses = others.map(socketAddress);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, own);
  const buffer = new Uint8Array(2048);
  const received = new DataView(buffer.buffer);
  const seen = new Map<number, Seen>();
  let sent = 0;
  let refused = 0;
  const take = () => {
    while (libc.recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT) >= 0) {
      const from = received.getUint32(0);
      const ofSender = seen.get(from) ?? new Seen();
      seen.set(from, ofSender);
      ofSender.add(received.getUint32(4));
    }
  };
  while (now.state !== "ended") {
    const due = now.state === "sending" ? (performance.now() - now.startMs) * ratePerS / 1000 : 0;
    for (; sent < due; sent++) {
      const address = addresses[sent % addresses.length];
      if (address === undefined) throw new RangeError("There is nobody to send to");
      // Each receiver sees the numbers with gaps, and counts them.
      view.setUint32(4, sent);
      const length = BigInt(payload.length);
      const took = libc.sendto(fd, payload, length, MSG_DONTWAIT, address, address.length);
      if (took < 0) refused++;
    }
    take();
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  take();
  const all = [...seen.values()];
  const report: TrafficReport = {
    sent,
    refused,
    received: all.reduce((sum, { count }) => sum + count, 0),
    duplicates: all.reduce((sum, { duplicates }) => sum + duplicates, 0),
    overflows: overflows(),
  };
  console.log(JSON.stringify(report));
  Deno.exit(0);
}

if (import.meta.main) {
  const [own = "0", rate = "1000", ...others] = Deno.args;
  await run(Number(own), Number(rate), others);
}
