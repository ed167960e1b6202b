import assert from "node:assert/strict";
import { IpAddress } from "../../../src/base/mod.ts";
import {
  deleteFdbEntry,
  deleteNeighbour,
  dumpFdb,
  dumpNeighbours,
  type FdbEntry,
  replaceFdbEntry,
  replaceNeighbour,
} from "../../../src/netlink/mod.ts";
import { replayDump, testRequests } from "./golden.ts";

const mac = "02:00:0a:40:00:02";

testRequests("neighbours", [
  {
    command: "ip neigh replace 10.64.0.2 lladdr 02:00:0a:40:00:02 dev vxlan5 nud permanent",
    request: replaceNeighbour({
      index: 51,
      address: IpAddress.parse("10.64.0.2"),
      mac,
      state: "permanent",
    }),
  },
  {
    command: "ip neigh replace 2001:db8::2 lladdr 02:00:0a:40:00:02 dev eth1 nud stale",
    request: replaceNeighbour({
      index: 40,
      address: IpAddress.parse("2001:db8::2"),
      mac,
      state: "stale",
    }),
  },
  {
    command: "ip neigh del 10.64.0.2 dev vxlan5",
    request: deleteNeighbour({ index: 51, address: IpAddress.parse("10.64.0.2") }),
  },
  {
    command: "ip neigh del 10.64.0.99 dev vxlan5",
    request: deleteNeighbour({ index: 51, address: IpAddress.parse("10.64.0.99") }),
    refused: { code: "ENOENT" },
  },
  {
    command: "bridge fdb replace 02:00:0a:40:00:02 dev vxlan5 self permanent dst 192.0.2.2",
    request: replaceFdbEntry({
      index: 51,
      table: "self",
      mac,
      state: "permanent",
      destination: IpAddress.parse("192.0.2.2"),
    }),
  },
  {
    command: "bridge fdb replace 02:00:0a:40:00:03 dev vxlan5 self permanent dst 2001:db8::2",
    request: replaceFdbEntry({
      index: 51,
      table: "self",
      mac: "02:00:0a:40:00:03",
      state: "permanent",
      destination: IpAddress.parse("2001:db8::2"),
    }),
    // The device's own end is IPv4.
    refused: { code: "EAFNOSUPPORT" },
  },
  {
    command: "bridge fdb replace 02:00:0a:40:00:02 dev vxlan5 master static",
    request: replaceFdbEntry({ index: 51, table: "master", mac, state: "static" }),
  },
  {
    command: "bridge fdb replace 02:00:0a:40:00:04 dev vxlan5 master static vlan 7",
    request: replaceFdbEntry({
      index: 51,
      table: "master",
      mac: "02:00:0a:40:00:04",
      state: "static",
      vlan: 7,
    }),
    // The recording kernel's bridges have no VLANs.
    refused: { code: "EINVAL" },
  },
  {
    command: "bridge fdb del 02:00:0a:40:00:02 dev vxlan5 self dst 192.0.2.2",
    request: deleteFdbEntry({
      index: 51,
      table: "self",
      mac,
      destination: IpAddress.parse("192.0.2.2"),
    }),
  },
  {
    command: "bridge fdb del 02:00:0a:40:00:02 dev vxlan5 master",
    request: deleteFdbEntry({ index: 51, table: "master", mac }),
  },
  {
    command: "bridge fdb del 02:00:0a:40:00:99 dev vxlan5 self",
    request: deleteFdbEntry({ index: 51, table: "self", mac: "02:00:0a:40:00:99" }),
    refused: { code: "ENOENT" },
  },
]);

Deno.test("golden: ip neigh show dev vxlan5 nud all", () => {
  const neighbours = replayDump(
    "neighbours",
    "ip neigh show dev vxlan5 nud all",
    dumpNeighbours({ index: 51 }),
  );
  assert.deepEqual(neighbours, [
    { index: 51, address: IpAddress.parse("10.64.0.2"), mac, state: "permanent" },
  ]);
});

Deno.test("golden: ip -6 neigh show nud all", () => {
  const neighbours = replayDump(
    "neighbours",
    "ip -6 neigh show nud all",
    dumpNeighbours({ family: 6 }),
  );
  assert.deepEqual(neighbours.find(({ address }) => address.toString() === "2001:db8::2"), {
    index: 40,
    address: IpAddress.parse("2001:db8::2"),
    mac,
    state: "stale",
  });
  assert.ok(neighbours.every(({ address }) => address.family === 6));
});

/** What both filters must give, and what the whole table must hold. */
const OURS: readonly FdbEntry[] = [
  {
    index: 51,
    table: "master",
    mac,
    state: "static",
    vlan: null,
    master: 50,
    destination: null,
    externallyLearned: false,
  },
  {
    index: 51,
    table: "self",
    mac,
    state: "permanent",
    vlan: null,
    master: null,
    destination: IpAddress.parse("192.0.2.2"),
    externallyLearned: false,
  },
];

for (
  const [command, filter] of [
    ["bridge fdb show", {}],
    ["bridge fdb show br bridge5", { master: 50 }],
    ["bridge fdb show brport vxlan5", { index: 51 }],
  ] as const
) {
  Deno.test(`golden: ${command}`, () => {
    const entries = replayDump("neighbours", command, dumpFdb(filter));
    assert.deepEqual(entries.filter((entry) => entry.mac === mac), OURS);
    if ("index" in filter) assert.ok(entries.every(({ index }) => index === 51));
  });
}
