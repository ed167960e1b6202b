import assert from "node:assert/strict";
import { jsonDigest } from "../base/mod.ts";
import { Conversation, hashOf, idOf } from "./conversation_test.ts";
import { NOTHING_INSTALLED, project, type Projection } from "./mod.ts";

function after(...lines: readonly string[]): Conversation {
  const c = new Conversation();
  for (const line of ["init host1", "token token", "join host2", "join host3", ...lines]) {
    const answer = c.say(line);
    assert.match(answer, / rev |^ok/, `${line}: ${answer}`);
  }
  return c;
}

function projected({ state }: Conversation, node: string): Projection {
  const projection = project(state, idOf(node), NOTHING_INSTALLED);
  assert.ok(projection !== null);
  return projection;
}

Deno.test("members see slot, secrets, holders and the port; the MTU leaves room for ESP", () => {
  const c = after(
    "network plain",
    "network bank encrypted=two",
    "network shop encrypted=one",
    "endpoint shop/-a@host1 shop/-b@host2 plain/-p@host1",
    "publish host2 key=k2 number=7",
    "rotate shop 2",
  );
  const { networks, node } = projected(c, "host1");
  assert.equal(node.bootKey, null);
  assert.equal(projected(c, "host2").node.bootKey, hashOf("key k2"));
  const shop = networks.find(({ name }) => name === "shop");
  assert.equal(shop?.port, 20001);
  assert.equal(shop?.mtuBytes, 1416);
  assert.deepEqual(shop?.encryption, {
    slot: 1,
    epochs: [
      { epoch: 2, secret: hashOf("secret 2 of shop") },
      { epoch: 1, secret: hashOf("one") },
    ],
    holders: [
      {
        nodeId: idOf("host2"),
        index: 2,
        vtepAddress: "192.0.2.2",
        bootKey: hashOf("key k2"),
        revision: 9,
        state: "attached" as const,
      },
      {
        nodeId: idOf("host1"),
        index: 1,
        vtepAddress: "192.0.2.1",
        bootKey: null,
        revision: 8,
        state: "attached" as const,
      },
    ].sort((left, right) => left.nodeId < right.nodeId ? -1 : 1),
  });
  const plain = networks.find(({ name }) => name === "plain");
  assert.deepEqual([plain?.encryption, plain?.mtuBytes, plain?.port], [null, 1450, 19999]);
});

Deno.test("the MTU with ESP is the largest that does not fragment", () => {
  const c = after("network shop encrypted=one", "endpoint shop/-a@host1");
  const steps: readonly (readonly [string, number])[] = [
    ["mtu=1500", 1416],
    ["mtu=1501", 1416],
    ["mtu=1503", 1416],
    ["mtu=1504", 1420],
    ["mtu=9000", 8916],
    ["mtu=1500 vtep=2001:db8::1", 1396],
    ["mtu=1499 vtep=2001:db8::1", 1392],
  ];
  for (const [facts, expected] of steps) {
    c.say(`describe host1 ${facts}`);
    const inner = projected(c, "host1").networks[0]?.mtuBytes ?? 0;
    assert.equal(inner, expected, facts);
  }
  c.say("describe host1 mtu=1500");
  c.say("change shop mtu=1300");
  assert.equal(projected(c, "host1").networks[0]?.mtuBytes, 1300);
});

Deno.test("what members have told of their epochs is a part of what others should have", () => {
  const c = after(
    "network shop encrypted=one",
    "network plain",
    "endpoint shop/-a@host1 plain/-p@host2",
  );
  const told = { networkId: idOf("shop"), nodeId: idOf("host1"), epochs: [1], upTo: 7 };
  const source = { installed: () => [told] };
  const of = (node: string) => project(c.state, idOf(node), source);
  assert.deepEqual(of("host1")?.installed, [told]);
  assert.deepEqual(of("host2")?.installed, []);
  const { digest, ...content } = of("host1") ?? assert.fail();
  assert.equal(digest, jsonDigest(JSON.parse(JSON.stringify(content))));
  assert.notEqual(digest, projected(c, "host1").digest);
  assert.equal(of("host2")?.digest, projected(c, "host2").digest);
});
