import assert from "node:assert/strict";
import { type Id, IpAddress } from "../base/mod.ts";
import { encodeSpi } from "../esp/mod.ts";
import type { Filter, Sa } from "../netlink/mod.ts";
import type { ProjectedHolder, ProjectedNetwork, Projection } from "../state/mod.ts";
import { guardCounters, peerCounters, type PeerRow, trafficOf } from "./ipsec_rows.ts";

const [OWN, OTHER, LEFT]: Id[] = [
  "aaaaaaaaaaaaaaaaaaaaaaaaae",
  "aaaaaaaaaaaaaaaaaaaaaaaaai",
  "aaaaaaaaaaaaaaaaaaaaaaaaam",
];

function holder(nodeId: Id | undefined, index: number): ProjectedHolder {
  const vtepAddress = `192.0.2.${index}`;
  return {
    nodeId: nodeId ?? "",
    index,
    vtepAddress,
    bootKey: null,
    revision: 1,
    state: "attached",
  };
}

function network(name: string, slot: number): ProjectedNetwork {
  return {
    id: name,
    name,
    vni: 4096 + slot,
    subnet: "10.64.0.0/24",
    mtuBytes: 1416,
    port: 20_000 + slot,
    encryption: {
      slot,
      epochs: [],
      holders: [holder(OWN, 1), holder(OTHER, 2), holder(LEFT, 3)],
    },
    endpoints: [],
  };
}

const projection = {
  node: { id: OWN, index: 1, vtepAddress: "192.0.2.1", bootKey: null },
  networks: [network("red", 5), network("blue", 6)],
} as unknown as Projection;

function sa(from: number, to: number, epoch: number, packets: number, refused = [0, 0, 0]): Sa {
  const [late = 0, replayed = 0, integrity = 0] = refused;
  return {
    source: IpAddress.parse(`192.0.2.${from}`),
    destination: IpAddress.parse(`192.0.2.${to}`),
    spi: encodeSpi({ epoch, slot: 5, sender: from }),
    use: { bytes: BigInt(packets * 100), packets: BigInt(packets) },
    refused: { late, replayed, integrity },
  } as unknown as Sa;
}

Deno.test("what SAs have counted is summed by network and peer, over all epochs", () => {
  const [red, redLeft, blue, ...others] = peerCounters(projection, [
    sa(1, 2, 1, 10),
    sa(1, 2, 2, 5),
    sa(2, 1, 1, 7, [1, 2, 3]),
    // Of nobody that is known.
    sa(9, 1, 1, 1),
  ]);
  assert.deepEqual(red, {
    networkId: "red",
    networkName: "red",
    nodeId: OTHER,
    sentPackets: 15,
    sentBytes: 1500,
    receivedPackets: 7,
    receivedBytes: 700,
    replays: 3,
    integrityFailures: 3,
  });
  assert.deepEqual([redLeft?.nodeId, redLeft?.sentPackets], [LEFT, 0]);
  assert.deepEqual([blue?.networkId, blue?.receivedPackets], ["blue", 0]);
  assert.equal(others.length, 1);
});

Deno.test("what the guard has dropped is told by network and direction, in words", () => {
  const filter = (port: number, hook: string, packets: number, drops = true) =>
    ({
      hook,
      flower: { udpDestinationPort: null, udpSourcePort: port },
      actions: [{ kind: "gact", drops, counters: { packets: BigInt(packets), bytes: 0n } }],
    }) as unknown as Filter;
  const counted = guardCounters(projection.networks, [
    filter(20_005, "egress", 3),
    filter(20_005, "egress", 4),
    filter(20_006, "ingress", 0),
    filter(53, "egress", 9),
    filter(20_006, "ingress", 9, false),
  ]);
  assert.deepEqual(counted.map(({ networkName, packets }) => [networkName, packets]), [["red", 7]]);
  assert.match(
    String(counted[0]?.meaning),
    /cleartext was offered for an encrypted network and dropped/,
  );
});

Deno.test("a report has one line for each network, and peers only where there are faults", () => {
  const row = (networkId: string, nodeId: string, more: Partial<PeerRow> = {}): PeerRow => ({
    networkId,
    networkName: networkId,
    nodeId,
    sentPackets: 1,
    sentBytes: 10,
    receivedPackets: 2,
    receivedBytes: 20,
    replays: 0,
    integrityFailures: 0,
    ...more,
  });
  const peers = Array.from({ length: 1000 }, (_, place) => row("red", `node ${place}`));
  const faulty = Array.from(
    { length: 40 },
    (_, place) => row("red", `bad ${place}`, { replays: place, integrityFailures: 1 }),
  );
  const [red, blue, ...others] = trafficOf([...peers, row("blue", "one"), ...faulty]);
  assert.deepEqual(others, []);
  assert.deepEqual(blue, { ...total("blue", 1), replays: 0, integrityFailures: 0, faulty: [] });
  assert.deepEqual([red?.sentPackets, red?.receivedBytes], [1040, 20_800]);
  assert.deepEqual([red?.replays, red?.integrityFailures], [780, 40]);
  assert.equal(red?.faulty.length, 16);
  assert.deepEqual(red?.faulty[0], { nodeId: "bad 39", replays: 39, integrityFailures: 1 });
  assert(JSON.stringify(red).length < 2_000);
  const many = Array.from(
    { length: 4_000 },
    (_, place) => row(`network ${place}`, "one", { sentPackets: place }),
  );
  const told = trafficOf([...many, row("ill", "one", { replays: 1 })]);
  assert.equal(told.length, 256);
  assert.deepEqual(told.slice(0, 2).map(({ networkId }) => networkId), ["ill", "network 3999"]);
});

function total(network: string, peers: number) {
  return {
    networkId: network,
    networkName: network,
    sentPackets: peers,
    sentBytes: 10 * peers,
    receivedPackets: 2 * peers,
    receivedBytes: 20 * peers,
  };
}
