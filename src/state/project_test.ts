import assert from "node:assert/strict";
import { jsonDigest } from "../base/mod.ts";
import { Conversation, idOf } from "./conversation_test.ts";
import { NOTHING_INSTALLED, project, type Projection } from "./mod.ts";

function after(...lines: readonly string[]): Conversation {
  const conversation = new Conversation();
  for (const line of ["init host1", "token token", "join host2", "join host3", ...lines]) {
    const answer = conversation.say(line);
    assert.match(answer, / rev |^ok/, `${line}: ${answer}`);
  }
  return conversation;
}

function projected({ state }: Conversation, node: string): Projection {
  const projection = project(state, idOf(node), NOTHING_INSTALLED);
  assert.ok(projection !== null);
  return projection;
}

Deno.test("a member sees its networks whole", () => {
  const c = after("network shop", "endpoint shop/web@host1", "endpoint shop/-db@host2");
  const { networks, node, clusterId, incarnation } = projected(c, "host1");
  assert.deepEqual(node, { id: idOf("host1"), index: 1, vtepAddress: "192.0.2.1", bootKey: null });
  assert.deepEqual([clusterId, incarnation], [idOf("cluster"), idOf("incarnation")]);
  const web = {
    id: idOf("web"),
    name: "web",
    ip: "10.64.0.2",
    mac: "02:00:0a:40:00:02",
    nodeId: idOf("host1"),
    vtepAddress: "192.0.2.1",
  };
  const db = {
    id: idOf("db"),
    name: null,
    ip: "10.64.0.3",
    mac: "02:00:0a:40:00:03",
    nodeId: idOf("host2"),
    vtepAddress: "192.0.2.2",
  };
  assert.deepEqual(networks, [{
    id: idOf("shop"),
    name: "shop",
    vni: 4096,
    subnet: "10.64.0.0/24",
    mtuBytes: 1450,
    port: 19999,
    encryption: null,
    endpoints: [web, db].sort((left, right) => left.id < right.id ? -1 : 1),
  }]);
});

Deno.test("a node sees nothing of a network on which it has no endpoint", () => {
  const c = after(
    "network shop",
    "network blog",
    "endpoint shop/web@host1",
    "endpoint blog/b@host2",
  );
  const before = projected(c, "host2");
  assert.deepEqual(before.networks.map(({ name }) => name), ["blog"]);
  assert.deepEqual(projected(c, "host3").networks, []);
  const text = JSON.stringify(before);
  for (const secret of ["shop", idOf("shop"), idOf("web"), idOf("host1"), '192.0.2.1"']) {
    assert.ok(!text.includes(secret), secret);
  }
  c.say("endpoint shop/more@host3");
  assert.equal(projected(c, "host2").digest, before.digest);
  c.say("drop b");
  assert.deepEqual(projected(c, "host2").networks, []);
});

Deno.test("who is no member has no projection", () => {
  const c = after("remove host2");
  assert.equal(project(c.state, idOf("host2"), NOTHING_INSTALLED), null);
  assert.equal(project(c.state, idOf("nobody"), NOTHING_INSTALLED), null);
});

Deno.test("the MTU is the least of a person's choice and what members' underlays leave", () => {
  const c = after("network shop", "endpoint shop/web@host1");
  const mtu = () => projected(c, "host1").networks[0]?.mtuBytes;
  const steps: readonly (readonly [string, number])[] = [
    ["describe host1 mtu=9000", 8950],
    ["describe host2 mtu=1400", 8950],
    ["endpoint shop/db@host2", 1350],
    ["describe host2 mtu=1400 vtep=2001:db8::2", 1330],
    ["change shop mtu=2000", 1330],
    ["change shop mtu=1300", 1300],
    ["change shop mtu=none", 1330],
    ["drop db", 8950],
  ];
  for (const [line, expected] of steps) {
    c.say(line);
    assert.equal(mtu(), expected, line);
  }
});

Deno.test("every change that members should hear of changes their digests, and is announced", () => {
  const c = after("network shop", "endpoint shop/web@host1 shop/db@host2");
  for (
    const line of [
      "describe host2 vtep=192.0.2.22",
      "describe host2 vtep=192.0.2.22 mtu=1400",
      "endpoint shop/more@host2",
      "drop more",
      "change shop mtu=1000",
      "set plainVxlanPort=4789",
      "remove host2",
    ]
  ) {
    const before = projected(c, "host1").digest;
    assert.match(c.say(line), /changed.*<host1>/, line);
    assert.notEqual(projected(c, "host1").digest, before, line);
  }
});

Deno.test("the digest is that of the rest of the projection", () => {
  const c = after(
    "network shop",
    "network blog",
    "endpoint shop/w@host1 blog/b@host1 shop/x@host2",
  );
  for (
    const line of [
      "network bank encrypted=x",
      "endpoint bank/y@host1 bank/z@host2",
      "drop z",
      "remove host3",
    ]
  ) {
    c.say(line);
    for (const node of ["host1", "host2"]) {
      const { digest, ...content } = projected(c, node);
      assert.equal(digest, jsonDigest(JSON.parse(JSON.stringify(content))), line);
    }
  }
});

Deno.test("equal content has one digest, whatever the order in which it came to be", () => {
  const one = after(
    "network shop subnet=10.1.0.0/24",
    "endpoint shop/a@host1 ip=10.1.0.5",
    "endpoint shop/b@host2 ip=10.1.0.6",
    "network other",
    "describe host2 mtu=1400",
  );
  const two = after(
    "describe host2 mtu=1400",
    "network shop subnet=10.1.0.0/24",
    "network blog",
    "endpoint shop/b@host2 ip=10.1.0.6",
    "endpoint blog/x@host3",
    "endpoint shop/a@host1 ip=10.1.0.5",
  );
  assert.equal(projected(one, "host1").digest, projected(two, "host1").digest);
  assert.notEqual(projected(one, "host1").digest, projected(two, "host2").digest);
});
