// needs: root
// Boot keys, reports and epochs with both halves of the control plane: only the kernel is simulated.
import assert from "node:assert/strict";
import { decodeBase64url, encodeBase64url, encodeHex, type Id, SecretBytes } from "../base/mod.ts";
import { eventually } from "../cluster/testing_clock.ts";
import { testRandom } from "../cluster/testing_plane.ts";
import { agreeKey, deriveSaKey, keyContext } from "../esp/mod.ts";
import { Sleeper } from "../machine/testing_namespaces.ts";
import type { InstalledEpochs, Network, Projection } from "../state/mod.ts";
import { type TestHost, TestManager } from "./testing_cluster.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const ok = { facts: { encryption: "ok" } };

function secret(): string {
  return encodeBase64url(testRandom.bytes(32));
}

function encrypted(manager: TestManager, name: string): Promise<Network> {
  const { plane, cluster } = manager;
  return plane.writeOnce(cluster.manager, {
    kind: "network.create",
    body: {
      id: plane.newId(),
      name,
      labels: {},
      allowedNodes: "any",
      encryption: { secret: secret() },
    },
  });
}

function committedKey(manager: TestManager, { record }: TestHost): string | null {
  return manager.plane.state.nodes.get(record.nodeId)?.bootKey?.publicKey ?? null;
}

function usableKey({ bootKeys: { pair } }: TestHost): string | null {
  return pair === null ? null : encodeBase64url(pair.publicKey);
}

/** What a host has been told that the others have installed. */
function toldOf(host: TestHost, other: TestHost, networkId: Id): InstalledEpochs | undefined {
  return host.agent.projection()?.installed.find((one) =>
    one.networkId === networkId && one.nodeId === other.record.nodeId
  );
}

/** Two hosts with a workload each on an encrypted network, which send to each other. */
class Pair implements AsyncDisposable {
  readonly manager: TestManager;
  readonly network: Network;
  readonly one: TestHost;
  readonly two: TestHost;
  readonly #workloads: Sleeper[];

  private constructor(
    manager: TestManager,
    network: Network,
    hosts: readonly [TestHost, TestHost],
    workloads: Sleeper[],
  ) {
    [this.manager, this.network, [this.one, this.two], this.#workloads] = [
      manager,
      network,
      hosts,
      workloads,
    ];
  }

  static async open(): Promise<Pair> {
    const manager = await TestManager.start();
    const one = await manager.join("one", ok);
    const two = await manager.join("two", ok);
    await Promise.all([one.agent.ready, two.agent.ready]);
    const network = await encrypted(manager, "shop");
    const workloads: Sleeper[] = [];
    for (const host of [one, two]) {
      const web = await Sleeper.start();
      workloads.push(web);
      await host.attach({ pid: web.pid, networks: [{ network: "shop" }] });
    }
    const pair = new Pair(manager, network, [one, two], workloads);
    await pair.sendsWith(1);
    return pair;
  }

  /** Waits until both send with an epoch and with no older one. */
  async sendsWith(epoch: number): Promise<void> {
    for (const { overlay } of [this.one, this.two]) {
      await eventually(() =>
        overlay.status.encryption.get(this.network.id)?.oldestSending === epoch
      );
    }
  }

  async rotate(epoch: number): Promise<void> {
    await this.manager.plane.writeOnce(this.manager.cluster.manager, {
      kind: "network.rotate",
      body: { id: this.network.id, epoch, secret: secret() },
    });
  }

  /** Epochs that live, newest first. */
  get live(): readonly number[] {
    const { keys } = this.manager.plane.state.networks.get(this.network.id) ?? {};
    return keys?.epochs.map(({ epoch }) => epoch) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const workload of this.#workloads) await workload[Symbol.asyncDispose]();
    await this.manager[Symbol.asyncDispose]();
  }
}

Deno.test(
  "a host makes a boot key, and may use it when the managers have it",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const host = await manager.join("one", ok);
    await eventually(() => usableKey(host) !== null);
    assert.equal(committedKey(manager, host), usableKey(host));
  },
);

Deno.test("two hosts hear of each other's SAs, send, and rotate at once", sanitized, async () => {
  await using pair = await Pair.open();
  for (const epoch of [2, 3, 4, 5, 6, 7, 8, 9]) {
    await pair.rotate(epoch);
    await pair.sendsWith(epoch);
    await eventually(() => `${pair.live}` === `${epoch}`);
  }
});

Deno.test("a restarted agent never tells that it has no SAs", sanitized, async () => {
  await using pair = await Pair.open();
  const { one, two, network } = pair;
  const key = usableKey(two);
  const heard: (readonly number[] | undefined)[] = [];
  const { setDesired } = one.overlay;
  one.overlay.setDesired = (projection, local) => {
    heard.push(toldOf(one, two, network.id)?.epochs);
    setDesired.call(one.overlay, projection, local);
  };
  for (let times = 0; times < 5; times++) {
    await two.stop();
    two.start();
    await eventually(() => usableKey(two) === key);
    await two.agent.ready;
  }
  await pair.rotate(2);
  await pair.sendsWith(2);
  assert(heard.length > 0);
  for (const epochs of heard) assert(epochs?.includes(1) || epochs?.includes(2), `${heard}`);
});

Deno.test("after a reboot a host has another key, which its peers hear of", sanitized, async () => {
  await using pair = await Pair.open();
  const { one, two, manager } = pair;
  const before = usableKey(two);
  await two.reboot();
  await eventually(() => usableKey(two) !== null);
  assert.notEqual(usableKey(two), before);
  assert.equal(committedKey(manager, two), usableKey(two));
  await eventually(() =>
    one.agent.projection()?.networks[0]?.encryption?.holders
      .find(({ nodeId }) => nodeId === two.record.nodeId)?.bootKey === usableKey(two)
  );
});

Deno.test(
  "a copy of a running machine is noticed, and shares no key with it for long",
  sanitized,
  async () => {
    await using pair = await Pair.open();
    const { two } = pair;
    const before = usableKey(two);
    const copy = two.copy();
    try {
      // Both are heard from; who comes second learns of it, and then the other.
      two.agent.factsChanged();
      await eventually(() => {
        const [ofTwo, ofCopy] = [two, copy].map(usableKey);
        if (ofTwo !== null && ofCopy !== null) assert.notEqual(ofTwo, ofCopy);
        return ofTwo !== before && ofCopy !== before;
      });
    } finally {
      await copy.end();
    }
    two.agent.factsChanged();
    await eventually(() => usableKey(two) !== null && usableKey(two) !== before);
  },
);

Deno.test("a host that turns out to be able to encrypt says so at once", sanitized, async () => {
  await using manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  await encrypted(manager, "shop");
  await using web = await Sleeper.start();
  const request = { pid: web.pid, networks: [{ network: "shop" }] };
  await assert.rejects(host.attach(request), /unavailable|a test/);
  host.facts = { ...host.facts, encryption: "ok" };
  host.agent.factsChanged();
  await eventually(() =>
    manager.plane.state.nodes.get(host.record.nodeId)?.facts.encryption === "ok"
  );
  await host.attach(request);
});

Deno.test(
  "what the kernel says against an encrypted network is what the client hears",
  sanitized,
  async () => {
    await using manager = await TestManager.start();
    const host = await manager.join("one", ok);
    await host.agent.ready;
    const network = await encrypted(manager, "shop");
    await using web = await Sleeper.start();
    host.overlay.refusals.set(network.id, "the kernel says: no room for the policy");
    await assert.rejects(
      host.attach({ pid: web.pid, networks: [{ network: "shop" }] }),
      /no room for the policy/,
    );
    await eventually(() => manager.plane.state.endpoints.size === 0);
  },
);

Deno.test("what the leader wants checked, the hosts check and tell it", sanitized, async () => {
  await using pair = await Pair.open();
  const { manager, network, one, two } = pair;
  const of = async () => (await manager.plane.read()).check(network.id);
  const { checkId } = await manager.plane.checkNetwork(network.id);
  const order = { networkId: network.id, checkId, nodeIds: null };
  await eventually(() => [one, two].every(({ orders }) => orders.length === 1));
  for (const { orders } of [one, two]) assert.deepEqual(orders, [order]);
  let isFinished = false;
  while (!isFinished) {
    isFinished = (await of())?.finishedAtMs !== null;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  // They have found nobody: neither of them has a kernel that could send anything.
  const check = await of();
  assert.deepEqual([check?.checkId, check?.directions, check?.passed], [checkId, 2, 0]);
});

/** Every key that a host could install by a projection with the boot key that it may use now. */
function* keysBy(projection: Projection, { bootKeys: { pair } }: TestHost): Generator<string> {
  const { clusterId, incarnation, node: self } = projection;
  for (const { id: networkId, encryption } of pair === null ? [] : projection.networks) {
    for (const { nodeId, bootKey } of encryption?.holders ?? []) {
      if (pair === null || bootKey === null || nodeId === self.id) continue;
      const peer = { id: nodeId, bootPublicKey: decodeBase64url(bootKey) };
      const own = { id: self.id, bootPublicKey: pair.publicKey };
      for (const { epoch, secret } of encryption?.epochs ?? []) {
        const context = keyContext(
          { clusterId, incarnation, networkId, epoch, sender: own, receiver: peer },
        );
        const shared = agreeKey(pair, peer.bootPublicKey);
        const key = deriveSaKey(new SecretBytes(decodeBase64url(secret)), shared, context);
        yield encodeHex(key.reveal());
      }
    }
  }
}

Deno.test(
  "after a recovery no host derives a key that it had before, and both send with the next epoch",
  sanitized,
  async () => {
    await using pair = await Pair.open();
    const { manager: { cluster }, one, two, network } = pair;
    const keys = new Map<string, Set<Id>>();
    const bootKeys = new Map<string, Set<Id>>();
    const secrets = new Map<string, Set<Id>>();
    const note = (seen: Map<string, Set<Id>>, what: string, incarnation: Id) =>
      seen.set(what, (seen.get(what) ?? new Set()).add(incarnation));
    for (const host of [one, two]) {
      const { setDesired } = host.overlay;
      host.overlay.setDesired = (projection, local) => {
        const { incarnation } = projection;
        for (const key of keysBy(projection, host)) note(keys, key, incarnation);
        for (const { encryption } of projection.networks) {
          for (const { secret } of encryption?.epochs ?? []) note(secrets, secret, incarnation);
          for (const { bootKey } of encryption?.holders ?? []) {
            if (bootKey !== null) note(bootKeys, bootKey, incarnation);
          }
        }
        setDesired.call(host.overlay, projection, local);
      };
    }
    await pair.rotate(2);
    await pair.sendsWith(2);
    const before = cluster.plane.state.incarnation;
    await cluster.recover();
    await pair.sendsWith(3);
    await eventually(() => `${pair.live}` === "3");
    const after = cluster.plane.state.incarnation;
    for (const seen of [keys, bootKeys, secrets]) {
      const lives = [...seen.values()].map((incarnations) => [...incarnations]);
      for (const incarnations of lives) assert.equal(incarnations.length, 1);
      assert.deepEqual(new Set(lives.flat()), new Set([before, after]));
    }
    for (const { record, identity } of [one, two]) {
      assert.deepEqual(identity.readRecord().incarnation, { generation: 1, id: after });
      assert.equal(cluster.plane.state.nodes.get(record.nodeId)?.bootKey?.incarnation, after);
    }
    assert.equal(cluster.plane.state.networks.get(network.id)?.keys?.epochs[0]?.epoch, 3);
  },
);
