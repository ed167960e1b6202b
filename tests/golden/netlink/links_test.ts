import assert from "node:assert/strict";
import { IpAddress } from "../../../src/base/mod.ts";
import {
  createLink,
  deleteLink,
  deleteLinkGroup,
  dumpLinks,
  getLink,
  NetlinkError,
  renameLink,
  setBridgePort,
  setLink,
} from "../../../src/netlink/mod.ts";
import { replayDump, replayQuery, testRequests } from "./golden.ts";

const VXLAN0 =
  "ip link add vxlan0 index 20 mtu 1400 address 02:00:00:00:00:20 master bridge0 group 7 type vxlan " +
  "srcport 20001 20002 ageing 30 proxy noudpcsum id 4096 local 192.0.2.1 nolearning dstport 20001";

testRequests("links", [
  {
    command: "ip link add bridge0 index 10 mtu 1450 address 02:00:00:00:00:10 up type bridge " +
      "vlan_default_pvid 0",
    request: createLink({
      name: "bridge0",
      index: 10,
      mtuBytes: 1450,
      address: "02:00:00:00:00:10",
      up: true,
      kind: { kind: "bridge", vlanDefaultPvid: 0 },
    }),
  },
  {
    command: "ip link add bridge1 index 11 type bridge",
    request: createLink({ name: "bridge1", index: 11, kind: { kind: "bridge" } }),
  },
  {
    command: "ip link add bridge2 index 12 type bridge ageing_time 6000 vlan_filtering 1 " +
      "vlan_default_pvid 0 mcast_snooping 0",
    request: createLink({
      name: "bridge2",
      index: 12,
      kind: {
        kind: "bridge",
        ageingCentiseconds: 6000,
        vlanFiltering: true,
        vlanDefaultPvid: 0,
        multicastSnooping: false,
      },
    }),
    // The recording kernel's bridges have neither VLANs nor snooping.
    refused: { code: "EOPNOTSUPP" },
  },
  {
    command: "ip link add bridge3 index 13 type bridge forward_delay 0 ageing_time 6000",
    request: createLink({
      name: "bridge3",
      index: 13,
      kind: { kind: "bridge", forwardDelayCentiseconds: 0, ageingCentiseconds: 6000 },
    }),
  },
  {
    command: VXLAN0,
    request: createLink({
      name: "vxlan0",
      index: 20,
      mtuBytes: 1400,
      address: "02:00:00:00:00:20",
      master: 10,
      group: 7,
      kind: {
        kind: "vxlan",
        vni: 4096,
        local: IpAddress.parse("192.0.2.1"),
        port: 20001,
        sourcePorts: { low: 20001, high: 20002 },
        learning: false,
        ageingSeconds: 30,
        proxy: true,
        udpChecksum: false,
      },
    }),
  },
  {
    command: "ip link add vxlan1 index 21 type vxlan udp6zerocsumtx udp6zerocsumrx id 4097 " +
      "remote 2001:db8::2 local 2001:db8::1 dev bridge0 ttl 9 dstport 4789",
    request: createLink({
      name: "vxlan1",
      index: 21,
      kind: {
        kind: "vxlan",
        vni: 4097,
        local: IpAddress.parse("2001:db8::1"),
        remote: IpAddress.parse("2001:db8::2"),
        underlayIndex: 10,
        ttl: 9,
        port: 4789,
        // iproute2 says so although nobody asked.
        learning: true,
        udpZeroChecksum6Transmit: true,
        udpZeroChecksum6Receive: true,
      },
    }),
    // The namespace has IPv6 switched off.
    refused: { code: "EPERM", message: /kernel: .*IPv6/i },
  },
  {
    command: "ip link add vxlan2 index 22 type vxlan udpcsum id 4098 remote 192.0.2.2 " +
      "local 192.0.2.1 learning dstport 4789",
    request: createLink({
      name: "vxlan2",
      index: 22,
      kind: {
        kind: "vxlan",
        vni: 4098,
        local: IpAddress.parse("192.0.2.1"),
        remote: IpAddress.parse("192.0.2.2"),
        learning: true,
        port: 4789,
        udpChecksum: true,
      },
    }),
  },
  {
    command: "ip link add eth0 index 30 mtu 1400 netns golden-two address 02:00:00:00:00:30 up " +
      "type veth peer name port0 index 31 mtu 1400 address 02:00:00:00:00:31",
    request: createLink({
      name: "eth0",
      index: 30,
      mtuBytes: 1400,
      // The descriptor that iproute2 happened to get.
      namespaceFd: 4,
      address: "02:00:00:00:00:30",
      up: true,
      kind: {
        kind: "veth",
        peer: { name: "port0", index: 31, mtuBytes: 1400, address: "02:00:00:00:00:31" },
      },
    }),
  },
  {
    command: "ip link set dev vxlan0 up",
    request: setLink(20, { up: true }),
  },
  {
    command: "ip link set dev vxlan0 down",
    request: setLink(20, { up: false }),
  },
  {
    command: "ip link set dev vxlan0 mtu 1416 address 02:00:00:00:00:21",
    request: setLink(20, { mtuBytes: 1416, address: "02:00:00:00:00:21" }),
  },
  {
    command: "ip link set dev vxlan0 nomaster",
    request: setLink(20, { master: null }),
  },
  {
    command: "ip link set dev port0 master bridge0 group 9 up",
    request: setLink(31, { master: 10, group: 9, up: true }),
  },
  {
    command: "ip link set dev port0 alias agent:net:1",
    request: setLink(31, { alias: "agent:net:1" }),
  },
  {
    command: "ip link set dev vxlan0 type vxlan local 192.0.2.7",
    request: setLink(20, { vxlan: { local: IpAddress.parse("192.0.2.7") } }),
  },
  {
    command: "ip link set dev port2 netns golden-two",
    request: setLink(33, { namespaceFd: 4 }),
  },
  {
    command: "ip link set dev port1 name port9",
    request: renameLink(32, "port9"),
  },
  {
    command: "bridge link set dev port0 learning off flood off mcast_flood off bcast_flood off " +
      "neigh_suppress on isolated on",
    request: setBridgePort(31, {
      learning: false,
      unicastFlood: false,
      multicastFlood: false,
      broadcastFlood: false,
      neighbourSuppression: true,
      isolated: true,
    }),
  },
  {
    command: "bridge link set dev port0 learning off flood off",
    request: setBridgePort(31, { learning: false, unicastFlood: false }),
  },
  {
    command: "ip link add vxlan0 type vxlan id 4096 dstport 4789",
    request: createLink({
      name: "vxlan0",
      kind: { kind: "vxlan", vni: 4096, learning: true, port: 4789 },
    }),
    refused: { code: "EEXIST" },
  },
  {
    command: "ip link set dev vxlan0 mtu 20",
    request: setLink(20, { mtuBytes: 20 }),
    refused: { code: "EINVAL", message: /kernel: mtu less than device minimum/ },
  },
  { command: "ip link del dev port9", request: deleteLink(32) },
  { command: "ip link del group 7", request: deleteLinkGroup(7) },
  {
    command: "ip link del group 77",
    request: deleteLinkGroup(77),
    refused: { code: "ENODEV" },
  },
]);

/**
 * Ours asks for neither virtual functions (`RTEXT_FILTER_VF`, 1) nor IPv6's counters (8), and for no
 * family: iproute2's AF_PACKET gives the same links.
 */
function withMask(recorded: DataView): void {
  recorded.setUint8(16, 0);
  recorded.setUint32(36, 8, true);
}

Deno.test("golden: ip link show dev nowhere0", () => {
  assert.throws(
    () => replayQuery("links", "ip link show dev nowhere0", getLink("nowhere0"), withMask),
    (error) => error instanceof NetlinkError && error.code === "ENODEV",
  );
});

Deno.test("golden: ip -d link show type vxlan", () => {
  const links = replayDump(
    "links",
    "ip -d link show type vxlan",
    dumpLinks({ kind: "vxlan" }),
    withMask,
  );
  assert.deepEqual(links.map((link) => link.name), ["vxlan0", "vxlan2"]);
  const [vxlan0, vxlan2] = links;
  assert.deepEqual({ ...vxlan0, statistics: null, flags: null }, {
    index: 20,
    name: "vxlan0",
    deviceType: 1,
    flags: null,
    up: false,
    lowerUp: false,
    loopback: false,
    address: "02:00:00:00:00:21",
    mtuBytes: 1416,
    master: null,
    group: 7,
    alias: null,
    linkIndex: null,
    linkNamespaceId: null,
    info: {
      kind: "vxlan",
      vni: 4096,
      local: IpAddress.parse("192.0.2.7"),
      remote: null,
      underlayIndex: null,
      port: 20001,
      sourcePorts: { low: 20001, high: 20002 },
      ttl: 0,
      learning: false,
      ageingSeconds: 30,
      proxy: true,
      udpChecksum: false,
      udpZeroChecksum6Transmit: false,
      udpZeroChecksum6Receive: false,
    },
    bridgePort: null,
    statistics: null,
  });
  assert.ok(vxlan2?.info?.kind === "vxlan");
  assert.equal(vxlan2.info.remote?.toString(), "192.0.2.2");
  assert.equal(vxlan2.info.learning, true);
  assert.equal(vxlan2.info.udpChecksum, true);
});

Deno.test("golden: ip -d link show master bridge0", () => {
  const [port, ...others] = replayDump(
    "links",
    "ip -d link show master bridge0",
    dumpLinks({ master: 10 }),
    withMask,
  );
  assert.deepEqual(others, []);
  assert.equal(port?.name, "port0");
  assert.equal(port.master, 10);
  assert.equal(port.alias, "agent:net:1");
  assert.equal(port.up, true);
  assert.equal(port.lowerUp, true);
  assert.equal(port.linkIndex, 30);
  assert.equal(typeof port.linkNamespaceId, "number");
  assert.deepEqual(port.info, { kind: "veth" });
  assert.deepEqual(port.bridgePort, {
    learning: false,
    unicastFlood: false,
    multicastFlood: false,
    broadcastFlood: false,
    neighbourSuppression: true,
    isolated: true,
  });
});

Deno.test("golden: ip -d -s link show", () => {
  const links = replayDump(
    "links",
    "ip -d -s link show",
    dumpLinks(),
    withMask,
  );
  const byName = new Map(links.map((link) => [link.name, link]));
  assert.equal(byName.get("lo")?.loopback, true);
  assert.equal(byName.get("lo")?.info, null);
  const bridge = byName.get("bridge3")?.info;
  assert.ok(bridge?.kind === "bridge");
  assert.equal(bridge.ageingCentiseconds, 6000);
  assert.equal(bridge.stp, false);
  assert.equal(byName.get("bridge0")?.up, true);
  // Kinds of modules that happen to be loaded are kept by name.
  for (const { info } of links) assert.ok(info === null || info.kind !== "other" || info.name);
  assert.equal(typeof byName.get("port0")?.statistics?.receivedPackets, "bigint");
});
