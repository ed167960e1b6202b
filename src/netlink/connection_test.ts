import assert from "node:assert/strict";
import { Connection } from "./connection.ts";
import {
  NLM_F_ACK,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./constants.ts";
import { DecodeError, NetlinkError } from "./errors.ts";
import { decodeMessages, encodeRequests, type Message } from "./message.ts";
import type { ComparableDump, Dump, Query, Request } from "./request.ts";
import { TableDigest } from "./table_digest.ts";
import { OverrunError, type Transport } from "./transport.ts";

const PORT_ID = 99;
const THING = 1000;

/** What the kernel does with one request: the datagrams it queues; "lost" is an ENOBUFS. */
type Answer = (asked: Message) => readonly (Uint8Array | "lost")[];

/** A kernel that answers as it is told, and handles everything before `send` returns. */
class FakeKernel implements Transport {
  readonly portId = PORT_ID;
  readonly sent: number[] = [];
  #queue: (Uint8Array | "lost")[] = [];
  readonly #answer: Answer;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  send(datagram: Uint8Array): void {
    const messages = decodeMessages(datagram);
    this.sent.push(messages.length);
    for (const message of messages) this.#queue.push(...this.#answer(message));
  }

  async sendOffThread(datagram: Uint8Array): Promise<void> {
    await Promise.resolve();
    this.send(datagram);
  }

  receive(): Uint8Array | null {
    const next = this.#queue.shift() ?? null;
    if (next === "lost") throw new OverrunError();
    return next;
  }

  close(): void {}

  get queued(): number {
    return this.#queue.length;
  }
}

function message(
  asked: Message,
  type: number,
  payload: Uint8Array,
  options: { flags?: number; portId?: number } = {},
): Uint8Array {
  const { flags = 0, portId = PORT_ID } = options;
  const bytes = encodeRequests([{ describe: () => "", type, flags, payload }], asked.sequence);
  new DataView(bytes.buffer).setUint32(12, portId, true);
  return bytes;
}

function ack(asked: Message, errno: number): Uint8Array {
  const payload = new Uint8Array(20);
  const view = new DataView(payload.buffer);
  view.setInt32(0, -errno, true);
  view.setUint32(4, 16 + asked.payload.length, true);
  return message(asked, NLMSG_ERROR, payload, { flags: NLM_F_CAPPED });
}

function done(asked: Message, flags = NLM_F_MULTI): Uint8Array {
  return message(asked, NLMSG_DONE, new Uint8Array(4), { flags });
}

function thing(asked: Message, value: number, flags = NLM_F_MULTI): Uint8Array {
  return message(asked, THING, Uint8Array.of(value, 0, 0, 0), { flags });
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function request(name: number): Request {
  return {
    describe: () => `do ${name}`,
    type: 16,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: Uint8Array.of(name, 0, 0, 0),
  };
}

function decodeThing(reply: Message): number {
  const value = reply.payload[0] ?? 0;
  if (value === 0xff) throw new DecodeError("no thing");
  return value;
}

const query: Query<number> = {
  ...request(0),
  answer: "one",
  flags: NLM_F_REQUEST,
  decode: decodeThing,
};
const dump: Dump<number> = {
  ...request(0),
  answer: "many",
  flags: NLM_F_REQUEST | NLM_F_DUMP,
  // Zeroes are things of another kind.
  decode: (reply) => decodeThing(reply) || null,
};

function codes(results: readonly (NetlinkError | null)[]): (string | null)[] {
  return results.map((result) => result && result.code);
}

Deno.test("a request is done when it returns, or throws the kernel's refusal", () => {
  const kernel = new FakeKernel((asked) => [ack(asked, asked.payload[0] === 1 ? 17 : 0)]);
  const connection = new Connection(kernel);
  connection.request(request(0));
  assert.throws(
    () => connection.request(request(1)),
    (error) =>
      error instanceof NetlinkError && error.code === "EEXIST" && error.errno === 17 &&
      error.op === "do 1",
  );
  connection.request(request(2));
});

Deno.test("an error in the middle of a batch does not stop the rest", () => {
  const kernel = new FakeKernel((asked) => [ack(asked, asked.payload[0] === 2 ? 22 : 0)]);
  const results = new Connection(kernel).batch([1, 2, 3].map(request));
  assert.deepEqual(codes(results), [null, "EINVAL", null]);
  assert.equal(results[1]?.op, "do 2");
  assert.deepEqual(kernel.sent, [3]);
});

Deno.test("acks are matched by sequence, in whatever order and datagrams they come", () => {
  const waiting: Uint8Array[] = [];
  const kernel = new FakeKernel((asked) => {
    waiting.unshift(ack(asked, asked.payload[0] ?? 0));
    return asked.payload[0] === 3 ? [join(...waiting)] : [];
  });
  const results = new Connection(kernel).batch([1, 2, 3].map(request));
  assert.deepEqual(codes(results), ["EPERM", "ENOENT", "ESRCH"]);
});

Deno.test("a batch is cut where the receive buffer would be full", () => {
  const kernel = new FakeKernel((asked) => [ack(asked, 0)]);
  const many = Array.from({ length: 450 }, () => request(0));
  assert.equal(new Connection(kernel).batch(many).length, 450);
  assert.deepEqual(kernel.sent, [200, 200, 50]);
  kernel.sent.length = 0;
  assert.equal(new Connection(kernel, { requestsPerSend: 1000 }).batch(many).length, 450);
  assert.deepEqual(kernel.sent, [450]);
  assert.deepEqual(new Connection(kernel).batch([]), []);
});

Deno.test("a batch is cut where the send buffer would be full", () => {
  const kernel = new FakeKernel((asked) => [ack(asked, 0)]);
  const large = { ...request(0), payload: new Uint8Array(60_000) };
  assert.deepEqual(codes(new Connection(kernel).batch([large, large, large])), [null, null, null]);
  assert.deepEqual(kernel.sent, [2, 1]);
});

Deno.test("lost acks are said to be lost, and the others still count", () => {
  const kernel = new FakeKernel((asked) => {
    if (asked.payload[0] === 2) return ["lost"];
    return asked.payload[0] === 3 ? [] : [ack(asked, 0)];
  });
  const connection = new Connection(kernel);
  const results = connection.batch([1, 2, 3, 4].map(request));
  assert.deepEqual(codes(results), [null, "ENOBUFS", "ENOBUFS", null]);
  assert.match(results[1]?.message ?? "", /may have been done/);
  connection.request(request(1));
});

Deno.test("what is for another socket, or for a request given up, is left aside", () => {
  const kernel = new FakeKernel((asked) => [
    message(asked, NLMSG_ERROR, new Uint8Array(20), { portId: PORT_ID + 1 }),
    ack({ ...asked, sequence: asked.sequence + 7 }, 1),
    ack({ ...asked, sequence: 0 }, 1),
    ack(asked, 16),
  ]);
  assert.throws(() => new Connection(kernel).request(request(0)), { code: "EBUSY" });
});

Deno.test("off the thread, requests may overlap with others", async () => {
  const kernel = new FakeKernel((asked) => [ack(asked, asked.payload[0] ?? 0)]);
  const connection = new Connection(kernel);
  const slow = connection.batchOffThread([request(1), request(0)]);
  const refused = assert.rejects(connection.requestOffThread(request(2)), { code: "ENOENT" });
  connection.request(request(0));
  assert.deepEqual(codes(await slow), ["EPERM", null]);
  await refused;
});

Deno.test("an ack read by another call reaches the one that waits for it", async () => {
  // Both datagrams are sent before either reads: whoever reads first hands out the other's ack.
  const kernel = new FakeKernel((asked) => [ack(asked, asked.payload[0] ?? 0)]);
  const connection = new Connection({
    portId: PORT_ID,
    send: (datagram) => kernel.send(datagram),
    async sendOffThread(datagram) {
      kernel.send(datagram);
      await Promise.resolve();
    },
    receive: () => kernel.receive(),
    close: () => {},
  });
  const slow = assert.rejects(connection.requestOffThread(request(1)), { code: "EPERM" });
  connection.request(request(0));
  await slow;
});

Deno.test("a query gives the one object, or the refusal", () => {
  assert.equal(new Connection(new FakeKernel((asked) => [thing(asked, 7, 0)])).get(query), 7);
  const refusing = new FakeKernel((asked) => [ack(asked, 19)]);
  assert.throws(() => new Connection(refusing).get(query), { code: "ENODEV" });
  const silent = new FakeKernel(() => []);
  assert.throws(() => new Connection(silent).get(query), { code: "ENOBUFS" });
  const garbled = new FakeKernel((asked) => [thing(asked, 0xff, 0)]);
  assert.throws(() => new Connection(garbled).get(query), DecodeError);
});

Deno.test("of many queries each has its answer, whatever became of the others", () => {
  const kernel = new FakeKernel((asked) => [
    asked.sequence === 2 ? ack(asked, 19) : thing(asked, asked.sequence, 0),
  ]);
  const [first, second, third] = new Connection(kernel).getEach([query, query, query]);
  assert.deepEqual([first, third], [1, 3]);
  assert(second instanceof NetlinkError && second.code === "ENODEV");
  assert.deepEqual(new Connection(new FakeKernel(() => [])).getEach([]), []);
  const [lost] = new Connection(new FakeKernel(() => [])).getEach([query]);
  assert(lost instanceof NetlinkError && lost.code === "ENOBUFS");
});

Deno.test("a dump is put together from all its datagrams", () => {
  const kernel = new FakeKernel((asked) => [
    join(thing(asked, 1), thing(asked, 0), thing(asked, 2)),
    join(thing(asked, 3), done(asked)),
  ]);
  assert.deepEqual(new Connection(kernel).dump(dump), [1, 2, 3]);
});

Deno.test("a part of a dump may be 32 KB", () => {
  const kernel = new FakeKernel((asked) => [
    join(...Array.from({ length: 1600 }, () => thing(asked, 5))),
    done(asked),
  ]);
  assert.equal(new Connection(kernel).dump(dump).length, 1600);
});

Deno.test("a dump that was interrupted is read again, a bounded number of times", () => {
  let attempts = 0;
  const settling = new FakeKernel((asked) => {
    attempts++;
    const flags = attempts < 3 ? NLM_F_MULTI | NLM_F_DUMP_INTR : NLM_F_MULTI;
    return [thing(asked, attempts, flags), done(asked)];
  });
  assert.deepEqual(new Connection(settling).dump(dump), [3]);

  // The flag may come with the end only.
  const restless = new FakeKernel((asked) => [thing(asked, 1), done(asked, NLM_F_DUMP_INTR)]);
  assert.throws(() => new Connection(restless).dump(dump), { code: "EINTR" });
  assert.equal(restless.sent.length, 10);
});

Deno.test("a dump survives lost messages", () => {
  let attempts = 0;
  const kernel = new FakeKernel((asked) =>
    ++attempts === 1 ? [thing(asked, 1), "lost", done(asked)] : [thing(asked, 2), done(asked)]
  );
  assert.deepEqual(new Connection(kernel).dump(dump), [2]);

  let ends = 0;
  const endless = new FakeKernel((asked) =>
    ++ends === 1 ? [thing(asked, 1), "lost"] : [thing(asked, 2), done(asked)]
  );
  assert.deepEqual(new Connection(endless).dump(dump), [2]);
});

Deno.test("a dump that the kernel refuses, at its start or its end, throws", () => {
  const start = new FakeKernel((asked) => [ack(asked, 95)]);
  assert.throws(() => new Connection(start).dump(dump), { code: "EOPNOTSUPP" });
  const end = new FakeKernel((asked) => [
    thing(asked, 1),
    message(asked, NLMSG_DONE, Uint8Array.of(0xf4, 0xff, 0xff, 0xff)),
  ]);
  assert.throws(() => new Connection(end).dump(dump), { code: "ENOMEM" });
  const cut = new FakeKernel((asked) => [thing(asked, 1)]);
  assert.throws(() => new Connection(cut).dump(dump), { code: "ENOBUFS" });
});

Deno.test("an object that cannot be understood fails the dump, but the dump is read to its end", () => {
  const kernel = new FakeKernel((asked) => [thing(asked, 0xff), thing(asked, 1), done(asked)]);
  assert.throws(() => new Connection(kernel).dump(dump), DecodeError);
  assert.equal(kernel.queued, 0);
});

Deno.test("in parts, the dump pauses between datagrams, and other requests may come between", async () => {
  const kernel = new FakeKernel((asked) =>
    asked.type === 16 && (asked.flags & NLM_F_DUMP) !== 0
      ? [thing(asked, 1), thing(asked, 2), thing(asked, 3), done(asked)]
      : [ack(asked, 0)]
  );
  const connection = new Connection(kernel);
  let pauses = 0;
  const things = await connection.dumpInParts(dump, () => {
    pauses++;
    connection.request(request(0));
    return Promise.resolve();
  });
  assert.deepEqual(things, [1, 2, 3]);
  assert.ok(pauses >= 1);
});

Deno.test("a dump in parts that is given up is read to its end", async () => {
  const kernel = new FakeKernel((asked) => [thing(asked, 1), thing(asked, 2), done(asked)]);
  const given = new Connection(kernel).dumpInParts(dump, () => Promise.reject(new Error("stop")));
  await assert.rejects(given, /stop/);
  assert.equal(kernel.queued, 0);
});

/** The second byte of a thing counts. */
const comparable: ComparableDump<number> = {
  ...dump,
  blank: (payload) => void payload.fill(0, 1, 2),
};
const noPause = () => Promise.resolve();

Deno.test("a table is as noted when all of it is the same but for what counts", async () => {
  let table: readonly (readonly [number, number])[] = [[1, 0], [2, 0]];
  const kernel = new FakeKernel((asked) => [
    ...table.map((thing) => message(asked, THING, Uint8Array.of(...thing), { flags: NLM_F_MULTI })),
    done(asked),
  ]);
  const connection = new Connection(kernel);
  const digest = new TableDigest();
  const isAsNoted = () => connection.isAsNoted(comparable, digest, noPause);
  assert.equal(await isAsNoted(), false);
  assert.deepEqual(await connection.dumpNoting(comparable, digest, noPause), [1, 2]);
  assert.equal(await isAsNoted(), true);
  table = [[1, 7], [2, 9]];
  assert.equal(await isAsNoted(), true);
  const others = [[[1, 0], [3, 0]], [[1, 0]], [[2, 0], [1, 0]], [[1, 0], [2, 0], [2, 0]]] as const;
  for (const other of others) {
    table = other;
    assert.equal(await isAsNoted(), false);
  }
  table = [[1, 0], [2, 0]];
  digest.forget();
  assert.equal(await isAsNoted(), false);
});

Deno.test("a table that changed on the way is compared by its last reading alone", async () => {
  let attempts = 0;
  const kernel = new FakeKernel((asked) =>
    ++attempts === 2
      ? [thing(asked, 9, NLM_F_MULTI | NLM_F_DUMP_INTR), done(asked)]
      : [thing(asked, 1), done(asked)]
  );
  const connection = new Connection(kernel);
  const digest = new TableDigest();
  await connection.dumpNoting(comparable, digest, noPause);
  assert.equal(await connection.isAsNoted(comparable, digest, noPause), true);
  assert.equal(attempts, 3);
});

Deno.test("a table whose reading fails is noted no more", async () => {
  let fails = false;
  const kernel = new FakeKernel((asked) => [thing(asked, fails ? 0xff : 1), done(asked)]);
  const connection = new Connection(kernel);
  const digest = new TableDigest();
  await connection.dumpNoting(comparable, digest, noPause);
  fails = true;
  await assert.rejects(connection.dumpNoting(comparable, digest, noPause), DecodeError);
  assert.equal(digest.isKnown, false);
});

Deno.test("bytes that are no message are a DecodeError, and do not harm the next request", () => {
  let first = true;
  const kernel = new FakeKernel((asked) => {
    const garbled = first;
    first = false;
    return garbled ? [Uint8Array.of(1, 2, 3)] : [ack(asked, 0)];
  });
  const connection = new Connection(kernel);
  assert.throws(() => connection.request(request(0)), DecodeError);
  connection.request(request(0));
});
