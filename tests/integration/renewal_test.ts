// needs: root
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { Clock } from "../../src/base/mod.ts";
import { eventually, realClock } from "../../src/cluster/testing_clock.ts";
import { type TestHost, TestManager } from "../../src/node/testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const RENEWALS = 3;
const VALIDITY_MS = 30_000;
const ASK_EVERY_MS = 50;

/** Runs twice as fast as the real one, so that the test takes half of the time. */
function fastClock(): Clock {
  const begunMs = Date.now();
  return {
    nowMs: () => begunMs + 2 * (Date.now() - begunMs),
    monotonicMs: () => 2 * realClock.monotonicMs(),
    schedule: (delayMs, callback) => realClock.schedule(delayMs / 2, callback),
  };
}

/** The certificates that a host has had. */
class Certificates {
  readonly #host: TestHost;
  readonly #notAfterMs = new Map<string, number>();

  constructor(host: TestHost) {
    this.#host = host;
  }

  /** Looks which one it has now; gives how many renewals there were. */
  look(): number {
    const certificate = new X509Certificate(this.#host.identity.readTls().certificate);
    this.#notAfterMs.set(certificate.serialNumber, Date.parse(certificate.validTo));
    return this.#notAfterMs.size - 1;
  }

  get firstEndedAtMs(): number {
    return [...this.#notAfterMs.values()][0] ?? Infinity;
  }
}

Deno.test(
  "certificates of half a minute: three renewals of each node, and nothing noticed",
  sanitized,
  async () => {
    const clock = fastClock();
    await using manager = await TestManager.start({
      clock,
      doorClock: clock,
      settings: { certificateValidityMs: VALIDITY_MS },
    });
    const hosts = [manager.own({ clock }), await manager.join("one", { clock, joinClock: clock })];
    for (const host of hosts) await host.agent.ready;
    const network = await manager.cluster.network("shop");
    const watched = hosts.map((host) => new Certificates(host));
    let asked = 0;
    while (Math.min(...watched.map((certificates) => certificates.look())) < RENEWALS) {
      for (const host of hosts) {
        // A request over the pooled connection, and one more thing that the stream has to bring.
        const answer = await host.agent.forward(new Request("http://agent/readyz"));
        assert.equal(answer.status, 200, `request ${asked}`);
        await answer.body?.cancel();
        assert(host.agent.status().connected, JSON.stringify(host.lines.slice(-9)));
      }
      asked++;
      if (asked % 10 === 0) {
        const [own, other] = hosts;
        assert(own !== undefined && other !== undefined);
        const id = await manager.cluster.endpoint(network.id, own.record.nodeId);
        const ids = (host: TestHost) =>
          host.agent.projection()?.networks.flatMap(({ endpoints }) => endpoints).map((one) =>
            one.id
          );
        await eventually(() => ids(own)?.includes(id) === true);
        await manager.plane.writeOnce(manager.cluster.manager, {
          kind: "endpoints.delete",
          body: { ids: [id] },
        });
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
    for (const { firstEndedAtMs } of watched) {
      // With it each connection that was opened with it has ended, long ago.
      assert(firstEndedAtMs < clock.nowMs());
    }
    for (const host of hosts) {
      assert.equal(host.removed, 0);
      const trouble = host.lines.filter(({ level }) => level === "warn" || level === "error");
      assert.deepEqual(trouble, []);
      const node = manager.plane.state.nodes.get(host.record.nodeId);
      assert.equal(node?.certificates.length, 2);
    }
    const refused = manager.cluster.lines.filter(({ message }) => message.includes("was refused"));
    assert.deepEqual(refused, []);
  },
);
