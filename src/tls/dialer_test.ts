import assert from "node:assert/strict";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { Dialer, fetchRootUnverified, TlsDialError, type TlsDialErrorCode } from "./mod.ts";
import {
  type Card,
  clock,
  DAY_MS,
  eventually,
  handClock,
  listen,
  TestCluster,
} from "./test_cluster.ts";

const cluster = await TestCluster.create();
const manager = await cluster.card("manager");
const worker = await cluster.card("worker");
const GET_X = { method: "GET", path: "/x" } as const;

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true });
}

function dial(card: Card | null = worker, trust = cluster.trust): Dialer {
  return new Dialer({ identity: card?.identity ?? null, trust, clock });
}

async function failsWith(code: TlsDialErrorCode, promise: Promise<unknown>): Promise<TlsDialError> {
  const error = await promise.then(() => assert.fail(`expected ${code}`), (error) => error);
  assert.ok(error instanceof TlsDialError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

/** A TLS server that keeps what it receives, as nobody of ours would, and answers always the same. */
async function recordingServer(card: Card, statusLine = "200 OK") {
  const received: Uint8Array[] = [];
  const sockets = new Set<TLSSocket>();
  const resumed: boolean[] = [];
  const server = createTlsServer({
    key: card.identity.privateKeyPem,
    cert: card.identity.certificatePem,
    requestCert: true,
    rejectUnauthorized: false,
  }, (socket) => {
    sockets.add(socket);
    resumed.push(socket.isSessionReused());
    socket.on("data", (part: Uint8Array) => {
      received.push(part);
      socket.end(`HTTP/1.1 ${statusLine}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
    socket.on("error", () => {});
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const port = await listening(server);
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { address: `127.0.0.1:${port}`, received, resumed, close };
}

async function listening(server: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return (server.address() as AddressInfo).port;
}

const impostor = await cluster.impostor();
const FORGED_SERVERS: [string, TlsDialErrorCode, Card][] = [
  ["self-signed", "peer-rejected", await cluster.selfSigned()],
  ["of a root with the same name", "peer-rejected", await impostor.card("manager")],
  ["of another cluster", "peer-rejected", await (await TestCluster.create()).card("manager")],
  ["X.509 version 1", "peer-rejected", await cluster.versionOne()],
  ["with a malformed usage", "peer-rejected", await cluster.malformedUsage()],
  ["a worker's", "not-a-manager", await cluster.card("worker")],
  ["an admin's", "not-a-manager", await cluster.card("admin")],
  [
    "expired",
    "clock",
    await cluster.card("manager", { nowMs: Date.now() - 2 * DAY_MS, lifetimeMs: DAY_MS }),
  ],
  ["not yet valid", "clock", await cluster.card("manager", { nowMs: Date.now() + DAY_MS })],
];

for (const [what, code, card] of FORGED_SERVERS) {
  test(`a server whose certificate is ${what} gets no byte of a request`, async () => {
    const server = await recordingServer(card);
    for (const dialer of [dial(), dial(null)]) {
      const { address } = server;
      const error = await failsWith(code, dialer.request({ address, ...GET_X }));
      assert.match(error.message, /^Cannot (trust|talk to) 127\.0\.0\.1:\d+: .+/);
      await failsWith(code, dialer.openStream({ address, ...GET_X }));
      dialer.closeAll();
    }
    assert.equal(server.received.length, 0);
    await server.close();
  });
}

test("a manager's server does get the request, and sessions are never resumed", async () => {
  const server = await recordingServer(manager);
  const dialer = dial();
  for (let count = 0; count < 3; count++) {
    const { address } = server;
    const { status } = await dialer.request({ address, ...GET_X, freshConnection: count > 1 });
    assert.equal(status, 200);
  }
  assert.equal(server.received.length, 3);
  assert.deepEqual(server.resumed, [false, false, false]);
  dialer.closeAll();
  await server.close();
});

test("each way not to get an answer has its code", async () => {
  const dialer = dial();
  const silent = createTcpServer((socket) => void socket.on("error", () => {}).resume());
  const closing = createTcpServer((socket) => socket.destroy());
  const plain = createTcpServer((socket) =>
    void socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n")
  );
  const [silentPort, closingPort, plainPort] = [
    await listening(silent),
    await listening(closing),
    await listening(plain),
  ];
  const to = (port: number) => ({ address: `127.0.0.1:${port}`, ...GET_X, timeoutMs: 300 });
  await failsWith("timeout", dialer.request(to(silentPort)));
  await failsWith("timeout", dialer.openStream(to(silentPort)));
  await failsWith("closed", dialer.request(to(closingPort)));
  await failsWith("protocol", dialer.request(to(plainPort)));
  const gibberish = createTlsServer({
    key: manager.identity.privateKeyPem,
    cert: manager.identity.certificatePem,
  }, (socket) => void socket.resume().on("error", () => {}).end("not HTTP\r\n\r\n"));
  await failsWith("protocol", dialer.request(to(await listening(gibberish))));
  dialer.closeAll();
  for (const server of [silent, closing, plain, gibberish]) {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  await failsWith("connection-refused", dialer.request(to(closingPort)));
  // The kernel makes no TCP connection to a broadcast address, so nothing leaves this host.
  await failsWith("unreachable", dialer.request({ ...to(7443), address: "255.255.255.255:7443" }));
  dialer.closeAll();
});

test("a server that has stopped waiting for the request has given no answer", async () => {
  const server = await recordingServer(manager, "408 Request Timeout");
  const { address } = server;
  const dialer = dial();
  for (
    const asked of [
      dialer.request({ address, ...GET_X }),
      dialer.openStream({ address, ...GET_X }),
      dialer.openUpgrade({ address, path: "/x", protocol: "x" }),
    ]
  ) {
    const { message } = await failsWith("closed", asked);
    assert.match(message, /stopped waiting for the request/);
  }
  dialer.closeAll();
  await server.close();
});

test("a request that is given up or takes too long ends, with its reason", async () => {
  const listener = await listen(cluster, manager.identity, {
    handle: () => new Promise(() => {}),
  });
  const dialer = dial();
  const { address } = listener;
  const controller = new AbortController();
  const given = dialer.request({ address, ...GET_X, signal: controller.signal });
  controller.abort(new Error("no longer wanted"));
  await assert.rejects(given, /no longer wanted/);
  await assert.rejects(
    dialer.request({ address, ...GET_X, signal: controller.signal }),
    /no longer wanted/,
  );
  await failsWith("timeout", dialer.request({ address, ...GET_X, timeoutMs: 50 }));
  dialer.closeAll();
  await listener.close();
});

test("an answer is read up to the limit", async () => {
  const listener = await listen(cluster, manager.identity, {
    handle: (request) => new Response("x".repeat(Number(new URL(request.url).search.slice(1)))),
  });
  const dialer = dial();
  const to = { address: listener.address, method: "GET", maxResponseBytes: 100 };
  assert.equal((await dialer.request({ ...to, path: "/?100" })).body.length, 100);
  await failsWith("response-too-large", dialer.request({ ...to, path: "/?101" }));
  await failsWith("response-too-large", dialer.request({ ...to, path: "/?100000" }));
  dialer.closeAll();
  await listener.close();
});

test("a refused certificate of ours is an error that says the server closed", async () => {
  const stray = await impostor.card("worker");
  const listener = await listen(cluster, manager.identity);
  const dialer = dial(stray);
  await failsWith("closed", dialer.request({ address: listener.address, ...GET_X }));
  dialer.closeAll();
  await listener.close();
});

test("connections are used again, and one at a time is one's own when asked", async () => {
  const ends = new Set<string>();
  const listener = await listen(cluster, manager.identity, {
    handle: (_request, peer) => new Response(String(ends.add(peer.address).size)),
  });
  const dialer = dial();
  const ask = (freshConnection: boolean) =>
    dialer.request({ address: listener.address, ...GET_X, freshConnection });
  for (let count = 0; count < 5; count++) await ask(false);
  assert.equal(ends.size, 1);
  await ask(true);
  await ask(true);
  assert.equal(ends.size, 3);
  dialer.closeAll();
  await listener.close();
});

test("a connection that nobody uses ends", async () => {
  const hand = handClock();
  let connections = 0;
  const listener = await listen(cluster, manager.identity, {
    handle: (_request, peer) => new Response(peer.address + connections++),
  });
  const dialer = new Dialer({
    identity: worker.identity,
    trust: cluster.trust,
    clock: hand.clock,
  });
  const ask = async () => (await dialer.request({ address: listener.address, ...GET_X })).text();
  const [first, second] = [await ask(), await ask()];
  assert.equal(first.slice(0, -1), second.slice(0, -1));
  hand.pass(30_000);
  assert.notEqual((await ask()).slice(0, -1), second.slice(0, -1));
  dialer.closeAll();
  await listener.close();
});

test("a new identity shows on the next connection; requests under way finish", async () => {
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<Response>();
  const listener = await listen(cluster, manager.identity, {
    // So a connection that were kept too long would keep the next one out.
    limits: { connectionsPerMember: 2 },
    handle: (request, peer) => {
      seen.push(peer.identity?.fingerprint ?? "");
      return request.url.endsWith("/wait") ? promise : new Response();
    },
  });
  const dialer = dial();
  const { address } = listener;
  const waiting = dialer.request({ address, method: "GET", path: "/wait" });
  await eventually(() => seen.length === 1);
  await dialer.request({ address, ...GET_X });
  const renewed = await cluster.card("worker", { id: worker.id });
  dialer.setIdentity(renewed.identity);
  await dialer.request({ address, ...GET_X });
  resolve(new Response("finished"));
  assert.equal((await waiting).text(), "finished");
  await dialer.request({ address, ...GET_X });
  await dialer.request({ address, ...GET_X, freshConnection: true });
  assert.deepEqual([seen[0] === seen[1], seen[1] === seen[2], seen[2] === seen[3]], [
    true,
    false,
    true,
  ]);
  dialer.closeAll();
  await listener.close();
});

test("connections to servers that are trusted no more end", async () => {
  const listener = await listen(cluster, manager.identity, {
    handle: () => new Response(new ReadableStream()),
  });
  const dialer = dial();
  const { address } = listener;
  const stream = await dialer.openStream({ address, ...GET_X });
  const rotated = { ...cluster.trust, roots: [...cluster.trust.roots, impostor.root.certificate] };
  dialer.setTrust(rotated);
  await dialer.openStream({ address, ...GET_X }).then((other) => other.close());
  dialer.setTrust(impostor.trust);
  await failsWith("closed", readAll(stream.chunks));
  await failsWith("peer-rejected", dialer.request({ address, ...GET_X }));
  dialer.closeAll();
  await listener.close();
});

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += new TextDecoder().decode(chunk);
  return text;
}

test("a stream gives what arrives as it arrives, and ends from either side", async () => {
  const sources: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>[] = [];
  let gone = 0;
  const listener = await listen(cluster, manager.identity, {
    handle: () =>
      new Response(
        new ReadableStream({
          start: (controller) => void sources.push(controller),
          cancel: () => void gone++,
        }),
        { status: 202 },
      ),
  });
  const dialer = dial();
  const { address } = listener;
  const stream = await dialer.openStream({ address, ...GET_X, timeoutMs: 1000 });
  assert.equal(stream.status, 202);
  assert.equal(stream.peer.id, manager.id);
  const chunks = stream.chunks[Symbol.asyncIterator]();
  for (const text of ["one", "two"]) {
    sources[0]?.enqueue(new TextEncoder().encode(text));
    const { value } = await chunks.next();
    assert.equal(new TextDecoder().decode(value), text);
  }
  sources[0]?.close();
  assert.equal((await chunks.next()).done, true);
  const second = await dialer.openStream({ address, ...GET_X });
  second.close();
  assert.equal(await readAll(second.chunks), "");
  await eventually(() => gone === 1);
  const third = await dialer.openStream({ address, ...GET_X });
  listener.closePeer(worker.id);
  await failsWith("closed", readAll(third.chunks));
  const controller = new AbortController();
  const fourth = await dialer.openStream({ address, ...GET_X, signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(readAll(fourth.chunks), /enough/);
  const fifth = await dialer.openStream({ address, ...GET_X, maxResponseBytes: 1000 });
  sources[4]?.enqueue(new Uint8Array(1001));
  await failsWith("response-too-large", readAll(fifth.chunks).then(() => {}));
  dialer.closeAll();
  await listener.close();
});

test("a connection ends when the server's certificate does", async () => {
  const brief = await cluster.card("manager", { lifetimeMs: 3000 });
  const listener = await listen(cluster, brief.identity, {
    handle: () => new Response(new ReadableStream()),
  });
  const dialer = dial();
  const stream = await dialer.openStream({ address: listener.address, ...GET_X });
  await failsWith("closed", readAll(stream.chunks));
  await failsWith("clock", dialer.request({ address: listener.address, ...GET_X }));
  dialer.closeAll();
  await listener.close();
});

test("the root of an unverified server is fetched without a certificate, up to 64 KiB", async () => {
  const asked: string[] = [];
  let body = "the root";
  const listener = await listen(cluster, manager.identity, {
    handle: (request, peer) => {
      asked.push(`${request.method} ${new URL(request.url).pathname} ${peer.identity?.id}`);
      return new Response(body);
    },
  });
  const { address } = listener;
  const fetched = await fetchRootUnverified({ address, timeoutMs: 1000, clock });
  assert.equal(new TextDecoder().decode(fetched.body), "the root");
  assert.deepEqual(fetched.serverCertificate, manager.certificate);
  assert.deepEqual(asked, ["GET /v1/ca undefined"]);
  body = "x".repeat(64 * 1024 + 1);
  await failsWith("response-too-large", fetchRootUnverified({ address, timeoutMs: 1000, clock }));
  await listener.close();
  await failsWith("connection-refused", fetchRootUnverified({ address, timeoutMs: 1000, clock }));
});
