import assert from "node:assert/strict";
import { encodeBase32, encodeBase64url } from "../base/mod.ts";
import type {
  ProjectedEncryption,
  ProjectedHolder,
  ProjectedNetwork,
  Projection,
} from "../state/mod.ts";
import { buildDesired, type Desired, type LocalAttachment } from "./desired.ts";
import { maybePortName, portName } from "./names.ts";

const id = (number: number) => encodeBase32(new Uint8Array(16).fill(number));
const HERE = id(1);
const THERE = id(2);

function network(number: number, name: string): ProjectedNetwork {
  const endpoint = (last: number, nodeId: string) => ({
    id: id(number * 10 + last),
    name: null,
    ip: `10.64.${number}.${last}`,
    mac: `02:00:0a:40:0${number}:0${last}`,
    nodeId,
    vtepAddress: nodeId === HERE ? "192.0.2.1" : "192.0.2.2",
  });
  return {
    id: id(number),
    name,
    vni: 4096 + number,
    subnet: `10.64.${number}.0/24`,
    mtuBytes: 1450,
    port: 19_999,
    encryption: null,
    endpoints: [endpoint(2, HERE), endpoint(3, THERE), endpoint(4, HERE)],
  };
}

const PROJECTION: Projection = {
  v: 1,
  clusterId: id(8),
  incarnation: id(9),
  generation: 0,
  node: { id: HERE, index: 1, vtepAddress: "192.0.2.1", bootKey: null },
  networks: [network(3, "shop"), network(4, "bank")],
  retained: [],
  installed: [],
  goneUpTo: 0,
  digest: "",
};

function attachment(networkNumber: number, last: number): LocalAttachment {
  return {
    endpointId: id(networkNumber * 10 + last),
    networkId: id(networkNumber),
    target: { kind: "path", path: "/run/netns/web" },
    interfaceName: null,
  };
}

Deno.test("buildDesired tells local from remote, and keeps the order of attachments", () => {
  const { networks, endpoints } = buildDesired(PROJECTION, [attachment(4, 2), attachment(3, 4)]);
  assert.deepEqual(networks.map(({ name }) => name), ["shop", "bank"]);
  assert.deepEqual(networks[0]?.remotes, [
    { ip: "10.64.3.3", mac: "02:00:0a:40:03:03", vtepAddress: "192.0.2.2" },
  ]);
  assert.deepEqual(endpoints.map(({ ip, prefixLength }) => `${ip}/${prefixLength}`), [
    "10.64.4.2/24",
    "10.64.3.4/24",
  ]);
});

Deno.test("buildDesired leaves out what the projection does not confirm", () => {
  // Not there; of another node; claimed for another network than it is on.
  const strangers = [
    attachment(5, 2),
    attachment(3, 3),
    { ...attachment(3, 2), networkId: id(4) },
  ];
  assert.deepEqual(buildDesired(PROJECTION, strangers).endpoints, []);
});

Deno.test("a port's name fits the kernel's 15 bytes", () => {
  assert.equal(portName(id(200)).length, 15);
  assert.ok(maybePortName(portName(id(200))));
  assert.ok(!maybePortName("eth0"));
});

Deno.test("buildDesired takes a peer's word for what it receives only if it has heard of this host", () => {
  const bootKey = encodeBase64url(new Uint8Array(32).fill(7));
  const holder = (nodeId: string, revision: number): ProjectedHolder => ({
    ...{ nodeId, index: revision, vtepAddress: "192.0.2.9", bootKey, revision },
    state: "attached",
  });
  const encryption: ProjectedEncryption = {
    slot: 5,
    epochs: [{ epoch: 3, secret: encodeBase64url(new Uint8Array(32).fill(9)) }],
    holders: [holder(HERE, 20), holder(THERE, 10), holder(id(5), 30), holder(id(6), 5)],
  };
  const told = (nodeId: string, upTo: number) => ({
    ...{ networkId: id(3), nodeId, epochs: [2, 3], upTo },
  });
  const { networks: [bank], host } = buildDesired({
    ...PROJECTION,
    node: { ...PROJECTION.node, bootKey },
    networks: [{ ...network(3, "bank"), encryption }],
    installed: [told(THERE, 20), told(id(5), 19), { ...told(id(5), 99), networkId: id(4) }],
  }, []);
  assert.deepEqual(host.bootPublicKey, new Uint8Array(32).fill(7));
  const { slot, upTo, peers, epochs } = bank?.encryption ?? {};
  assert.deepEqual([slot, upTo], [5, 30]);
  assert.deepEqual(peers?.map(({ nodeId, receives }) => [nodeId, receives]), [
    [THERE, [2, 3]],
    [id(5), []],
    [id(6), null],
  ]);
  assert.equal(JSON.stringify(epochs), '[{"epoch":3,"secret":"[secret]"}]');
  assert.deepEqual(epochs?.[0]?.secret.reveal(), new Uint8Array(32).fill(9));
});

Deno.test("buildDesired gives the same objects for remote endpoints that it has given before", () => {
  const there = (number: number) => ({
    ...{ id: id(number), name: null, ip: `10.64.3.${number}`, mac: "02:00:00:00:00:01" },
    ...{ nodeId: THERE, vtepAddress: "192.0.2.2" },
  });
  const of = (before: Desired | null, ...numbers: number[]) => {
    const bank = { ...network(3, "bank"), endpoints: numbers.map(there) };
    return buildDesired({ ...PROJECTION, networks: [bank] }, [], before);
  };
  const before = of(null, 10, 11, 12, 13, 14, 15);
  const after = of(before, 9, 10, 12, 14, 15, 16);
  const known = before.networks[0]?.remotes ?? [];
  const places = after.networks[0]?.remotes.map((remote) => known.indexOf(remote));
  assert.deepEqual(places, [-1, 0, 2, 4, 5, -1]);
  assert.deepEqual(after, of(null, 9, 10, 12, 14, 15, 16));
});

Deno.test("buildDesired gives the same objects for peers of which nothing is another", () => {
  const peer = (number: number, more: Partial<ProjectedHolder> = {}): ProjectedHolder => ({
    ...{ nodeId: id(number), index: number, vtepAddress: `192.0.2.${number}` },
    ...{ bootKey: `key ${number}`, revision: number, state: "attached", ...more },
  });
  const of = (before: Desired | null, holders: readonly ProjectedHolder[], epochs: number[]) => {
    const encryption = { slot: 5, epochs: [], holders: [peer(1), ...holders] };
    const bank = { ...network(3, "bank"), encryption };
    const installed = [{ networkId: id(3), nodeId: id(10), epochs, upTo: 20 }];
    return buildDesired({ ...PROJECTION, networks: [bank], installed }, [], before);
  };
  const before = of(null, [10, 11, 12, 13].map((number) => peer(number)), [1]);
  const now = [peer(9), peer(10), peer(11, { state: "left" }), peer(13)];
  const known = before.networks[0]?.encryption?.peers ?? [];
  const places = (after: Desired) =>
    after.networks[0]?.encryption?.peers.map((one) => known.indexOf(one));
  assert.deepEqual(places(of(before, now, [1])), [-1, 0, -1, 3]);
  // What it receives is of it, too.
  assert.deepEqual(places(of(before, now, [1, 2])), [-1, -1, -1, 3]);
  assert.deepEqual(of(before, now, [2]), of(null, now, [2]));
});
