import assert from "node:assert/strict";
import { encodeUtf8, type Frame, type Id } from "../base/mod.ts";
import { Dialer, type Listener, type ListenerOptions, TlsDialError } from "./mod.ts";
import { ManagerStreams } from "./manager_streams.ts";
import type { StreamLimits } from "./stream_limits.ts";
import {
  type Card,
  clock,
  eventually,
  keepingLogger,
  listen,
  random,
  RawClient,
  TestCluster,
} from "./test_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function frame(text: string, bytes = 0): Frame {
  return { kind: 1, header: { text }, body: new Uint8Array(bytes) };
}

/** A manager's streams with its listener, and what has come. */
class End implements AsyncDisposable {
  readonly card: Card;
  readonly streams: ManagerStreams;
  readonly listener: Listener;
  readonly dialer: Dialer;
  readonly lines: string[];
  readonly received: string[] = [];
  readonly senders = new Set<Id>();
  receivedBytes = 0;

  private constructor(
    parts: Pick<End, "card" | "streams" | "listener" | "dialer" | "lines">,
  ) {
    this.card = parts.card;
    this.streams = parts.streams;
    this.listener = parts.listener;
    this.dialer = parts.dialer;
    this.lines = parts.lines;
    this.streams.listen((from, { header, body }) => {
      this.senders.add(from);
      this.received.push(String(header.text));
      this.receivedBytes += body.length;
    });
  }

  static async open(
    cluster: TestCluster,
    book: Map<Id, string>,
    options: {
      readonly card?: Card;
      readonly limits?: Partial<StreamLimits>;
      readonly tell?: boolean;
      readonly authorize?: ListenerOptions["authorize"];
    } = {},
  ): Promise<End> {
    const { card = await cluster.card("manager"), authorize } = options;
    const { logger, lines } = keepingLogger();
    const dialer = new Dialer({ identity: card.identity, trust: cluster.trust, clock });
    const own: { address: string | null } = { address: null };
    const streams = new ManagerStreams({
      selfId: card.id,
      dialer,
      clock,
      random,
      logger,
      addressOf: (id) => book.get(id) ?? null,
      ownAddress: () => own.address,
      limits: { firstRetryMs: 20, lastRetryMs: 100, ...options.limits },
    });
    const listener = await listen(cluster, card.identity, {
      logger,
      upgrade: streams.upgrade,
      ...(authorize && { authorize }),
    });
    const address = `127.0.0.1:${listener.port}`;
    if (options.tell) own.address = address;
    else book.set(card.id, address);
    return new End({ card, streams, listener, dialer, lines });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.streams.close();
    await this.listener.close();
    this.dialer.closeAll();
  }
}

Deno.test("frames come in order, from whom the certificate names", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  await using one = await End.open(cluster, book);
  await using two = await End.open(cluster, book);
  one.streams.send(two.card.id, [frame("1"), frame("2")], "log");
  one.streams.send(two.card.id, [frame("3")], "log");
  await eventually(() => two.received.length === 3);
  assert.deepEqual(two.received, ["1", "2", "3"]);
  assert.deepEqual([...two.senders], [one.card.id]);
  one.streams.send(two.card.id, [frame("large", 300_000)], "snapshot");
  await eventually(() => two.receivedBytes === 300_000);
  two.streams.send(one.card.id, [frame("back")], "log");
  await eventually(() => one.received.length === 1);
});

Deno.test(
  "a manager that nobody knows yet is answered where it says it listens",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    await using known = await End.open(cluster, book);
    await using joining = await End.open(cluster, book, { tell: true });
    known.streams.send(joining.card.id, [frame("lost")], "log");
    joining.streams.send(known.card.id, [frame("hello")], "log");
    await eventually(() => known.received.length === 1);
    await eventually(() => {
      known.streams.send(joining.card.id, [frame("welcome")], "log");
      return joining.received.includes("welcome");
    });
  },
);

Deno.test("workers, strangers, forgers and other protocols are refused", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  await using end = await End.open(cluster, book);
  const address = `127.0.0.1:${end.listener.port}`;
  const asking = { address, path: "/v1/raft", headers: { "agent-lane": "log" } };

  const worker = await cluster.card("worker");
  const dialer = new Dialer({ identity: worker.identity, trust: cluster.trust, clock });
  await assert.rejects(dialer.openUpgrade({ ...asking, protocol: "agent-raft/1" }), (error) => {
    assert.ok(error instanceof TlsDialError);
    assert.equal(error.code, "protocol");
    assert.match(error.message, /answered 403/);
    return true;
  });
  dialer.setIdentity((await cluster.card("manager")).identity);
  await assert.rejects(dialer.openUpgrade({ ...asking, protocol: "agent-raft/2" }), /answered 426/);
  dialer.closeAll();

  const request = "GET /v1/raft HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
    "Upgrade: agent-raft/1\r\nagent-lane: log\r\n\r\n";
  for (const identity of [undefined, (await cluster.selfSigned()).identity]) {
    const client = new RawClient(end.listener, identity);
    client.send(request);
    assert.doesNotMatch(await client.rest(), /101/);
  }
  assert.deepEqual(end.received, []);
});

Deno.test(
  "a manager that the state does not know is refused, and ended when it is removed",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    let isMember = true;
    await using end = await End.open(cluster, book, {
      authorize: () => isMember ? "member" : "refused",
    });
    await using other = await End.open(cluster, book);
    other.streams.send(end.card.id, [frame("member")], "log");
    await eventually(() => end.received.length === 1);
    isMember = false;
    end.listener.recheck();
    await eventually(() => other.streams.stats(end.card.id)?.log.isOpen === false);
    for (let attempt = 0; attempt < 5; attempt++) {
      other.streams.send(end.card.id, [frame("removed")], "log");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await eventually(() => other.lines.some((line) => line.includes("answered 403")));
    assert.deepEqual(end.received, ["member"]);
  },
);

Deno.test("another manager at a manager's address is not spoken to", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  await using one = await End.open(cluster, book);
  await using wrong = await End.open(cluster, book);
  const absent = await cluster.card("manager");
  book.set(absent.id, `127.0.0.1:${wrong.listener.port}`);
  one.streams.setPeers([absent.id]);
  one.streams.send(absent.id, [frame("secret")], "log");
  await eventually(() => one.lines.some((line) => line.includes(`${wrong.card.id} answers there`)));
  assert.deepEqual(wrong.received, []);
});

Deno.test(
  "what is no frame, or a frame of the streams' own, ends the stream",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    await using end = await End.open(cluster, book);
    const { identity } = await cluster.card("manager");
    const request = "GET /v1/raft HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
      "Upgrade: agent-raft/1\r\nagent-lane: log\r\n\r\n";
    for (
      const rubbish of [
        new Uint8Array([0xff, 0xff, 0xff, 0xff]),
        new Uint8Array([0, 0, 0, 8, 1, 255, 0, 0, 0, 2, 0x7b, 0x7d]),
        encodeUtf8("GET / HTTP/1.1\r\n\r\n"),
      ]
    ) {
      const client = new RawClient(end.listener, identity);
      client.send(request);
      assert.match(await client.until("\r\n\r\n"), /^HTTP\/1.1 101/);
      client.send(rubbish);
      await client.rest();
    }
    assert.equal(end.lines.filter((line) => line.includes("stream was ended")).length, 3);
  },
);

Deno.test(
  "to a manager that acknowledges nothing a bounded number of bytes is sent, the rest dropped",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    const limits = { windowBytes: 2_000_000, deadAfterMs: 600_000 };
    await using one = await End.open(cluster, book, { limits });
    const deaf = await cluster.card("manager");
    let arrivedBytes = 0;
    const server = await listen(cluster, deaf.identity, {
      upgrade: {
        protocol: "agent-raft/1",
        accept: (stream) =>
          stream.start({ onData: (bytes) => arrivedBytes += bytes.length, onClose: () => {} }),
      },
    });
    book.set(deaf.id, `127.0.0.1:${server.port}`);
    one.streams.setPeers([deaf.id]);
    await eventually(() => one.streams.stats(deaf.id)?.log.isOpen === true);
    for (let number = 0; number < 500; number++) {
      one.streams.send(deaf.id, [frame("append", 100_000)], "log");
    }
    const { log } = one.streams.stats(deaf.id) ?? {};
    assert.ok(log !== undefined && log.pendingBytes <= limits.windowBytes);
    assert.ok(log.pendingBytes > limits.windowBytes / 2);
    assert.ok(log.droppedFrames > 450);
    await eventually(() => arrivedBytes >= log.pendingBytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(arrivedBytes <= limits.windowBytes);
    await server.close();
  },
);

Deno.test(
  "acknowledgements open the window: one that reads gets everything",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    // Without pings, which are answered by an acknowledgement as well.
    const limits = { windowBytes: 300_000, pingIntervalMs: 600_000, deadAfterMs: 600_000 };
    await using one = await End.open(cluster, book, { limits });
    await using two = await End.open(cluster, book, { limits });
    let sent = 0;
    one.streams.setPeers([two.card.id]);
    await eventually(() => {
      for (; sent < 200; sent++) {
        const before = one.streams.stats(two.card.id)?.log.pendingBytes ?? Infinity;
        if (before + 50_100 > limits.windowBytes) break;
        one.streams.send(two.card.id, [frame(String(sent), 50_000)], "log");
      }
      return sent === 200;
    });
    await eventually(() => two.receivedBytes === 200 * 50_000);
    assert.equal(one.streams.stats(two.card.id)?.log.droppedFrames, 0);
  },
);

Deno.test(
  "a manager that says nothing is found out, and connected to again",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    const limits = { pingIntervalMs: 50, deadAfterMs: 300 };
    await using one = await End.open(cluster, book, { limits });
    const silent = await cluster.card("manager");
    let streams = 0;
    const server = await listen(cluster, silent.identity, {
      upgrade: {
        protocol: "agent-raft/1",
        accept: (stream) => {
          streams++;
          stream.start({ onData: () => {}, onClose: () => {} });
        },
      },
    });
    book.set(silent.id, `127.0.0.1:${server.port}`);
    one.streams.setPeers([silent.id]);
    await eventually(() => streams === 3);
    assert.ok(one.lines.some((line) => line.includes("has fallen silent")));
    await server.close();
  },
);

Deno.test("a manager that answers is never taken for dead", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  const limits = { pingIntervalMs: 100, deadAfterMs: 2000 };
  await using one = await End.open(cluster, book, { limits });
  await using two = await End.open(cluster, book, { limits });
  one.streams.setPeers([two.card.id]);
  await eventually(() => one.streams.stats(two.card.id)?.log.isOpen === true);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.deepEqual(one.lines.filter((line) => line.startsWith("warn")), []);
  assert.deepEqual(two.lines.filter((line) => line.startsWith("warn")), []);
});

Deno.test("a manager that comes back is connected to at once, by both", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  const card = await cluster.card("manager");
  await using one = await End.open(cluster, book, {
    limits: { firstRetryMs: 600_000, lastRetryMs: 600_000 },
  });
  book.set(card.id, "127.0.0.1:1");
  one.streams.setPeers([card.id]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await using back = await End.open(cluster, book, { card });
  back.streams.setPeers([one.card.id]);
  await eventually(() => one.streams.stats(card.id)?.log.isOpen === true);
});

Deno.test(
  "streams are replaced before certificates end, and nothing is lost over it",
  sanitized,
  async () => {
    const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
    const limits = { pingIntervalMs: 50 };
    await using one = await End.open(cluster, book, { limits });
    const card = await cluster.card("manager", { lifetimeMs: 4000 });
    await using two = await End.open(cluster, book, { limits, card });
    one.streams.setPeers([two.card.id]);
    await eventually(() => one.streams.stats(two.card.id)?.log.isOpen === true);
    const renewed = await cluster.card("manager", { id: card.id });
    two.listener.setIdentity(renewed.identity);
    const end = Date.now() + 5000;
    let sent = 0;
    while (Date.now() < end) {
      one.streams.send(two.card.id, [frame(String(sent++))], "log");
      assert.equal(one.streams.stats(two.card.id)?.log.isOpen, true);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await eventually(() => two.received.length === sent);
    assert.deepEqual(two.received, Array.from({ length: sent }, (_, number) => String(number)));

    // The client's own: the new one is shown as soon as it is there.
    one.dialer.setIdentity((await cluster.card("manager", { id: one.card.id })).identity);
    one.streams.renew();
    one.streams.send(two.card.id, [frame("after")], "log");
    await eventually(() => two.received.includes("after"));
  },
);

Deno.test("a stream ends when the other end's certificate does", sanitized, async () => {
  const [cluster, book] = [await TestCluster.create(), new Map<Id, string>()];
  await using one = await End.open(cluster, book);
  const card = await cluster.card("manager", { lifetimeMs: 3000 });
  await using two = await End.open(cluster, book, { card });
  two.streams.setPeers([one.card.id]);
  await eventually(() => two.streams.stats(one.card.id)?.log.isOpen === true);
  const notAfterMs = Date.now() + 3000;
  await eventually(() => two.streams.stats(one.card.id)?.log.isOpen === false);
  assert.ok(Date.now() <= notAfterMs + 1500);
});
