import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import { Conversation, hashOf, idOf } from "./conversation_test.ts";
import {
  decodeSnapshot,
  encodeSnapshot,
  NOTHING_INSTALLED,
  project,
  type Projection,
} from "./mod.ts";

/** Three managers and a worker with a plain and an encrypted network on all of them. */
function filled(): Conversation {
  const c = new Conversation();
  for (
    const line of [
      "init host1",
      "token token",
      "token boss role=manager",
      "join host2 token=boss role=manager",
      "join host3 token=boss role=manager",
      "join host4",
      "network plain",
      "network shop encrypted=one allow=host1,host2,host4",
      "endpoint plain/a@host1 plain/b@host2 plain/c@host3 plain/d@host4",
      "endpoint shop/e@host1 shop/f@host2 shop/g@host4",
      ...[1, 2, 4].map((number) => `publish host${number} number=7`),
      "rotate shop 2",
    ]
  ) assert.match(c.say(line), / rev /, line);
  return c;
}

function projected({ state }: Conversation, node: string): Projection {
  const projection = project(state, idOf(node), NOTHING_INSTALLED);
  assert.ok(projection !== null);
  return projection;
}

function encryptionOf(c: Conversation, node: string) {
  const encrypted = projected(c, node).networks.find(({ encryption }) => encryption !== null);
  return encrypted?.encryption ?? assert.fail("there is an encrypted network");
}

Deno.test("a manager that is left goes on alone: the others go, and tokens, and all keys", () => {
  const c = filled();
  c.check(`
    > recover second keep=host2 secrets=new
    1 <host1>,<host3> 3 2 1 | rev 15 | changed managers <host2> <host4> -<host1> -<host3>
    > label host2 labels=a:b
    <host2> labels {"a":"b"} | rev 16
    > role host2 to=worker
    last-manager: host2 is the only manager: nobody would be left
    > join host5
    token-unknown: The token is not known: it was deleted, or is of another cluster. Make one on a manager: agent token create
    > change shop labels=a:b
    shop 10.64.1.0/24 vni 4097 slot 0 epochs 3 holders <host4> <host2> | rev 17
    > token again
    token worker uses 10 | rev 18
    > join host3 token=again
    <host3> host3 | rev 19 | changed <host3>
  `);
  const { state } = c;
  assert.deepEqual([state.generation, state.incarnation], [1, idOf("second")]);
  assert.deepEqual([...state.endpoints.keys()].sort(), ["b", "d", "f", "g"].map(idOf).sort());
  const allowed = state.networkByName("shop")?.allowedNodes;
  assert.deepEqual(allowed === "any" ? [] : allowed?.ids, [idOf("host2"), idOf("host4")].sort());
});

Deno.test("no key of an earlier incarnation is in any projection, nor made again", () => {
  const c = filled();
  const before = encryptionOf(c, "host4");
  assert.equal(before.holders.filter(({ bootKey }) => bootKey !== null).length, 3);
  c.say("recover second keep=host2 secrets=new");
  for (const host of ["host2", "host4"]) {
    const { epochs, holders } = encryptionOf(c, host);
    assert.deepEqual(epochs, [{ epoch: 3, secret: hashOf("new") }]);
    assert.deepEqual(holders.map(({ bootKey }) => bootKey), [null, null]);
    const { generation, incarnation, node } = projected(c, host);
    assert.deepEqual([generation, incarnation, node.bootKey], [1, idOf("second"), null]);
  }
  const bytes = decodeUtf8(encodeSnapshot(c.state));
  for (const old of ["one", "secret 2 of shop"]) assert.ok(!bytes.includes(hashOf(old)), old);
  c.check(`
    > publish host4 number=8
    stale-key /incarnation: The boot key of host4 is of another incarnation of the cluster: it has to make a new one
    > publish host4 number=8 incarnation=second
    stale-key /bootKey/publicKey: host4 has used this boot key before, with another boot or in another incarnation: it has to make a new one
    > publish host4 number=8 incarnation=second key=fresh
    <host4> | rev 16 | changed <host2> <host4>
  `);
});

Deno.test("who has left an encrypted network is told to delete its SAs, and is still waited for", () => {
  const c = filled();
  c.say("drop g");
  assert.equal(projected(c, "host4").retained.length, 1);
  c.say("recover second keep=host2 secrets=new");
  assert.deepEqual(projected(c, "host4").retained, []);
  c.check(`
    > change shop labels=a:b
    shop 10.64.1.0/24 vni 4097 slot 0 epochs 3 holders <host2> <host4>(former) | rev 17
  `);
});

Deno.test("a new host takes the place of all managers, also under the name of one of them", () => {
  const c = filled();
  c.check(`
    > recover second node=host4 id=other key=other secrets=new
    node-exists /node/facts/hostname: A member is called "host4" already (<host4>, at 192.0.2.4). If that host is gone: agent node rm host4 | {"node":"<host4>"}
    > recover second node=host2 id=other key=other secrets=new
    1 <host1>,<host2>,<host3> 5 2 1 | rev 15 | changed managers <host4> <other> -<host1> -<host2> -<host3>
  `);
  const node = c.state.nodeByName("host2");
  assert.deepEqual([node?.id, node?.role, node?.index], [idOf("other"), "manager", 5]);
  assert.deepEqual([...c.state.nodes.keys()].sort(), [idOf("host4"), idOf("other")].sort());
});

Deno.test("what cannot be recovered is refused, and nothing changes", () => {
  const c = filled();
  const before = decodeUtf8(encodeSnapshot(c.state));
  c.check(`
    > recover incarnation keep=host2 secrets=new
    invalid-value /incarnation: The cluster has this incarnation already: draw another one
    > recover second keep=host4 secrets=new
    not-found /keep: There is no manager <host4> in this state of the cluster
    > recover second secrets=new
    invalid-value: Either a manager stays, or a new one takes the place of all
    > recover second keep=host2 node=host9 secrets=new
    invalid-value: Either a manager stays, or a new one takes the place of all
    > recover second keep=host2
    invalid-value /secrets: There are 0 secrets for 1 encrypted networks
    > recover second keep=host2 secrets=new,more
    invalid-value /secrets: There are 2 secrets for 1 encrypted networks
    > recover second node=host9 key=host2 secrets=new
    node-exists /node/certificate/spkiHash: The key belongs to the member host2 already: make a new key | {"node":"<host2>"}
  `);
  const kept = (text: string) => ({ ...JSON.parse(text), generated: null });
  assert.deepEqual(kept(decodeUtf8(encodeSnapshot(c.state))), kept(before));
  new Conversation().check(`
    > recover second keep=host2
    no-cluster: There is no cluster yet: agent init makes one
  `);
});

Deno.test("a cluster that was never recovered is saved as before, and read as generation 0", () => {
  const c = filled();
  const old = JSON.parse(decodeUtf8(encodeSnapshot(c.state)));
  assert.deepEqual([old.v, "generation" in old.cluster], [1, false]);
  assert.equal(decodeSnapshot(encodeSnapshot(c.state)).generation, 0);
  c.say("recover second keep=host2 secrets=new");
  const bytes = encodeSnapshot(c.state);
  assert.equal(JSON.parse(decodeUtf8(bytes)).v, 2);
  const again = decodeSnapshot(bytes);
  assert.equal(again.generation, 1);
  assert.equal(decodeUtf8(encodeSnapshot(again)), decodeUtf8(bytes));
  c.say("recover third keep=host2 secrets=newer");
  assert.equal(c.state.generation, 2);
  assert.throws(
    () => decodeSnapshot(encodeUtf8(JSON.stringify({ ...old, v: 3 }))),
    /reads up to 2/,
  );
});
