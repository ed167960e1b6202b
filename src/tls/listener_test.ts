import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { Dialer, type PeerInfo, type Standing } from "./mod.ts";
import {
  type Card,
  clock,
  eventually,
  GET,
  keepingLogger,
  listen,
  RawClient,
  TestCluster,
} from "./test_cluster.ts";

const cluster = await TestCluster.create();
const manager = await cluster.card("manager");
const worker = await cluster.card("worker");

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true });
}

function dial(card: Card | null): Dialer {
  return new Dialer({ identity: card?.identity ?? null, trust: cluster.trust, clock });
}

function post(body: string, headers = ""): string {
  return `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`;
}

test("a request comes from who its connection is, whatever its headers say", async () => {
  const seen: [PeerInfo, Standing, string][] = [];
  const listener = await listen(cluster, manager.identity, {
    handle: async (request, peer, standing) => {
      seen.push([peer, standing, await request.text()]);
      return new Response("ok", { status: 201, headers: { "x-more": "1" } });
    },
  });
  const dialer = dial(worker);
  const { address } = listener;
  const headers = { "x-forwarded-for": "10.0.0.1", "x-principal": `manager:${manager.id}` };
  const body = new TextEncoder().encode("hi");
  const answer = await dialer.request({ address, method: "POST", path: "/a?b=c", headers, body });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("x-more"), "1");
  const stranger = dial(null);
  await stranger.request({ address, method: "GET", path: "/" });
  const [[first, standing, text] = [], [second, strangerStanding] = []] = seen;
  assert.deepEqual([first?.identity?.id, standing, text], [worker.id, "member", "hi"]);
  assert.equal(first?.presentedSpkiHash, first?.identity?.spkiHash);
  assert.match(first?.address ?? "", /^127\.0\.0\.1:\d+$/);
  assert.deepEqual([second?.identity, second?.presentedSpkiHash, strangerStanding], [
    null,
    null,
    "stranger",
  ]);
  dialer.closeAll();
  stranger.closeAll();
  await listener.close();
});

test("a stranger has one request, and no more by pipelining", async () => {
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    handle: () => new Response(`answer ${++handled}`),
  });
  const client = new RawClient(listener);
  client.send(GET + GET);
  const received = await client.rest();
  assert.equal(handled, 1);
  assert.ok(!received.includes("answer 2"), received);
  const single = new RawClient(listener);
  single.send(GET);
  assert.match(await single.rest(), /connection: close[^]*answer 2/i);
  await listener.close();
});

test("a stranger's time is limited, from the first byte to the last", async () => {
  const listener = await listen(cluster, manager.identity, {
    limits: { strangerLifetimeMs: 100 },
    handle: () => new Response(new ReadableStream()),
  });
  const idle = new RawClient(listener);
  const busy = new RawClient(listener);
  busy.send(GET);
  await Promise.all([idle.rest(), busy.rest()]);
  await listener.close();
});

test("strangers cannot keep a member out", async () => {
  const limits = { strangers: 4, strangersPerAddress: 2, handshakes: 6, handshakesPerAddress: 3 };
  const listener = await listen(cluster, manager.identity, {
    limits: { ...limits, strangerLifetimeMs: 60_000, handshakeTimeoutMs: 60_000 },
  });
  const held: RawClient[] = [];
  const ips = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
  // Each address gets two places, all together four.
  for (const ip of ips) {
    for (let count = 0; count < 4; count++) {
      const client = new RawClient(listener, undefined, ip);
      await client.connected();
      held.push(client);
    }
  }
  const live = () =>
    ips.map((_ip, index) =>
      held.slice(4 * index, 4 * index + 4).filter((client) => !client.socket.destroyed).length
    );
  await eventually(() => String(live()) === "2,2,0");
  // Every place for handshakes is taken by connections that say nothing.
  const silent: Socket[] = [];
  for (const hostname of ips) {
    for (let count = 0; count < 4; count++) {
      silent.push(await connectSilently(listener.port, hostname));
    }
  }
  await eventually(() => silent.filter((socket) => !socket.destroyed).length === 6);
  for (const ip of ["127.0.0.1", "127.0.0.2"]) {
    const member = new RawClient(listener, worker.identity, ip);
    member.send(GET);
    assert.match(await member.until("hello"), /^HTTP\/1\.1 200 /);
    await member.close();
  }
  for (const client of held) await client.close();
  for (const socket of silent) socket.destroy();
  await listener.close();
});

async function connectSilently(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  socket.on("error", () => {}).resume();
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return socket;
}

test("a body over the limit is answered 413 before any handler runs", async () => {
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    limits: { memberBodyBytes: 1000, strangerBodyBytes: 10 },
    handle: async (request) => {
      handled++;
      return new Response(String((await request.arrayBuffer()).byteLength));
    },
  });
  const member = new RawClient(listener, worker.identity);
  member.send(post("x".repeat(1000)));
  assert.match(await member.until("\r\n\r\n1000"), / 200 /);
  member.send(post("x".repeat(1001)));
  assert.match(await member.until("body-too-large"), / 413 [^]*application\/problem\+json/);
  await member.close();
  // Announced is enough: nothing of such a body has to come.
  const announced = new RawClient(listener, worker.identity);
  announced.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
  assert.match(await announced.until("body-too-large"), / 413 /);
  await announced.close();
  const chunked = new RawClient(listener, worker.identity);
  const head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  chunked.send(head + `3e8\r\n${"x".repeat(1000)}\r\n1\r\nx\r\n`);
  assert.match(await chunked.until("body-too-large"), / 413 /);
  await chunked.close();
  const stranger = new RawClient(listener);
  stranger.send(post("x".repeat(11)));
  assert.match(await stranger.rest(), / 413 [^]*body-too-large/);
  assert.equal(handled, 1);
  await listener.close();
});

test("what could be read in two ways is refused", async () => {
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    handle: () => new Response(`handled ${++handled}`),
  });
  const chunked = "Transfer-Encoding: chunked";
  const requests = [
    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n${chunked}\r\n\r\n0\r\n\r\n`,
    "GET /x HTTP/1.1\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "GET /x HTTP/1.1\nHost: x\n\n",
    "GET /x HTTP/1.1\r\nHost: x y\r\n\r\n",
    `GET /x HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(20_000)}\r\n\r\n`,
  ];
  for (const request of requests) {
    const client = new RawClient(listener, worker.identity);
    client.send(request);
    // Answered, or just ended where the bytes are not HTTP.
    assert.match(await client.until("HTTP/1.1"), /^(HTTP\/1\.1 4\d\d |$)/, request.slice(0, 80));
    await client.close();
  }
  assert.equal(handled, 0);
  await listener.close();
});

test("headers and bodies that do not come are not waited for", async () => {
  const listener = await listen(cluster, manager.identity, {
    limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 },
  });
  const headers = new RawClient(listener, worker.identity);
  headers.send("GET /x HTTP/1.1\r\nHost: x\r\nA: ");
  const body = new RawClient(listener, worker.identity);
  body.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx");
  assert.match(await headers.rest(), /^(HTTP\/1\.1 408 |$)/);
  assert.match(await body.rest(), /^(HTTP\/1\.1 408 |$)/);
  await listener.close();
});

test("a client that goes away aborts its request and its response's body", async () => {
  const events: string[] = [];
  const listener = await listen(cluster, manager.identity, {
    handle: (request) => {
      request.signal.addEventListener("abort", () => events.push("signal"));
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode("first")),
          cancel: () => void events.push("cancel"),
        }),
      );
    },
  });
  const client = new RawClient(listener, worker.identity);
  client.send(GET);
  await client.until("first");
  await client.close();
  await eventually(() => events.length === 2);
  assert.deepEqual(events.sort(), ["cancel", "signal"]);
  await listener.close();
});

test("an answer that comes after the client has gone harms nobody", async () => {
  const { logger, lines } = keepingLogger();
  const { promise, resolve } = Promise.withResolvers<Response>();
  let handled = 0;
  let gone = 0;
  const listener = await listen(cluster, manager.identity, {
    logger,
    handle: (request) => {
      request.signal.addEventListener("abort", () => gone++);
      return ++handled === 1 ? promise : new Response("hello");
    },
  });
  const client = new RawClient(listener, worker.identity);
  client.send(GET);
  await eventually(() => handled === 1);
  await client.close();
  await eventually(() => gone === 1);
  resolve(new Response("late"));
  const next = new RawClient(listener, worker.identity);
  next.send(GET);
  await next.until("hello");
  await next.close();
  assert.deepEqual(lines, []);
  await listener.close();
});

test("a handler that fails is answered 500, and a body that fails ends the connection", async () => {
  const { logger, lines } = keepingLogger();
  const listener = await listen(cluster, manager.identity, {
    logger,
    handle: (request) => {
      if (request.url.endsWith("/x")) throw new Error("broken inside");
      let pulls = 0;
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (pulls++ > 2) throw new Error("source broken");
            controller.enqueue(new TextEncoder().encode(`part${pulls}`));
          },
        }),
      );
    },
  });
  const client = new RawClient(listener, worker.identity);
  client.send(GET);
  const received = await client.until('"internal"');
  assert.match(received, / 500 /);
  assert.ok(!received.includes("broken inside"));
  client.send(GET.replace("/x", "/stream"));
  const whole = await client.rest();
  assert.ok(!whole.includes("\r\n0\r\n\r\n"), "the body must not look complete");
  assert.match(lines.join("\n"), /error .*broken inside[^]*warn .*source broken/);
  await listener.close();
});

test("removal ends a node's connections at once, and tells it when it comes back", async () => {
  const removed = new Set<string>();
  const other = await cluster.card("worker");
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    authorize: ({ identity }) => {
      return identity === null ? "stranger" : removed.has(identity.id) ? "refused" : "member";
    },
    handle: () => new Response(`hello ${++handled}`),
  });
  const [first, second] = [worker, other].map((card) => new RawClient(listener, card.identity));
  for (const client of [first, second]) {
    client?.send(GET);
    await client?.until("hello");
  }
  removed.add(worker.id);
  listener.closePeer(worker.id);
  await first?.rest();
  second?.send(GET);
  await second?.until("hello 3");
  const back = new RawClient(listener, worker.identity);
  back.send(GET);
  assert.match(await back.rest(), / 403 [^]*"not-permitted"/);
  assert.equal(handled, 3);
  removed.add(other.id);
  listener.recheck();
  await second?.rest();
  await listener.close();
});

test("a standing lost between two requests of a connection ends it before the second", async () => {
  let standing: Standing = "member";
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    authorize: () => standing,
    handle: () => new Response(`hello ${++handled}`),
  });
  const client = new RawClient(listener, worker.identity);
  client.send(GET);
  await client.until("hello");
  standing = "refused";
  client.send(GET);
  await client.rest();
  assert.equal(handled, 1);
  await listener.close();
});

test("a member has a bounded number of connections and of requests on each", async () => {
  const listener = await listen(cluster, manager.identity, {
    limits: { connectionsPerMember: 2, requestsPerConnection: 3 },
    handle: (request) =>
      new Promise((resolve) => {
        request.signal.addEventListener("abort", () => resolve(new Response()));
      }),
  });
  const clients = [1, 2, 3].map(() => new RawClient(listener, worker.identity));
  await eventually(() => clients.filter((client) => client.socket.destroyed).length === 1);
  const [client] = clients.filter((client) => !client.socket.destroyed);
  client?.send(GET + GET + GET + GET);
  await client?.rest();
  for (const one of clients) await one.close();
  await listener.close();
});

test("a connection ends when its peer's certificate does", async () => {
  const brief = await cluster.card("worker", { lifetimeMs: 3000 });
  const listener = await listen(cluster, manager.identity);
  const client = new RawClient(listener, brief.identity);
  client.send(GET);
  await client.until("hello");
  const started = performance.now();
  await client.rest();
  // Not the end of an idle connection, which comes after a minute.
  assert.ok(performance.now() - started < 30_000);
  const late = new RawClient(listener, brief.identity);
  late.send(GET);
  assert.equal(await late.rest(), "");
  await listener.close();
});

test("an idle connection ends, also one that never asked anything", async () => {
  const listener = await listen(cluster, manager.identity, {
    limits: { headersTimeoutMs: 200, idleTimeoutMs: 200 },
  });
  const [silent, idle] = [1, 2].map(() => new RawClient(listener, worker.identity));
  idle?.send(GET);
  assert.match((await idle?.rest()) ?? "", /hello/);
  await silent?.rest();
  await listener.close();
});

test("a new certificate is shown without a request or a connection lost", async () => {
  const listener = await listen(cluster, manager.identity);
  const { address } = listener;
  const pinned = new RawClient(listener, worker.identity);
  pinned.send(GET);
  await pinned.until("hello");
  const dialer = dial(worker);
  const peers = new Set<string>();
  let last = manager;
  for (let round = 0; round < 10; round++) {
    last = await cluster.card("manager", { id: manager.id });
    const requests = Array.from(
      { length: 20 },
      (_, index) =>
        dialer.request({ address, method: "GET", path: "/", freshConnection: index % 4 === 0 }),
    );
    listener.setIdentity(last.identity);
    for (const { status, peer } of await Promise.all(requests)) {
      assert.equal(status, 200);
      peers.add(peer.fingerprint);
    }
  }
  assert.ok(peers.size > 2);
  pinned.send(GET);
  await pinned.until("hello");
  // The settings of the door outlive the certificate.
  const after = new RawClient(listener, (await cluster.selfSigned()).identity);
  after.send(GET);
  assert.equal(await after.rest(), "");
  assert.ok(!pinned.socket.destroyed);
  await pinned.close();
  dialer.closeAll();
  await listener.close();
});

test("closing lets a request finish, and ends what takes too long", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  let handled = 0;
  const listener = await listen(cluster, manager.identity, {
    handle: () => ++handled === 1 ? promise : new Promise(() => {}),
  });
  const [busy, stuck, idle] = [1, 2, 3].map(() => new RawClient(listener, worker.identity));
  busy?.send(GET);
  await eventually(() => handled === 1);
  stuck?.send(GET);
  await idle?.connected();
  await eventually(() => handled === 2);
  const closed = listener.close({ graceMs: 300 });
  await idle?.rest();
  resolve(new Response("finished"));
  assert.match((await busy?.rest()) ?? "", /finished/);
  assert.equal(await stuck?.rest(), "");
  await closed;
});
