import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, type Id } from "../base/mod.ts";
import { Conversation, hashOf, idOf } from "./conversation_test.ts";
import { type ClusterState, encodeSnapshot, NOTHING_INSTALLED, project } from "./mod.ts";

/** Secrets as the snapshot has them: the one place, beside projections, that may. */
function secretsOf(state: ClusterState): Map<Id, readonly string[]> {
  const { secrets } = JSON.parse(decodeUtf8(encodeSnapshot(state)));
  return new Map(
    secrets.map(({ networkId, epochs }: { networkId: Id; epochs: { secret: string }[] }) => [
      networkId,
      epochs.map(({ secret }) => secret),
    ]),
  );
}

const network = fc.constantFrom("shop", "bank");
const host = fc.constantFrom("host1", "host2", "host3", "host4");
const endpoint = fc.constantFrom("a", "b", "c", "d", "e");
const lines = fc.array(
  fc.oneof(
    fc.tuple(network, endpoint, host).map(([net, id, node]) => `endpoint ${net}/${id}@${node}`),
    endpoint.map((id) => `drop ${id}`),
    fc.tuple(network, fc.integer({ min: 2, max: 5 })).map(([net, n]) => `rotate ${net} ${n}`),
    fc.tuple(network, fc.integer({ min: 1, max: 4 })).map(([net, n]) => `retire ${net} ${n}`),
    network.map((net) => `delete ${net}`),
    network.map((net) => `network ${net} encrypted=${net}`),
    host.map((node) => `remove ${node}`),
    host.map((node) => `publish ${node}`),
    fc.tuple(network, fc.constantFrom("5", "none", "1")).map(([net, n]) =>
      `change ${net} every=${n}`
    ),
    fc.tuple(fc.nat({ max: 9 }), fc.constantFrom("", "x", "x,y")).map(([n, secrets]) =>
      `recover again${n} keep=host1 secrets=${secrets}`
    ),
  ),
  { minLength: 20, maxLength: 60, size: "max" },
);

Deno.test("a network's secrets are in projections of those with an endpoint on it, and nowhere else", () => {
  fc.assert(fc.property(lines, (all) => {
    const c = new Conversation();
    for (const one of ["init host1", "token token", "join host2", "join host3", "join host4"]) {
      c.say(one);
    }
    c.say("network shop encrypted=shop");
    c.say("network bank encrypted=bank");
    const known = new Set<string>();
    for (const line of all) {
      const [verb = "", ...words] = line.split(" ");
      const applied = c.apply(c.command(verb, words));
      const secrets = secretsOf(c.state);
      for (const secret of [...secrets.values()].flat()) known.add(secret);
      const shown = JSON.stringify([
        applied.outcome,
        [...c.state.networks.values()],
        [...c.state.nodes.values()],
        [...c.state.waitingNumbers],
      ]);
      for (const secret of known) assert.ok(!shown.includes(secret), line);
      for (const nodeId of c.state.nodes.keys()) {
        const text = JSON.stringify(project(c.state, nodeId, NOTHING_INSTALLED));
        const own = [...secrets].filter(([networkId]) =>
          c.state.networksOfNode(nodeId).includes(networkId)
        ).flatMap(([, ofNetwork]) => ofNetwork);
        for (const secret of known) assert.equal(text.includes(secret), own.includes(secret), line);
      }
    }
  }));
});

Deno.test("a body that is refused is refused without showing its secret", () => {
  const c = new Conversation();
  for (const one of ["init host1", "network shop encrypted=shop"]) c.say(one);
  const secret = hashOf("the secret");
  const bodies = [
    { kind: "network.rotate", body: { id: idOf("shop"), epoch: 2, secret: `${secret}A` } },
    { kind: "network.rotate", body: { id: idOf("shop"), epoch: 7, secret } },
    { kind: "network.rotate", body: { id: idOf("nobody"), epoch: 2, secret } },
    {
      kind: "cluster.recover",
      body: { incarnation: idOf("second"), keep: idOf("host1"), secrets: [secret, secret] },
    },
    {
      kind: "cluster.recover",
      body: { incarnation: idOf("second"), keep: idOf("host1"), secrets: [secret.slice(1)] },
    },
    { kind: "network.rotate", body: { id: idOf("shop"), epoch: 2, secret, more: secret } },
    {
      kind: "network.create",
      body: {
        id: idOf("other"),
        name: "shop",
        labels: {},
        allowedNodes: "any",
        encryption: { secret },
      },
    },
    {
      kind: "network.create",
      body: {
        id: idOf("other"),
        name: "other",
        labels: {},
        allowedNodes: "any",
        encryption: { secret: secret.slice(1), rotationIntervalMs: 1 },
      },
    },
  ];
  for (const command of bodies) {
    const { outcome } = c.apply(command as Parameters<typeof c.apply>[0]);
    assert.equal(outcome.ok, false, JSON.stringify(command.body));
    assert.ok(!JSON.stringify(outcome).includes(secret.slice(1, 40)));
  }
});
