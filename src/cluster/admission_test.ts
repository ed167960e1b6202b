import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { decodeBase64url, encodeBase32, encodeBase64url, equalBytes } from "../base/mod.ts";
import { createKeyAndCsr, verifyPeer } from "../ca/mod.ts";
import type { JoinRequest } from "../state/mod.ts";
import { RefusedError } from "./mod.ts";
import { HandClock } from "./testing_clock.ts";
import { factsOf, TestPlane, testRandom } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

/** A host that answers probes, as one that joins does; its address is nobody else's. */
class Joiner implements AsyncDisposable {
  readonly address: string;
  readonly probe = testRandom.bytes(16);
  readonly #socket: Socket;
  readonly port: number;

  private constructor(address: string, socket: Socket) {
    this.address = address;
    this.#socket = socket;
    this.port = socket.address().port;
  }

  static async start(
    answer: (probe: Uint8Array) => Uint8Array | null = (probe) => probe,
    port = 0,
  ): Promise<Joiner> {
    const address = `127.77.${testRandom.below(256)}.${1 + testRandom.below(254)}`;
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
    const joiner = new Joiner(address, socket);
    socket.on("message", (message: Uint8Array, sender) => {
      if (!equalBytes(message, joiner.probe)) return;
      const answered = answer(message);
      if (answered !== null) socket.send(answered, sender.port, sender.address, () => {});
    });
    return joiner;
  }

  request(secret: Uint8Array, changes: Partial<JoinRequest> = {}): JoinRequest {
    return {
      v: 1,
      secret: encodeBase32(secret),
      csr: encodeBase64url(createKeyAndCsr().csr),
      facts: factsOf("joiner", {
        controlAddress: `${this.address}:7443`,
        vtepAddress: this.address,
      }),
      probe: encodeBase64url(this.probe),
      nowMs: Date.now(),
      ...changes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => void this.#socket.close(() => resolve()));
  }
}

function refusal(code: string, text = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof RefusedError && error.code === code && text.test(error.message);
}

async function setUp(answer?: (probe: Uint8Array) => Uint8Array | null) {
  const joiner = await Joiner.start(answer);
  const cluster = await TestPlane.found({ settings: { plainVxlanPort: joiner.port } });
  return { joiner, cluster };
}

Deno.test("a host that has a token and answers is taken in", sanitized, async () => {
  const { joiner, cluster } = await setUp();
  await using _ = joiner;
  await using __ = cluster;
  const { secret, id: tokenId } = await cluster.token();
  const request = joiner.request(secret);
  const reply = await cluster.plane.join(request, "192.0.2.7");
  const trust = { clusterId: reply.clusterId, roots: reply.roots.map(decodeBase64url) };
  const identity = verifyPeer(decodeBase64url(reply.certificate), trust, Date.now());
  assert.deepEqual([identity.id, identity.role], [reply.nodeId, "worker"]);
  const node = cluster.plane.state.nodes.get(reply.nodeId);
  assert.deepEqual(node?.facts, request.facts);
  assert.equal(node?.tokenId, tokenId);
  assert.deepEqual(reply.managers, [{
    id: cluster.founded.nodeId,
    address: factsOf("").controlAddress,
  }]);
});

Deno.test("the same token and key get the same again, and spend one use", sanitized, async () => {
  const { joiner, cluster } = await setUp();
  await using _ = joiner;
  await using __ = cluster;
  const { secret, id } = await cluster.token();
  const request = joiner.request(secret);
  const first = await cluster.plane.join(request, "192.0.2.7");
  const again = await cluster.plane.join(request, "192.0.2.7");
  assert.equal(again.nodeId, first.nodeId);
  assert.equal(again.certificate, first.certificate);
  assert.equal(cluster.plane.state.tokens.get(id)?.usesLeft, 0);
  assert.equal(cluster.plane.state.nodes.size, 2);
  const another = joiner.request(secret, {
    facts: { ...request.facts, hostname: "another" },
  });
  await assert.rejects(cluster.plane.join(another, "192.0.2.7"), refusal("token-used-up"));
});

Deno.test("a token that is unknown or has expired lets nobody in", sanitized, async () => {
  const joiner = await Joiner.start();
  await using _ = joiner;
  const clock = new HandClock();
  await using cluster = await TestPlane.found({
    clock,
    settings: { plainVxlanPort: joiner.port },
  });
  const guess = joiner.request(testRandom.bytes(16));
  await assert.rejects(cluster.plane.join(guess, "192.0.2.7"), refusal("token-unknown"));
  for (const secret of ["", "not base32!"]) {
    await assert.rejects(
      cluster.plane.join({ ...guess, secret }, "192.0.2.7"),
      (error) => error instanceof RefusedError && error.code !== "clock-skewed",
    );
  }
  const { secret } = await cluster.token({ lifetimeMs: 60_000 });
  clock.jump(60_000);
  const late = joiner.request(secret, { nowMs: clock.nowMs() });
  // The probe's own timers are the test's clock's: nothing is sent before it is turned.
  const joining = cluster.plane.join(late, "192.0.2.7");
  const refused = assert.rejects(joining, refusal("token-expired"));
  while (clock.timers < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  clock.pass(0);
  await refused;
  assert.equal(cluster.plane.state.nodes.size, 1);
});

Deno.test("clocks that differ by more than five minutes are told apart", sanitized, async () => {
  const { joiner, cluster } = await setUp();
  await using _ = joiner;
  await using __ = cluster;
  const { secret } = await cluster.token();
  const skewed: [number, RegExp][] = [
    [86_400_000, /1440 minutes ahead/],
    [-360_000, /6 minutes behind/],
  ];
  for (const [offMs, text] of skewed) {
    const request = joiner.request(secret, { nowMs: Date.now() + offMs });
    await assert.rejects(cluster.plane.join(request, "192.0.2.7"), refusal("clock-skewed", text));
  }
  await cluster.plane.join(
    joiner.request(secret, { nowMs: Date.now() + 240_000 }),
    "192.0.2.7",
  );
});

Deno.test("a host that cannot be reached at an address is told which", sanitized, async () => {
  const silent = await setUp(() => null);
  await using _ = silent.joiner;
  await using __ = silent.cluster;
  const { secret } = await silent.cluster.token();
  const request = await silent.joiner.request(secret);
  const expected = new RegExp(silent.joiner.address.replaceAll(".", "\\."));
  await assert.rejects(
    silent.cluster.plane.join(request, "192.0.2.7"),
    refusal("address-unreachable", expected),
  );
  assert.equal(silent.cluster.plane.state.nodes.size, 1);
});

Deno.test("an answer that is not the probe is none", sanitized, async () => {
  const { joiner, cluster } = await setUp(() => new Uint8Array(16));
  await using _ = joiner;
  await using __ = cluster;
  const { secret } = await cluster.token();
  const request = joiner.request(secret);
  await assert.rejects(cluster.plane.join(request, "192.0.2.7"), refusal("address-unreachable"));
});

Deno.test("each address is probed, and a lost packet is sent again", sanitized, async () => {
  let heard = 0;
  const { joiner, cluster } = await setUp((probe) => ++heard === 1 ? null : probe);
  await using _ = joiner;
  await using __ = cluster;
  const { secret } = await cluster.token();
  const request = joiner.request(secret);
  // Nothing answers at the control address.
  const facts = { ...request.facts, controlAddress: "127.78.0.1:7443" };
  await assert.rejects(
    cluster.plane.join({ ...request, facts }, "192.0.2.7"),
    refusal("address-unreachable", /127\.78\.0\.1 /),
  );
  heard = 0;
  await cluster.plane.join(request, "192.0.2.7");
  assert.equal(heard, 2);
});

Deno.test("a request that is no good is refused before anything is probed", sanitized, async () => {
  let heard = 0;
  const { joiner, cluster } = await setUp((probe) => {
    heard++;
    return probe;
  });
  await using _ = joiner;
  await using __ = cluster;
  const { secret } = await cluster.token();
  const good = joiner.request(secret);
  const bad: [Partial<JoinRequest>, string, string][] = [
    [{ csr: "AAAA" }, "csr-rejected", "/csr"],
    [{ probe: "" }, "invalid-value", "/probe"],
    [{ probe: "AAAA" }, "invalid-value", "/probe"],
    [{ facts: { ...good.facts, vtepAddress: "host.example" } }, "invalid-value", "/facts"],
    [{ secret: "a1" }, "invalid-value", "/secret"],
  ];
  for (const [changes, code, field] of bad) {
    await assert.rejects(cluster.plane.join({ ...good, ...changes }, "192.0.2.7"), (error) => {
      assert(error instanceof RefusedError);
      assert.deepEqual([error.code, error.field], [code, field]);
      return true;
    });
  }
  assert.equal(heard, 0);
  assert.equal(cluster.plane.state.nodes.size, 1);
});
