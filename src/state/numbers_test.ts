import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../base/mod.ts";
import { Conversation, idOf } from "./conversation_test.ts";
import { internalsOf } from "./cluster_state.ts";
import { NOTHING_INSTALLED, project, type Projection } from "./mod.ts";

/** What makes an SA's SPI: the network's slot and the index of either host. */
interface Sa {
  readonly networkId: Id;
  readonly slot: number;
  readonly peer: Id;
  readonly index: number;
}

/** A host's kernel: it has what its last projection gave it, however old that is. */
class Kernel {
  readonly sas = new Map<string, Sa>();
  /** What the leader knows that it has applied. */
  goneUpTo = 0;

  apply(projection: Projection): void {
    const keep = new Set<string>();
    for (const { id, encryption } of projection.networks) {
      if (encryption === null) continue;
      for (const { nodeId, index } of encryption.holders) {
        if (nodeId === projection.node.id) continue;
        const key = `${id} ${nodeId}`;
        keep.add(key);
        this.sas.set(key, { networkId: id, slot: encryption.slot, peer: nodeId, index });
      }
    }
    for (const { id, peers } of projection.retained) {
      for (const { nodeId } of peers) keep.add(`${id} ${nodeId}`);
    }
    for (const key of this.sas.keys()) if (!keep.has(key)) this.sas.delete(key);
    this.goneUpTo = projection.goneUpTo;
  }
}

/** All others are in use, by nobody that the test hears of. */
const FREE = 3;

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

const network = fc.constantFrom("a", "b", "c");
const host = fc.constantFrom("host2", "host3", "host4");
const endpoint = fc.constantFrom("x1", "x2", "x3", "x4", "x5", "x6");
const step = fc.oneof(
  fc.tuple(network, endpoint, host).map(([net, id, node]) => `endpoint ${net}/-${id}@${node}`),
  fc.tuple(network, endpoint).map(([net, id]) => `endpoint ${net}/-${id}@host1`),
  endpoint.map((id) => `drop ${id}`),
  network.map((net) => `rotate-next ${net}`),
  network.map((net) => `retire-old ${net}`),
  network.map((net) => `clear ${net}`),
  network.map((net) => `network ${net} encrypted=${net}`),
  host.map((node) => `remove ${node}`),
  host.map((node) => `join ${node}`),
  fc.constantFrom("host1", "host2", "host3", "host4").map((node) => `apply ${node}`),
  fc.constant("free-all"),
  fc.constant("free-all"),
  fc.constantFrom("host1", "host2", "host3", "host4").map((node) => `apply ${node}`),
);

/** Speaks to the state as people, hosts and the leader do. */
class Cluster {
  readonly conversation = new Conversation();
  readonly kernels = new Map<Id, Kernel>();
  readonly reused = { slots: 0, indexes: 0 };
  #names = 0;

  constructor() {
    const { conversation: c } = this;
    for (const line of ["init host1", "token token uses=1000"]) c.say(line);
    const { slots, indexes } = internalsOf(c.state).tables.keys;
    slots.restore(slots.save(), range(FREE, 8191));
    indexes.restore(indexes.save(), range(2 + FREE, 65535));
    for (const line of ["join host2", "join host3", "network a encrypted=a"]) this.do(line);
  }

  do(line: string): void {
    const { conversation: c } = this;
    const [verb, name = ""] = line.split(" ");
    const network = c.state.networkByName(name);
    const keys = network?.keys ?? null;
    switch (verb) {
      case "apply":
        return this.#apply(name);
      case "free-all":
        return this.#freeAll();
      case "rotate-next":
        return void c.say(`rotate ${c.id(name)} ${(keys?.epochs[0]?.epoch ?? 0) + 1}`);
      case "retire-old":
        return keys === null ? undefined : this.#apply2(network?.id, keys.epochs.slice(1));
      case "clear": {
        // A network that goes; its id is never used again.
        const ids = network === undefined
          ? []
          : c.state.endpointsOf(network.id).map(({ id }) => id);
        if (ids.length > 0) c.apply({ kind: "endpoints.delete", body: { ids } });
        if (network !== undefined) c.apply({ kind: "network.delete", body: { id: network.id } });
        return;
      }
      case "network":
        return void c.say(`${line} id=network${++this.#names}`);
      case "join":
        return void c.say(`${line} id=node${++this.#names} key=key${this.#names} hostname=${name}`);
      case "remove": {
        const node = c.state.nodeByName(name);
        if (node !== undefined) c.apply({ kind: "node.remove", body: { id: node.id } });
        return;
      }
      case "endpoint":
        return this.#endpoint(line);
      default:
        c.say(line);
    }
  }

  /** No two networks, and no two hosts, are one in anybody's SAs. */
  assertApart(): void {
    const { state } = this.conversation;
    for (const [nodeId, kernel] of this.kernels) {
      if (!state.nodes.has(nodeId)) continue;
      for (const { networkId, slot, peer, index } of kernel.sas.values()) {
        for (const { id, keys } of state.networks.values()) {
          assert.ok(keys?.slot !== slot || id === networkId, `slot ${slot} of another network`);
        }
        for (const node of state.nodes.values()) {
          assert.ok(node.index !== index || node.id === peer, `index ${index} of another host`);
        }
      }
    }
  }

  #apply(name: string): void {
    const { state } = this.conversation;
    const node = state.nodeByName(name);
    const projection = node === undefined ? null : project(state, node.id, NOTHING_INSTALLED);
    if (node === undefined || projection === null) return;
    const kernel = this.kernels.get(node.id) ?? new Kernel();
    this.kernels.set(node.id, kernel);
    kernel.apply(projection);
  }

  #apply2(id: Id | undefined, epochs: readonly { readonly epoch: number }[]): void {
    if (id === undefined || epochs.length === 0) return;
    this.conversation.apply({
      kind: "network.retire",
      body: { id, epochs: epochs.map(({ epoch }) => epoch) },
    });
  }

  /** As the leader does: what everybody it waits for has said is gone. */
  #freeAll(): void {
    const { state } = this.conversation;
    const gone = [...state.waitingNumbers].filter(({ nodes, revision }) =>
      nodes.every((id) => (this.kernels.get(id)?.goneUpTo ?? 0) >= revision)
    );
    const of = (kind: string) =>
      gone.filter((one) => one.kind === kind).slice(0, 1000).map(({ number }) => number);
    const [slots, indexes] = [of("slot"), of("index")];
    this.reused.slots += slots.length;
    this.reused.indexes += indexes.length;
    this.conversation.apply({
      kind: "numbers.free",
      body: { slots, indexes, upTo: state.revision },
    });
  }

  #endpoint(line: string): void {
    const { conversation: c } = this;
    const [, name = "", id = "", node = ""] = /^endpoint (\w+)\/-(\w+)@(\w+)$/.exec(line) ?? [];
    const network = c.state.networkByName(name);
    const member = c.state.nodeByName(node);
    if (network === undefined || member === undefined) return;
    c.apply({
      kind: "endpoints.create",
      body: { endpoints: [{ id: idOf(id), networkId: network.id, nodeId: member.id }] },
    });
  }
}

Deno.test("a slot or an index is used again only when nobody can have SAs of it", () => {
  const freed = { slots: 0, indexes: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 200, size: "max" }), (steps) => {
      const cluster = new Cluster();
      for (const one of steps) {
        cluster.do(one);
        cluster.assertApart();
      }
      freed.slots += cluster.reused.slots;
      freed.indexes += cluster.reused.indexes;
    }),
    { numRuns: 60 },
  );
  // The test would say nothing if nothing were ever given back.
  assert.ok(freed.slots > 10 && freed.indexes > 10, JSON.stringify(freed));
});
