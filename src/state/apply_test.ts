import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson, decodeUtf8, type Id, type Json } from "../base/mod.ts";
import { isAllowed } from "./allowed.ts";
import { Conversation } from "./conversation_test.ts";
import {
  ClusterState,
  type Command,
  decodeSnapshot,
  encodeSnapshot,
  type Entry,
  type NetworkKeys,
  NOTHING_INSTALLED,
  project,
} from "./mod.ts";

const network = fc.constantFrom("a", "b", "c", "e");
const encrypted = fc.constantFrom("c", "d", "e");
const host = fc.constantFrom("host1", "host2", "host3");
const endpoint = fc.constantFrom("x1", "x2", "x3", "x4", "x5", "x6");

/** Words or nothing. */
function maybe(...choices: readonly string[]): fc.Arbitrary<string> {
  return fc.constantFrom("", ...choices.map((choice) => ` ${choice}`));
}

const place = fc.tuple(
  network,
  endpoint,
  host,
  maybe("", "ip=10.1.0.2", "ip=10.1.0.3", "ip=10.1.0.66"),
  maybe("", "mac=02:aa:00:00:00:01", "mac=02:00:0a:01:00:03"),
).map(([net, name, node, ip, mac]) => `${net}/${name}@${node}${ip}${mac}`);

/** Lines of a conversation in which everything is scarce, so that commands get in each other's way. */
const line: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(
    network,
    maybe("id=a"),
    maybe("subnet=10.1.0.0/29", "subnet=10.1.0.0/24", "subnet=10.9.0.0/16"),
    maybe("allow=host2", "having=zone:a", "mtu=1000", "mtu=2000", "encrypted=yes"),
  ).map(([name, id, subnet, more]) => `network ${name}${id}${subnet}${more}`),
  fc.tuple(network, maybe("allow=any", "allow=host1,host3", "having=zone:a"), maybe("mtu=900"))
    .map(([name, allow, mtu]) => `change ${name}${allow}${mtu}`),
  fc.tuple(network, maybe("if=3")).map(([name, when]) => `delete ${name}${when}`),
  fc.array(place, { minLength: 1, maxLength: 3 }).map((places) => `endpoint ${places.join(" ")}`),
  fc.array(endpoint, { minLength: 1, maxLength: 2 }).map((names) => `drop ${names.join(" ")}`),
  fc.tuple(host, maybe("role=manager token=boss", "token=once"), maybe("labels=zone:a"))
    .map(([name, token, labels]) => `join ${name}${token}${labels}`),
  fc.tuple(
    host,
    maybe("mtu=1300", "routes=10.1.0.0/27", "vtep=10.1.0.77", "hostname=host1", "encryption=none"),
  )
    .map(([name, facts]) => `describe ${name}${facts}`),
  fc.tuple(host, maybe("labels=zone:a")).map(([name, labels]) => `label ${name}${labels}`),
  fc.tuple(host, fc.constantFrom("k1", "k2", "host1")).map(([name, key]) =>
    `certify ${name} key=${key}`
  ),
  host.map((name) => `remove ${name}`),
  fc.tuple(encrypted, fc.integer({ min: 2, max: 9 })).map(([name, epoch]) =>
    `rotate ${name} ${epoch}`
  ),
  fc.tuple(encrypted, fc.integer({ min: 1, max: 8 })).map(([name, epoch]) =>
    `retire ${name} ${epoch} ${epoch + 1}`
  ),
  fc.tuple(host, fc.integer({ min: 1, max: 9 }), maybe("boot=boot2", "incarnation=old"))
    .map(([name, number, more]) => `publish ${name} key=k${number} number=${number}${more}`),
  fc.tuple(maybe("slots=0,1", "slots=2"), maybe("indexes=2,3", "indexes=4"), maybe("upTo=20"))
    .map(([slots, indexes, upTo]) => `free${slots}${indexes}${upTo}`),
  fc.tuple(encrypted, maybe("every=5", "every=none", "every=4")).map(([name, every]) =>
    `change ${name}${every}`
  ),
  fc.tuple(encrypted, endpoint, host).map(([name, id, node]) => `endpoint ${name}/${id}@${node}`),
  encrypted.map((name) => `network ${name} encrypted=${name}`),
  host.map((name) => `join ${name}`),
  network.map((name) => `network ${name}`),
  fc.tuple(network, endpoint, host).map(([name, id, node]) => `endpoint ${name}/${id}@${node}`),
  fc.tuple(endpoint, host).map(([id, node]) => `endpoint a/${id}@${node}`),
  place.map((one) => `endpoint ${one}`),
  fc.constantFrom("token once uses=1 seconds=5", "revoke once", "set subnetPrefixLength=28"),
  fc.constantFrom("wait 1", "wait 59", "wait 61"),
  fc.tuple(
    fc.constantFrom("second", "third", "incarnation"),
    fc.constantFrom("keep=host1", "keep=host2", "node=host3", "node=host4 key=k4 id=other"),
    maybe("secrets=x", "secrets=x,y", "secrets=x,y,z"),
  ).map(([incarnation, who, secrets]) => `recover ${incarnation} ${who}${secrets}`),
);
const lines = fc.array(line, { minLength: 20, maxLength: 60, size: "max" });

function begin(): Conversation {
  const conversation = new Conversation();
  conversation.say("init host1 addressPool=10.1.0.0/24 subnetPrefixLength=27");
  conversation.say("token token");
  conversation.say("token boss role=manager");
  for (
    const one of ["join host2", "join host3", "network a", "network b", "network e encrypted=e"]
  ) conversation.say(one);
  return conversation;
}

/** All of the state but what a rejection may change. */
function substance(state: ClusterState): string {
  const snapshot = JSON.parse(decodeUtf8(encodeSnapshot(state)));
  for (const key of ["timeMs", "generated", "keyed"]) delete snapshot[key];
  return canonicalJson(snapshot);
}

function assertUnique<T>(values: readonly T[], what: string): void {
  assert.equal(new Set(values).size, values.length, `${what} twice among ${values}`);
}

function assertKeysSound(state: ClusterState, networkId: Id, keys: NetworkKeys): void {
  const { epochs, holders, formerHolders } = keys;
  assert.ok(epochs.length >= 1 && epochs.length <= 6);
  const newest = epochs[0]?.epoch ?? 0;
  const oldest = epochs.at(-1)?.epoch ?? 0;
  assert.ok(newest - oldest < 6, "no two live epochs have a tag in common");
  const attached = holders.filter(({ leftAtEpoch }) => leftAtEpoch === null);
  assert.deepEqual(
    attached.map(({ nodeId }) => nodeId),
    [...state.nodesOfNetwork(networkId)].sort(),
  );
  const all = [...holders.map(({ nodeId }) => nodeId), ...formerHolders];
  assertUnique(all, "a holder");
  assert.ok(all.every((id) => state.nodes.has(id)), "a holder is a member");
  for (const { leftAtEpoch } of holders) {
    assert.ok(leftAtEpoch === null || (leftAtEpoch >= oldest && leftAtEpoch <= newest));
  }
}

function assertSound({ state }: Conversation): void {
  const nodes = [...state.nodes.values()];
  assertUnique(nodes.map(({ index }) => index), "an index");
  assertUnique(nodes.map(({ facts }) => facts.hostname), "a hostname");
  assertUnique(nodes.flatMap(({ certificates }) => certificates.map((c) => c.spkiHash)), "a key");
  assert.ok(nodes.some(({ role }) => role === "manager"));
  const networks = [...state.networks.values()];
  assertUnique(networks.map(({ vni }) => vni), "a VNI");
  assertUnique(networks.map(({ name }) => name), "a network's name");
  assertUnique(networks.map(({ subnet }) => subnet), "a subnet");
  const slots = networks.flatMap(({ keys }) => keys?.slot ?? []);
  const waiting = [...state.waitingNumbers];
  const waitingFor = (kind: string) =>
    waiting.filter((one) => one.kind === kind).map((one) => one.number);
  assertUnique([...slots, ...waitingFor("slot")], "a slot");
  assertUnique([...nodes.map(({ index }) => index), ...waitingFor("index")], "an index");
  for (const { nodes: waitedFor } of waiting) {
    assert.ok(waitedFor.length > 0 && waitedFor.every((id) => state.nodes.has(id)));
  }
  for (const { id, keys } of networks) if (keys !== null) assertKeysSound(state, id, keys);
  for (const one of networks) {
    const endpoints = state.endpointsOf(one.id);
    const expected = [...state.endpoints.values()].filter(({ networkId }) => networkId === one.id);
    assert.deepEqual(new Set(endpoints), new Set(expected));
    assertUnique(endpoints.map(({ ip }) => ip), "an address");
    assertUnique(endpoints.map(({ mac }) => mac), "a MAC");
    assertUnique(endpoints.flatMap(({ name }) => name ?? []), "an endpoint's name");
    for (const { nodeId, name } of endpoints) {
      const node = state.nodes.get(nodeId);
      assert.ok(node !== undefined && isAllowed(one.allowedNodes, node));
      if (name !== null) assert.equal(state.endpointByName(one.id, name)?.nodeId, nodeId);
    }
  }
  for (const { id } of nodes) {
    const expected = [...state.endpoints.values()].filter(({ nodeId }) => nodeId === id);
    assert.deepEqual(new Set(state.endpointsOnNode(id)), new Set(expected));
    const networksOfNode = new Set(expected.map(({ networkId }) => networkId));
    assert.deepEqual(new Set(state.networksOfNode(id)), networksOfNode);
  }
}

function digests(state: ClusterState): Map<string, string> {
  return new Map(
    [...state.nodes.keys()].map((id) => [id, project(state, id, NOTHING_INSTALLED)?.digest ?? ""]),
  );
}

Deno.test("whatever is asked, nothing is given out twice, and the indexes tell the truth", () => {
  fc.assert(fc.property(lines, (all) => {
    const conversation = begin();
    for (const one of all) {
      conversation.say(one);
      assertSound(conversation);
    }
  }));
});

Deno.test("a change counts one revision; a rejection or repetition changes nothing", () => {
  fc.assert(fc.property(lines, (all) => {
    const conversation = begin();
    const { state } = conversation;
    for (const one of all) {
      if (one.startsWith("wait")) {
        conversation.say(one);
        continue;
      }
      const [verb = "", ...words] = one.split(" ");
      const [before, revision] = [substance(state), state.revision];
      const { outcome } = conversation.apply(conversation.command(verb, words));
      const changed = substance(state) !== before;
      assert.equal(state.revision, revision + (changed ? 1 : 0), one);
      if (outcome.ok) assert.equal(outcome.revision, state.revision);
      else assert.ok(!changed, one);
    }
  }));
});

Deno.test("a projection that changes has been announced, and of a removed node the removal", () => {
  fc.assert(fc.property(lines, (all) => {
    const conversation = begin();
    for (const one of all) {
      const before = digests(conversation.state);
      if (one.startsWith("wait")) continue;
      const [verb = "", ...words] = one.split(" ");
      const { changed } = conversation.apply(conversation.command(verb, words));
      const after = digests(conversation.state);
      for (const [id, digest] of after) {
        if (before.get(id) !== digest) assert.ok(changed.nodes.has(id), one);
      }
      for (const id of before.keys()) assert.equal(changed.removedNodes.has(id), !after.has(id));
      for (const id of changed.nodes) assert.ok(after.has(id), one);
    }
  }));
});

Deno.test("a state that was saved and read goes on as if nothing had happened", () => {
  fc.assert(fc.property(lines, fc.integer({ min: 5, max: 30 }), (all, cut) => {
    const one = begin();
    const other = begin();
    all.forEach((text, position) => {
      if (position === cut) other.state = decodeSnapshot(encodeSnapshot(other.state));
      assert.equal(other.say(text), one.say(text));
      assert.deepEqual(digests(other.state), digests(one.state));
    });
    assert.equal(decodeUtf8(encodeSnapshot(other.state)), decodeUtf8(encodeSnapshot(one.state)));
  }));
});

/** Places one value somewhere in another. */
function plant(target: Json, path: readonly number[], value: Json): Json {
  const [step, ...rest] = path;
  if (step === undefined || target === null || typeof target !== "object") return value;
  if (Array.isArray(target)) {
    return target.map((part, index) =>
      index === step % target.length ? plant(part, rest, value) : part
    );
  }
  const keys = Object.keys(target);
  const key = keys[step % (keys.length + 1)] ?? "unknown";
  return { ...target, [key]: plant(Reflect.get(target, key) ?? null, rest, value) };
}

Deno.test("no entry makes apply throw, whatever is in it", () => {
  const json = fc.jsonValue().map((value) => value as Json);
  const kinds = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom("constructor", "__proto__", "network.create"),
  );
  const spoiled = fc.tuple(line, fc.array(fc.nat(8), { maxLength: 4 }), json).map(
    ([text, path, value]) => {
      const [verb = "", ...words] = text.startsWith("wait") ? ["network", "a"] : text.split(" ");
      const command: Command = new Conversation().command(verb, words);
      return { ...command, body: plant(JSON.parse(JSON.stringify(command.body)), path, value) };
    },
  );
  const arbitrary = fc.record({ kind: kinds, body: json });
  fc.assert(
    fc.property(fc.array(fc.oneof(spoiled, arbitrary)), (commands) => {
      const conversation = begin();
      for (const command of commands) {
        const before = substance(conversation.state);
        const { outcome } = conversation.apply(command as Command);
        if (!outcome.ok) assert.equal(substance(conversation.state), before);
        assertSound(conversation);
        decodeSnapshot(encodeSnapshot(conversation.state));
      }
    }),
  );
  fc.assert(fc.property(json, (entry) => {
    const state = ClusterState.empty();
    const { outcome } = state.apply(entry as unknown as Entry);
    assert.equal(outcome.ok, false);
  }));
});

Deno.test("an unknown command or field is named", () => {
  const conversation = begin();
  const cases: readonly (readonly [string, Json, string])[] = [
    ["network.destroy", {}, "unknown-command: "],
    ["constructor", {}, "unknown-command: "],
    ["network.delete", [], "invalid-value: "],
    ["network.delete", {}, "invalid-value /id: "],
    ["network.delete", { id: 1 }, "invalid-value /id: "],
    ["network.delete", { id: "aaaaaaaaaaaaaaaaaaaaaaaaaa", "a/b~": 1 }, "invalid-value /a~1b~0: "],
    [
      "node.update",
      { id: "aaaaaaaaaaaaaaaaaaaaaaaaaa", labels: { a: 1 } },
      "invalid-value /labels/a: ",
    ],
    ["endpoints.create", { endpoints: [] }, "invalid-value /endpoints: "],
    ["endpoints.create", { endpoints: [{}] }, "invalid-value /endpoints/0/id: "],
  ];
  for (const [kind, body, expected] of cases) {
    const answer = conversation.format(conversation.apply({ kind, body } as unknown as Command));
    assert.ok(answer.startsWith(expected), answer);
  }
});

Deno.test("labels are at most 64, of at most 256 characters, and never a prototype", () => {
  const conversation = begin();
  const label = (labels: string) => {
    const command = conversation.command("label", ["host1"]);
    const body = { ...command.body, labels: JSON.parse(labels) };
    return conversation.format(conversation.apply({ ...command, body } as Command));
  };
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [n, ""]));
  const long = "x".repeat(256);
  assert.match(label(JSON.stringify(many(64))), /rev/);
  assert.match(label(JSON.stringify(many(65))), /^invalid-value \/labels: /);
  assert.match(label(JSON.stringify({ [long]: long })), /rev/);
  assert.match(label(JSON.stringify({ [`${long}x`]: "" })), /^invalid-value \/labels\/x/);
  assert.match(label(JSON.stringify({ a: `${long}x` })), /^invalid-value \/labels\/a: /);
  assert.match(label(JSON.stringify({ "": "" })), /^invalid-value \/labels\/: /);
  assert.match(label('{"__proto__":"a"}'), /^invalid-value \/labels\/__proto__: /);
});
