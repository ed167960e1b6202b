import { concatBytes } from "../../src/base/mod.ts";
import { decodeMessages, type Transport } from "../../src/netlink/mod.ts";
import type { Namespace } from "../../src/overlay/mod.ts";
import {
  namedNamespacePath,
  type NetlinkFamily,
  type NetlinkSocket,
  openNamespace,
  openNetlinkSocket,
} from "../../src/sys/mod.ts";
import { TestHost } from "../integration/overlay_host.ts";

/** `NLM_F_ROOT | NLM_F_MATCH`. */
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const ALIGNMENT = 4;
/** `NEWSA`, `UPDPOLICY` of xfrm, and `NEWNEIGH` of rtnetlink: what there is a lot of. */
const BULK: Readonly<Record<NetlinkFamily, readonly number[]>> = { xfrm: [16, 25], route: [28] };
/** With these acks, 16,000 of them, the receive buffer of our sockets (8 MiB) is full. */
const LARGEST_BATCH = { messages: 15_000, bytes: 4 << 20 };

/** Messages that were sent by one socket, one after the other, as they were. */
export interface Recorded {
  readonly family: NetlinkFamily;
  /** In the words of the overlay: a sandbox's name; null: the host's own. */
  readonly sandbox: string | null;
  readonly bytes: Uint8Array;
}

/**
 * A host that keeps what is sent to its kernel. It is in a file, so as not to count as memory of this process.
 * Keys of SAs are in it: they are of this run only.
 */
export class RecordingHost extends TestHost {
  readonly #path = Deno.makeTempFileSync({ prefix: "netlink" });
  readonly #file = Deno.openSync(this.#path, { read: true, append: true });
  readonly #sent: { family: NetlinkFamily; inode: number; length: number }[] = [];

  override openTransport(namespace: Namespace): Transport {
    return this.#recording(super.openTransport(namespace), "route", namespace);
  }

  override openXfrmTransport(namespace: Namespace): Transport {
    return this.#recording(super.openXfrmTransport(namespace), "xfrm", namespace);
  }

  /** Takes what was sent of SAs, policies, forwarding entries and neighbours. */
  takeBulk(): readonly Recorded[] {
    return this.#take((family, type) => BULK[family].includes(type));
  }

  /** Takes the requests for whole tables. */
  takeDumps(): readonly Recorded[] {
    return this.#take((_family, _type, flags) => (flags & NLM_F_DUMP) === NLM_F_DUMP);
  }

  /** Forgets what was sent. */
  forget(): void {
    this.#sent.length = 0;
    this.#file.truncateSync();
  }

  /** Takes the file away. */
  close(): void {
    this.#file.close();
    Deno.removeSync(this.#path);
  }

  #take(
    isWanted: (family: NetlinkFamily, type: number, flags: number) => boolean,
  ): readonly Recorded[] {
    const names = new Map(
      this.listNamed().map((name) => [this.identifyNamed(name)?.inode ?? -1, name]),
    );
    const parts = new Map<string, Omit<Recorded, "bytes"> & { readonly parts: Uint8Array[] }>();
    const bytes = Deno.readFileSync(this.#path);
    let offset = 0;
    for (const { family, inode, length } of this.#sent) {
      const datagram = bytes.subarray(offset, offset + length);
      offset += length;
      const sandbox = names.get(inode) ?? null;
      const key = `${family} ${sandbox}`;
      const found = parts.get(key) ?? { family, sandbox, parts: [] };
      for (const { type, flags, payload } of decodeMessages(datagram)) {
        // Recorded with its header, which lies right before it.
        const start = payload.byteOffset - datagram.byteOffset - 16;
        const end = start + 16 + align(payload.length);
        if (isWanted(family, type, flags)) found.parts.push(datagram.subarray(start, end));
      }
      if (found.parts.length > 0) parts.set(key, found);
    }
    this.forget();
    return [...parts.values()].map(({ family, sandbox, parts }) => ({
      family,
      sandbox,
      bytes: concatBytes(...parts),
    }));
  }

  #recording(transport: Transport, family: NetlinkFamily, namespace: Namespace): Transport {
    const keep = (datagram: Uint8Array) => {
      this.#sent.push({ family, inode: namespace.identity.inode, length: datagram.length });
      if (this.#file.writeSync(datagram) !== datagram.length) throw new Error("No room in /tmp");
    };
    return {
      portId: transport.portId,
      send: (datagram) => {
        keep(datagram);
        transport.send(datagram);
      },
      sendOffThread: async (datagram) => {
        keep(datagram);
        await transport.sendOffThread(datagram);
      },
      receive: () => transport.receive(),
      close: () => transport.close(),
    };
  }
}

/** What was recorded, in files. */
export class Recording {
  readonly #files: readonly { readonly of: Omit<Recorded, "bytes">; readonly path: string }[];

  /** Writes them into a directory. */
  constructor(directory: string, recorded: readonly Recorded[]) {
    this.#files = recorded.map(({ bytes, ...of }, number) => {
      const path = `${directory}/${number}`;
      Deno.writeFileSync(path, bytes);
      return { of, path };
    });
  }

  /**
   * Sends all of it again, in the largest batches that the kernel takes, and reads all answers.
   *
   * @returns how many messages that were
   * @throws {Error} when one was refused
   */
  replay(host: string, prefix: string): number {
    let count = 0;
    for (const { of: { family, sandbox }, path } of this.#files) {
      const name = sandbox === null ? host : prefix + sandbox;
      const namespace = openNamespace(namedNamespacePath(name));
      const socket = openNetlinkSocket({ family, namespace });
      try {
        for (const { bytes, messages } of batches(Deno.readFileSync(path))) {
          socket.send(bytes);
          readAcks(socket, messages);
          count += messages;
        }
      } finally {
        socket.close();
        namespace.close();
      }
    }
    return count;
  }

  /** Asks for the same tables again, and reads them, without a look at what is in them. */
  replayDumps(host: string, prefix: string): number {
    let bytesRead = 0;
    for (const { of: { family, sandbox }, path } of this.#files) {
      const name = sandbox === null ? host : prefix + sandbox;
      const namespace = openNamespace(namedNamespacePath(name));
      const socket = openNetlinkSocket({ family, namespace });
      try {
        const bytes = Deno.readFileSync(path);
        for (const length of lengths(bytes)) {
          socket.send(bytes.subarray(length.start, length.end));
          bytesRead += readDump(socket);
        }
      } finally {
        socket.close();
        namespace.close();
      }
    }
    return bytesRead;
  }
}

function align(length: number): number {
  return (length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

function* lengths(bytes: Uint8Array): Generator<{ readonly start: number; readonly end: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0; start < bytes.length;) {
    const end = start + align(view.getUint32(start, true));
    yield { start, end };
    start = end;
  }
}

function* batches(
  bytes: Uint8Array,
): Generator<{ readonly bytes: Uint8Array; readonly messages: number }> {
  let from = 0;
  let messages = 0;
  for (const { start, end } of lengths(bytes)) {
    if (messages === LARGEST_BATCH.messages || end - from > LARGEST_BATCH.bytes) {
      yield { bytes: bytes.subarray(from, start), messages };
      from = start;
      messages = 0;
    }
    messages++;
  }
  if (messages > 0) yield { bytes: bytes.subarray(from), messages };
}

function readAcks(socket: NetlinkSocket, messages: number): void {
  for (let acks = 0; acks < messages; acks++) {
    const datagram = socket.receive();
    if (datagram === null) throw new Error(`${messages - acks} of ${messages} acks are missing`);
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    const errno = view.getUint16(4, true) === NLMSG_ERROR ? view.getInt32(16, true) : 0;
    if (errno !== 0) throw new Error(`A message that was sent again was refused: errno ${-errno}`);
  }
}

function readDump(socket: NetlinkSocket): number {
  let bytesRead = 0;
  for (;;) {
    const datagram = socket.receive();
    if (datagram === null) throw new Error("A dump has no end");
    bytesRead += datagram.length;
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    for (const { start } of lengths(datagram)) {
      const type = view.getUint16(start + 4, true);
      if (type === NLMSG_DONE) return bytesRead;
      if (type === NLMSG_ERROR) throw new Error("A dump was refused");
    }
  }
}
