import { present } from "../base/mod.ts";
import { ERRNO, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR } from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import {
  decodeDone,
  decodeError,
  decodeMessages,
  encodeRequests,
  type Message,
  nextSequence,
  requestBytes,
} from "./message.ts";
import { type Exchange, type Exchanges, refusal, type Requests, unanswered } from "./exchange.ts";
import type { ComparableDump, Dump, Query, Request } from "./request.ts";
import { type TableDigest, type TableReader, TableReading } from "./table_digest.ts";
import { OverrunError, type Transport } from "./transport.ts";

/** How a {@linkcode Connection} sends. */
export interface ConnectionOptions {
  /**
   * How many requests go in one datagram. Their acks wait in the receive buffer: the default buffer
   * holds 256 (so 200 is the default here), one of 8 MiB 16,000.
   */
  readonly requestsPerSend?: number;
}

/** What became of one request of a batch: null when it was done. */
export type BatchResult = NetlinkError | null;

/** A datagram must fit the socket's send buffer, 208 KiB by default. */
const MAX_DATAGRAM_BYTES = 128 * 1024;

/** A table that changes during each of so many dumps changes all the time. */
const MAX_DUMPS = 10;

/**
 * Requests and answers on one socket.
 *
 * Answers are matched by sequence number, so calls off the thread may overlap with others. The
 * kernel allows one dump at a time on a socket: a second one, while `dumpInParts` runs, is refused
 * with `EBUSY`.
 */
export class Connection {
  readonly #transport: Transport;
  readonly #requestsPerSend: number;
  readonly #exchanges = new Map<number, Exchange>();
  #sequence = 1;

  /** Takes over the transport: nobody else may receive from it. */
  constructor(transport: Transport, options: ConnectionOptions = {}) {
    this.#transport = transport;
    this.#requestsPerSend = options.requestsPerSend ?? 200;
  }

  /**
   * Sends one request; it is done when this returns.
   *
   * @throws {NetlinkError} when the kernel refused it, or its ack was lost (`ENOBUFS`)
   */
  request(request: Request): void {
    throwIfRefused(this.batch([request]));
  }

  /**
   * The same off the thread, for requests that hold the kernel long: deleting a link takes 16 ms,
   * a bridge 40.
   *
   * @throws {NetlinkError} as {@linkcode request}
   */
  async requestOffThread(request: Request): Promise<void> {
    throwIfRefused(await this.batchOffThread([request]));
  }

  /**
   * Sends many requests in as few datagrams as the receive buffer allows. The kernel handles them in
   * order, and one that it refuses does not stop the others.
   *
   * @returns one result per request, in their order
   */
  batch(requests: readonly Request[]): BatchResult[] {
    const results: BatchResult[] = [];
    for (const part of this.#parts(requests)) {
      const exchanges = this.#open(part);
      try {
        this.#transport.send(this.#encode(exchanges));
        results.push(...this.#results(exchanges));
      } finally {
        this.#close(exchanges);
      }
    }
    return results;
  }

  /** The same off the thread; the calling thread only reads the acks. */
  async batchOffThread(requests: readonly Request[]): Promise<BatchResult[]> {
    const results: BatchResult[] = [];
    for (const part of this.#parts(requests)) {
      const exchanges = this.#open(part);
      try {
        await this.#transport.sendOffThread(this.#encode(exchanges));
        results.push(...this.#results(exchanges));
      } finally {
        this.#close(exchanges);
      }
    }
    return results;
  }

  /**
   * Asks for one object.
   *
   * @throws {NetlinkError} when there is none (`ENODEV`, `ENOENT`, …) or the kernel refused
   * @throws {DecodeError} when the answer cannot be understood
   */
  get<T>(query: Query<T>): T {
    const exchanges = this.#open([query]);
    try {
      this.#transport.send(this.#encode(exchanges));
      const found = this.#answer(query, exchanges[0]);
      if (found instanceof NetlinkError) throw found;
      return found;
    } finally {
      this.#close(exchanges);
    }
  }

  /**
   * Asks for many objects, in as few datagrams as {@linkcode batch}.
   *
   * @returns each, or why it did not come, in the order of the questions
   * @throws {DecodeError} when an answer cannot be understood
   */
  getEach<T>(queries: readonly Query<T>[]): (T | NetlinkError)[] {
    const found: (T | NetlinkError)[] = [];
    for (const part of this.#parts(queries)) {
      const exchanges = this.#open(part);
      try {
        this.#transport.send(this.#encode(exchanges));
        for (const [place, query] of part.entries()) {
          found.push(this.#answer(query, present(exchanges[place], "the exchange")));
        }
      } finally {
        this.#close(exchanges);
      }
    }
    return found;
  }

  /**
   * Reads a whole table, again when it changed on the way (`NLM_F_DUMP_INTR`).
   *
   * @throws {NetlinkError} when the kernel refused, or the table changed during 10 dumps (`EINTR`)
   * @throws {DecodeError} when an object cannot be understood
   */
  dump<T>(dump: Dump<T>): T[] {
    const objects = new Objects(dump);
    const steps = this.#read(dump, objects);
    while (steps.next().done !== true);
    return objects.all;
  }

  /**
   * The same for long tables: between datagrams of the dump, each up to 32 KB (some hundred
   * objects), it waits for what `pause` gives, so that the thread can do other things.
   *
   * @throws {NetlinkError} as {@linkcode dump}
   * @throws {DecodeError} as {@linkcode dump}
   */
  async dumpInParts<T>(dump: Dump<T>, pause: () => Promise<void>): Promise<T[]> {
    const objects = new Objects(dump);
    await inParts(this.#read(dump, objects), pause);
    return objects.all;
  }

  /**
   * The same, and notes in `digest` what was read.
   *
   * @throws {NetlinkError} as {@linkcode dump}
   * @throws {DecodeError} as {@linkcode dump}
   */
  async dumpNoting<T>(
    dump: ComparableDump<T>,
    digest: TableDigest,
    pause: () => Promise<void>,
  ): Promise<T[]> {
    const objects = new Objects(dump);
    const reading = new TableReading(dump);
    digest.forget();
    await inParts(this.#read(dump, both(objects, reading)), pause);
    digest.note(reading.finish());
    return objects.all;
  }

  /**
   * Whether a table is as `digest` has it noted; otherwise, or when nothing is noted, it has to be read
   * again. It is gone through in parts, as by {@linkcode dumpInParts}.
   *
   * @throws {NetlinkError} as {@linkcode dump}
   * @throws {DecodeError} as {@linkcode dump}
   */
  async isAsNoted(
    dump: ComparableDump<unknown>,
    digest: TableDigest,
    pause: () => Promise<void>,
  ): Promise<boolean> {
    if (!digest.isKnown) return false;
    const reading = new TableReading(dump);
    await inParts(this.#read(dump, reading), pause);
    return digest.matches(reading.finish());
  }

  /** Frees the socket. */
  close(): void {
    this.#transport.close();
  }

  /** Yields after each datagram. */
  *#read(dump: Dump<unknown>, reader: TableReader): Steps {
    for (let attempt = 0; attempt < MAX_DUMPS; attempt++) {
      reader.begin();
      if (yield* this.#readOnce(dump, reader)) return;
    }
    throw new NetlinkError(dump.describe(), ERRNO.EINTR, null, {
      detail: `the table changed during each of ${MAX_DUMPS} dumps; try again when it is quieter`,
    });
  }

  /** False when the table changed. What comes is read at once, so a pause splits that work too. */
  *#readOnce(dump: Dump<unknown>, reader: TableReader): Generator<void, boolean> {
    const exchanges = this.#open([dump]);
    const [exchange] = exchanges;
    try {
      this.#transport.send(this.#encode(exchanges));
      // Others may have received for us during a pause, even the end.
      while (exchange.ack === null || exchange.replies.length > 0) {
        if (exchange.replies.length === 0 && !this.#receiveOne()) {
          if (exchange.interrupted) return false;
          throw unanswered(dump);
        }
        for (const reply of exchange.replies.splice(0)) reader.take(reply);
        if (exchange.ack === null) yield;
      }
      const refused = refusal(exchange);
      if (refused !== null) throw refused;
      return !exchange.interrupted;
    } finally {
      // A dump goes on in the kernel, and blocks the next one, until its end has been read: also
      // when it is given up, or an object in it cannot be understood.
      while (exchange.ack === null && this.#receiveOne());
      this.#close(exchanges);
    }
  }

  /** Cuts a batch where the buffer of the acks, or of the requests, would be full. */
  *#parts<R extends Request>(requests: readonly R[]): Generator<readonly [R, ...R[]]> {
    let part: [R, ...R[]] | null = null;
    let bytes = 0;
    for (const request of requests) {
      const size = requestBytes(request);
      if (part === null) {
        part = [request];
      } else if (part.length < this.#requestsPerSend && bytes + size <= MAX_DATAGRAM_BYTES) {
        part.push(request);
        bytes += size;
        continue;
      } else {
        yield part;
        part = [request];
      }
      bytes = size;
    }
    if (part !== null) yield part;
  }

  #open(requests: Requests): Exchanges {
    const open = (request: Request): Exchange => {
      const exchange: Exchange = {
        request,
        sequence: this.#sequence,
        replies: [],
        ack: null,
        interrupted: false,
      };
      this.#exchanges.set(exchange.sequence, exchange);
      this.#sequence = nextSequence(this.#sequence);
      return exchange;
    };
    const [first, ...others] = requests;
    return [open(first), ...others.map(open)];
  }

  #encode(exchanges: Exchanges): Uint8Array {
    const requests = exchanges.map(({ request }) => request);
    return encodeRequests(requests, exchanges[0].sequence, this.#transport.portId);
  }

  #close(exchanges: Exchanges): void {
    for (const { sequence } of exchanges) this.#exchanges.delete(sequence);
  }

  /** Reads until it is there, or nothing is queued any more. */
  #answer<T>(query: Query<T>, exchange: Exchange): T | NetlinkError {
    while (exchange.ack === null && exchange.replies.length === 0) {
      if (!this.#receiveOne()) return unanswered(query);
    }
    const [reply] = exchange.replies;
    if (reply !== undefined) return query.decode(reply);
    return refusal(exchange) ?? unanswered(query);
  }

  /** Reads until each has its ack, or nothing is queued any more. */
  #results(exchanges: Exchanges): BatchResult[] {
    return exchanges.map((exchange) => {
      while (exchange.ack === null) {
        if (!this.#receiveOne()) return unanswered(exchange.request);
      }
      return refusal(exchange);
    });
  }

  /** Reads one datagram and hands its messages out; false when none was queued. */
  #receiveOne(): boolean {
    let datagram: Uint8Array | null;
    try {
      datagram = this.#transport.receive();
    } catch (cause) {
      if (!(cause instanceof OverrunError)) throw cause;
      // It does not say whose message was lost. Acks that are missing when the queue is empty were.
      for (const exchange of this.#exchanges.values()) exchange.interrupted = true;
      return true;
    }
    if (datagram === null) return false;
    for (const message of decodeMessages(datagram)) this.#handOut(message);
    return true;
  }

  #handOut(message: Message): void {
    const exchange = this.#exchanges.get(message.sequence);
    // Not ours: a notification, or the rest of an exchange that was given up.
    if (exchange === undefined || message.portId !== this.#transport.portId) return;
    if ((message.flags & NLM_F_DUMP_INTR) !== 0) exchange.interrupted = true;
    switch (message.type) {
      case NLMSG_ERROR:
        exchange.ack = decodeError(message, exchange.request);
        break;
      case NLMSG_DONE:
        exchange.ack = decodeDone(message, exchange.request);
        break;
      default:
        exchange.replies.push(message);
    }
  }
}

/** Of a dump: one step for each datagram. */
type Steps = Generator<void, void>;

async function inParts(steps: Steps, pause: () => Promise<void>): Promise<void> {
  try {
    while (steps.next().done !== true) await pause();
  } finally {
    steps.return();
  }
}

/** Decodes what a dump gives. */
class Objects<T> implements TableReader {
  readonly #dump: Dump<T>;
  all: T[] = [];

  constructor(dump: Dump<T>) {
    this.#dump = dump;
  }

  begin(): void {
    this.all = [];
  }

  take(message: Message): void {
    const object = this.#dump.decode(message);
    if (object !== null) this.all.push(object);
  }
}

function both(one: TableReader, other: TableReader): TableReader {
  return {
    begin() {
      one.begin();
      other.begin();
    },
    take(message) {
      one.take(message);
      other.take(message);
    },
  };
}

function throwIfRefused(results: readonly BatchResult[]): void {
  for (const result of results) if (result !== null) throw result;
}
