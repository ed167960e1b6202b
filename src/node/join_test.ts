// needs: root
import assert from "node:assert/strict";
import { createServer } from "node:https";
import { createSocket } from "node:dgram";
import { certificateToPem, createKeyAndCsr, makeToken, parseToken, rootPinOf } from "../ca/mod.ts";
import { decodeBase64url } from "../base/mod.ts";
import { realClock } from "../cluster/testing_clock.ts";
import { factsOf } from "../cluster/testing_plane.ts";
import { StateFiles } from "../machine/mod.ts";
import { systemRandom } from "../sys/mod.ts";
import { listen, TestCluster } from "../tls/test_cluster.ts";
import { IdentityStore, joinCluster, JoinError, type JoinErrorCode } from "./mod.ts";
import { TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

/** A host that has not joined. */
class Candidate implements Disposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "agent-node-" });
  readonly address = `127.${80 + systemRandom.below(100)}.${systemRandom.below(256)}.1`;
  readonly steps: string[] = [];
  readonly store = new IdentityStore(new StateFiles(this.directory));

  join(address: string, token: string, probePort = 19_999, clock = realClock) {
    return joinCluster({
      address,
      token,
      facts: factsOf("one", {
        controlAddress: `${this.address}:7443`,
        vtepAddress: this.address,
      }),
      probePort,
      store: this.store,
      clock,
      random: systemRandom,
      onStep: (step) => this.steps.push(step),
      becomeManager: () => Promise.resolve(),
    });
  }

  /** The join fails so, in one sentence for a person, and leaves nothing behind. */
  async fails(joining: Promise<unknown>, code: JoinErrorCode, text: RegExp): Promise<void> {
    await assert.rejects(joining, (error) => {
      assert(error instanceof JoinError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      assert(!error.message.includes("\n"));
      return true;
    });
    assert.deepEqual([...Deno.readDirSync(this.directory)], []);
    assert(!this.store.exists());
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

Deno.test(
  "a host that joins has all on disk that it needs, and said what it did",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    using host = new Candidate();
    const { text } = await manager.cluster.token();
    const port = manager.plane.state.settings.plainVxlanPort;
    const record = await host.join(manager.address, text, port);
    assert.deepEqual(host.store.readRecord(), record);
    assert.equal(record.role, "worker");
    assert.deepEqual(record.managers, [{
      id: manager.cluster.founded.nodeId,
      address: manager.address,
    }]);
    const { trust } = host.store.readTls();
    assert.equal(trust.clusterId, manager.cluster.founded.clusterId);
    assert.equal(host.steps.length, 3);
    assert(!host.steps.join().includes(text));
  },
);

Deno.test("an answer that was lost is asked for again, and spends one use", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const { text, id } = await manager.cluster.token();
  let asked = 0;
  manager.meddle = async (request, _principal, next) => {
    const answer = await next();
    if (!request.url.endsWith("/v1/join") || asked++ > 0) return answer;
    return new Response(
      new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) }),
      { status: answer.status },
    );
  };
  const port = manager.plane.state.settings.plainVxlanPort;
  const { nodeId } = await host.join(manager.address, text, port);
  assert.equal(asked, 2);
  assert.deepEqual(
    [...manager.plane.state.nodes.keys()].sort(),
    [
      manager.cluster.founded.nodeId,
      nodeId,
    ].sort(),
  );
  assert.equal(manager.plane.state.tokens.get(id)?.usesLeft, 0);
});

Deno.test("a manager whose answers are always lost is not asked for ever", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const { text } = await manager.cluster.token();
  let asked = 0;
  manager.meddle = async (request, _principal, next) => {
    if (!request.url.endsWith("/v1/join")) return await next();
    asked++;
    return new Response(
      new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) }),
    );
  };
  const port = manager.plane.state.settings.plainVxlanPort;
  await host.fails(host.join(manager.address, text, port), "no-answer", /before the answer/);
  assert.equal(asked, 2);
});

Deno.test("what the cluster refuses is said in its words", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const port = manager.plane.state.settings.plainVxlanPort;
  const { text } = await manager.cluster.token();
  const { rootSpkiPin } = parseToken(text);
  const guess = makeToken({ rootSpkiPin, secret: systemRandom.bytes(16) });
  await host.fails(host.join(manager.address, guess, port), "refused", /token/);
  await manager.cluster.member("one");
  await host.fails(host.join(manager.address, text, port), "refused", /called "one" already/);
});

Deno.test("a token that is none never leaves the host", sanitized, async () => {
  using host = new Candidate();
  for (const token of ["", "SWMTKN-1-abc", "AGTKN-1-abc", "AGTKN-2-a-b"]) {
    await host.fails(host.join("127.0.0.1:1", token), "bad-token", /token/);
  }
  assert.deepEqual(host.steps, []);
});

Deno.test("where nothing listens, or something else, that is said", sanitized, async () => {
  using host = new Candidate();
  const cluster = await TestCluster.create();
  const token = makeToken({
    rootSpkiPin: rootPinOf(cluster.root.certificate),
    secret: systemRandom.bytes(16),
  });
  await host.fails(host.join("127.0.0.1:1", token), "no-answer", /nothing listens there/);
  const plain = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    return new Response("hello");
  });
  const { port } = plain.addr;
  await host.fails(host.join(`127.0.0.1:${port}`, token), "no-answer", /speak|not a manager/);
  await plain.shutdown();
  const listener = await listen(cluster, (await cluster.card("manager")).identity);
  await host.fails(host.join(listener.address, token), "no-answer", /not a manager of an agent/);
  await listener.close();
});

/** A server that shows a cluster's root, with some certificate of its own. */
async function impostor(cluster: TestCluster, role: "manager" | "worker") {
  const { identity } = await cluster.card(role);
  let secrets = 0;
  const server = createServer(
    { key: identity.privateKeyPem, cert: identity.certificatePem, minVersion: "TLSv1.3" },
    (request, response) => {
      if (request.url === "/v1/join") secrets++;
      const roots = [
        btoa(String.fromCharCode(...cluster.root.certificate))
          .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
      ];
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ v: 1, clusterId: cluster.clusterId, roots }));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens");
  return {
    address: `127.0.0.1:${address.port}`,
    secrets: () => secrets,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

Deno.test(
  "nothing secret goes to one with another root, or with a worker's certificate",
  sanitized,
  async () => {
    using host = new Candidate();
    const cluster = await TestCluster.create();
    const secret = systemRandom.bytes(16);
    const token = makeToken({ rootSpkiPin: rootPinOf(cluster.root.certificate), secret });
    await using other = await impostor(await cluster.impostor(), "manager");
    await host.fails(host.join(other.address, token), "wrong-pin", /Nothing secret was sent/);
    await using worker = await impostor(cluster, "worker");
    const posing = host.join(worker.address, token);
    await host.fails(posing, "not-a-manager", /worker.*Nothing secret was sent/);
    assert.deepEqual([other.secrets(), worker.secrets()], [0, 0]);
  },
);

Deno.test("a clock that is a day off is named", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const { text } = await manager.cluster.token();
  for (const days of [-1, 100]) {
    const clock = { ...realClock, nowMs: () => Date.now() + days * 86_400_000 };
    await host.fails(host.join(manager.address, text, 19_999, clock), "clock", /clock/);
  }
});

Deno.test("a UDP port that is taken is named, before anything is asked", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const { text } = await manager.cluster.token();
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, host.address, resolve));
  const { port } = socket.address();
  await host.fails(host.join(manager.address, text, port), "port-busy", new RegExp(`${port}`));
  await new Promise<void>((resolve) => void socket.close(() => resolve()));
  assert.equal(manager.plane.state.nodes.size, 1);
});

Deno.test("a certificate for another key is never taken up", sanitized, async () => {
  await using manager = await TestManager.start();
  using host = new Candidate();
  const { certificate, root } = manager.cluster.founded;
  const stranger = createKeyAndCsr();
  const roots = [decodeBase64url(root)];
  assert.throws(
    () => host.store.writeTls(stranger.privateKey, decodeBase64url(certificate), roots),
    /another key/,
  );
  assert.deepEqual([...Deno.readDirSync(host.directory)], []);
  assert.match(certificateToPem(decodeBase64url(certificate)), /BEGIN CERTIFICATE/);
});
