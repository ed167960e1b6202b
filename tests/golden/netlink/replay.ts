import type { Transport } from "../../../src/netlink/mod.ts";
import { type Conversation, type Datagram, normalize, parseTranscript } from "./transcript.ts";

const PORT_ID = 4711;

/** Reads one of the recordings beside this file. */
export function readRecording(file: string): ReadonlyMap<string, Conversation> {
  const text = Deno.readTextFileSync(new URL(`./${file}.txt`, import.meta.url));
  return new Map(parseTranscript(text).map((recorded) => [recorded.command, recorded]));
}

/** A kernel that answers every request with what was recorded, whatever the request is. */
export class ReplayTransport implements Transport {
  readonly portId = PORT_ID;
  /** What was sent, normalised as recordings are. */
  readonly sent: Datagram[] = [];
  readonly #answers: readonly Datagram[];
  #queue: Uint8Array[] = [];

  constructor(conversation: Conversation) {
    this.#answers = conversation.datagrams.filter(({ direction }) => direction === "received");
  }

  send(datagram: Uint8Array): void {
    const sequence = new DataView(datagram.buffer, datagram.byteOffset).getUint32(8, true);
    this.sent.push(normalize({ direction: "sent", bytes: Uint8Array.from(datagram) }));
    this.#queue = this.#answers.map(({ bytes }) => addressed(bytes, sequence));
  }

  sendOffThread(datagram: Uint8Array): Promise<void> {
    this.send(datagram);
    return Promise.resolve();
  }

  receive(): Uint8Array | null {
    return this.#queue.shift() ?? null;
  }

  close(): void {}
}

/** The recorded bytes with sequence numbers and port IDs put back. */
function addressed(recorded: Uint8Array, sequence: number): Uint8Array {
  const bytes = Uint8Array.from(recorded);
  const view = new DataView(bytes.buffer);
  // Tests of damaged bytes come through here too, so no length is believed.
  for (let offset = 0; offset + 16 <= bytes.length;) {
    view.setUint32(offset + 8, sequence, true);
    view.setUint32(offset + 12, PORT_ID, true);
    offset += Math.max(16, (view.getUint32(offset, true) + 3) & ~3);
  }
  return bytes;
}
