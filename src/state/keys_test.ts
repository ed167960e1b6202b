import assert from "node:assert/strict";
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

Deno.test("an encrypted network begins with epoch 1 in the next slot, and goes from epoch to epoch", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network shop encrypted=one
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 1 | rev 2
    > network bank encrypted=two every=60
    bank 10.64.1.0/24 vni 4097 slot 1 every 60 epochs 1 | rev 3
    > network plain
    plain 10.64.2.0/24 vni 4098 | rev 4
    > rotate shop 2
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2,1 | rev 5
    > rotate shop 2
    epoch-conflict /epoch: The newest key of shop is that of epoch 2: epoch 2 cannot follow it | {"newest":2}
    > rotate shop 4
    epoch-conflict /epoch: The newest key of shop is that of epoch 2: epoch 4 cannot follow it | {"newest":2}
    > rotate plain 2
    not-encrypted /id: plain is not encrypted: that is chosen when a network is made
    > retire shop 2
    epoch-conflict /epochs: Epoch 2 of shop is its newest: it ends after the next has begun | {"newest":2}
    > retire shop 1
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2 | rev 6
    > retire shop 1
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2 | rev 6
    > retire plain 1
    not-encrypted /id: plain is not encrypted: that is chosen when a network is made
    > rotate nobody 2
    not-found /id: There is no network <nobody>
    > change shop every=4
    invalid-value /rotationIntervalMs: The value must be a whole number in 5000 to 2592000000
    > change shop every=5
    shop 10.64.0.0/24 vni 4096 slot 0 every 5 epochs 2 | rev 7
    > change shop every=5
    shop 10.64.0.0/24 vni 4096 slot 0 every 5 epochs 2 | rev 7
    > change shop every=none
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2 | rev 8
    > change plain every=5
    not-encrypted /rotationIntervalMs: plain is not encrypted: it has no keys that could be changed
  `);
});

Deno.test("six epochs live at most: the seventh waits for the end of the first", () => {
  const c = after("network shop encrypted=one", ...[2, 3, 4, 5, 6].map((n) => `rotate shop ${n}`));
  c.check(`
    > rotate shop 7
    epoch-conflict /epoch: shop has epochs from 1 to 6: the oldest has to end first | {"newest":6}
    > retire shop 2 3
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 6,5,4,1 | rev 11
    > rotate shop 7
    epoch-conflict /epoch: shop has epochs from 1 to 6: the oldest has to end first | {"newest":6}
    > retire shop 1
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 6,5,4 | rev 12
    > rotate shop 7
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 7,6,5,4 | rev 13
  `);
});

Deno.test("who comes and goes is a holder until nothing of its time lives any more", () => {
  const c = after("network shop encrypted=one");
  c.check(`
    > endpoint shop/-a@host1 shop/-b@host2
    (unnamed) 10.64.0.2 02:00:0a:40:00:02, (unnamed) 10.64.0.3 02:00:0a:40:00:03 | rev 6 | changed <host1> <host2>
    > rotate shop 2
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2,1 holders <host1> <host2> | rev 7 | changed <host1> <host2>
    > drop b
    ids <b> | rev 8 | changed <host1> <host2>
    > rotate shop 3
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 3,2,1 holders <host1> <host2>(left 2) | rev 9 | changed <host1>
    > retire shop 1
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 3,2 holders <host1> <host2>(left 2) | rev 10 | changed <host1> <host2>
    > endpoint shop/-c@host3
    (unnamed) 10.64.0.3 02:00:0a:40:00:03 | rev 11 | changed <host1> <host2> <host3>
    > endpoint shop/-d@host3
    (unnamed) 10.64.0.4 02:00:0a:40:00:04 | rev 12 | changed <host1> <host3>
    > retire shop 2
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 3 holders <host1> <host3> <host2>(former) | rev 13 | changed <host1> <host2> <host3>
    > drop d
    ids <d> | rev 14 | changed <host1> <host3>
    > endpoint shop/-b2@host2
    (unnamed) 10.64.0.4 02:00:0a:40:00:04 | rev 15 | changed <host1> <host2> <host3>
    > change shop labels=a:b
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 3 holders <host1> <host3> <host2> | rev 16
  `);
});

Deno.test("the last endpoint goes and comes back: the same epochs, and peers hear of it anew", () => {
  const c = after("network shop encrypted=one", "endpoint shop/-a@host1 shop/-b@host2");
  const revisionOf2 = () =>
    projected(c, "host1").networks[0]?.encryption?.holders.find(({ nodeId }) =>
      nodeId === idOf("host2")
    )?.revision;
  assert.equal(revisionOf2(), 6);
  c.say("drop b");
  assert.deepEqual(projected(c, "host2").networks, []);
  assert.deepEqual(projected(c, "host2").retained, [{
    id: idOf("shop"),
    slot: 0,
    port: 20000,
    epochs: [1],
    peers: [{ nodeId: idOf("host1"), index: 1, vtepAddress: "192.0.2.1" }],
  }]);
  c.say("endpoint shop/-b2@host2");
  assert.equal(revisionOf2(), 8);
  assert.deepEqual(projected(c, "host2").retained, []);
  assert.deepEqual(projected(c, "host2").networks[0]?.encryption?.epochs, [
    { epoch: 1, secret: hashOf("one") },
  ]);
});

Deno.test("a host without encryption gets no endpoint on an encrypted network, and is told why", () => {
  const c = after("network shop encrypted=one", "network plain");
  c.say("describe host2 encryption=install_linux-modules-extra");
  c.check(`
    > endpoint shop/-a@host1 shop/-b@host2
    encryption-unavailable /endpoints/1/nodeId: The node host2 cannot have endpoints on shop, which is encrypted: install_linux-modules-extra | {"node":"<host2>","network":"<shop>"}
    > endpoint plain/-a@host2
    (unnamed) 10.64.1.2 02:01:0a:40:01:02 | rev 8 | changed <host2>
  `);
});

Deno.test("a boot key is published once for each boot, and an old report changes nothing", () => {
  const c = after("network shop encrypted=one", "endpoint shop/-a@host1 shop/-b@host2");
  c.check(`
    > publish host2 key=k1 number=5
    <host2> | rev 7 | changed <host1> <host2>
    > publish host2 key=k1 number=6
    <host2> | rev 7
    > publish host2 key=k0 number=4
    stale-key /bootKey/reportNumber: Report 4 of host2 is not after 5, with which its present boot key came: it is late, or the machine was copied or restored
    > publish host2 key=k1 boot=boot2 number=8
    stale-key /bootKey/publicKey: host2 has used this boot key before, with another boot or in another incarnation: it has to make a new one
    > publish host2 key=k2 boot=boot2 number=8 incarnation=old
    stale-key /incarnation: The boot key of host2 is of another incarnation of the cluster: it has to make a new one
    > publish host2 key=k2 boot=boot2 number=8
    <host2> | rev 8 | changed <host1> <host2>
    > publish host3 key=k3
    <host3> | rev 9 | changed <host3>
    > publish nobody
    not-found /id: There is no node <nobody>
    > drop b
    ids <b> | rev 10 | changed <host1> <host2>
    > publish host2 key=k9 boot=boot3 number=9
    <host2> | rev 11 | changed <host1> <host2>
    > publish host1 key=k10
    <host1> | rev 12 | changed <host1>
  `);
  const holders = projected(c, "host1").networks[0]?.encryption?.holders;
  assert.deepEqual(
    holders?.map(({ bootKey, revision, state }) => [bootKey, revision, state]).sort(),
    [[hashOf("key k10"), 12, "attached"], [hashOf("key k9"), 11, "left"]].sort(),
  );
});

Deno.test("a host that moves is heard of by those who left, too", () => {
  const c = after("network shop encrypted=one", "endpoint shop/-a@host1 shop/-b@host2", "drop b");
  c.check(`
    > describe host1 vtep=192.0.2.77
    <host1> | rev 8 | changed <host1> <host2>
    > describe host1 vtep=192.0.2.77 mtu=1400
    <host1> | rev 9 | changed <host1>
  `);
  assert.equal(projected(c, "host2").retained[0]?.peers[0]?.vtepAddress, "192.0.2.77");
  assert.equal(
    projected(c, "host1").networks[0]?.encryption?.holders.find(({ nodeId }) =>
      nodeId === idOf("host1")
    )?.revision,
    8,
  );
});

Deno.test("a removed node makes a rotation due, and its index waits for those it had SAs with", () => {
  const c = after(
    "network shop encrypted=one",
    "network bank encrypted=two",
    "network plain",
    "endpoint shop/-a@host1 shop/-b@host2 plain/-p@host2 plain/-q@host3",
  );
  c.check(`
    > remove host2
    <host2> 2 | rev 9 | changed <host1> <host3> -<host2>
    > change shop labels=x:y
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 1 holders <host1> due | rev 10
    > change bank labels=x:y
    bank 10.64.1.0/24 vni 4097 slot 1 epochs 1 | rev 11
    > rotate shop 2
    shop 10.64.0.0/24 vni 4096 slot 0 epochs 2,1 holders <host1> | rev 12 | changed <host1>
  `);
  assert.deepEqual([...c.state.waitingNumbers], [
    { kind: "index", number: 2, revision: 9, nodes: [idOf("host1")] },
  ]);
  assert.equal(projected(c, "host1").goneUpTo, 9);
  assert.equal(projected(c, "host3").goneUpTo, 0);
  c.check(`
    > free indexes=2 upTo=8
    free slots  indexes  | rev 12
    > free indexes=2,3 slots=0 upTo=9
    free slots  indexes 2 | rev 13 | changed <host1>
    > free indexes=2
    free slots  indexes  | rev 13
  `);
  assert.deepEqual([...c.state.waitingNumbers], []);
});

Deno.test("a slot waits for all who may have SAs of it, those long gone too, but for no stranger", () => {
  const c = after(
    "network shop encrypted=one",
    "endpoint shop/-a@host1 shop/-b@host2",
    "drop b",
    "rotate shop 2",
    "retire shop 1",
    "drop a",
  );
  c.check(`
    > delete shop
    <shop> | rev 11 | changed <host1> <host2>
  `);
  const nodes = [idOf("host1"), idOf("host2")].sort();
  assert.deepEqual([...c.state.waitingNumbers], [{ kind: "slot", number: 0, revision: 11, nodes }]);
  assert.deepEqual(projected(c, "host1").retained, []);
  assert.equal(projected(c, "host1").goneUpTo, 11);
  // What host2 could say is of no use any more: it is no member.
  c.check(`
    > remove host2
    <host2> 0 | rev 12 | changed <host1> -<host2>
  `);
  assert.deepEqual([...c.state.waitingNumbers], [
    { kind: "slot", number: 0, revision: 11, nodes: [idOf("host1")] },
    // Of the SAs between the two.
    { kind: "index", number: 2, revision: 12, nodes: [idOf("host1")] },
  ]);
  c.check(`
    > free slots=0
    free slots 0 indexes  | rev 13 | changed <host1>
  `);
});

Deno.test("what nobody has SAs of is free at once, and comes last", () => {
  const c = after("network shop encrypted=one", "delete shop", "network again encrypted=two");
  assert.deepEqual([...c.state.waitingNumbers], []);
  assert.equal(c.state.networkByName("again")?.keys?.slot, 1);
  c.say("remove host3");
  c.say("join host4");
  assert.equal(c.state.nodeByName("host4")?.index, 4);
});

Deno.test("ports of encrypted networks stay where they are while there is one", () => {
  const c = after("network shop encrypted=one", "delete shop", "network bank encrypted=two");
  c.check(`
    > set encryptedVxlanPortBase=30000
    in-use /settings/encryptedVxlanPortBase: Encrypted networks (1) have ports from there on: delete them first | {"networks":["<bank>"]}
    > delete bank
    <bank> | rev 8
    > set encryptedVxlanPortBase=30000
    settings 9 | rev 9 | changed settings
  `);
});
