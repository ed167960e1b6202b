import assert from "node:assert/strict";
import {
  addClsact,
  addDropFilter,
  deleteClsact,
  deleteFilter,
  dumpFilters,
  dumpQdiscs,
  type Filter,
  type FilterId,
  replaceDropFilter,
} from "../../../src/netlink/mod.ts";
import { cutTo, replayDump, testRequests } from "./golden.ts";

const INDEX = 50;
const PORT = 20001;
const egress: FilterId = { index: INDEX, hook: "egress", preference: 1, family: 4, handle: 1 };
const ofPort = "flower ip_proto udp dst_port 20001 action drop";

/** iproute2 repeats the Ethernet type; the kernel goes by the preference and the handle. */
const withoutOptions = cutTo(16 + 20 + 12);

testRequests("filters", [
  {
    // Recorded twice, so there was one.
    command: "tc qdisc add dev under0 clsact",
    request: addClsact(INDEX),
    refused: { code: "EEXIST", message: /add clsact qdisc to ifindex 50.*kernel: Exclusivity/ },
  },
  {
    command: `tc filter add dev under0 egress protocol ip pref 1 handle 0x1 ${ofPort}`,
    request: addDropFilter({ ...egress, udpDestinationPort: PORT }),
    refused: { code: "EEXIST", message: /add egress filter 1\/1 .*kernel: Filter already exists/ },
  },
  {
    command: "tc filter add dev under0 egress protocol ip pref 1 handle 0x2 flower ip_proto udp " +
      "src_port 20001 action drop",
    request: addDropFilter({ ...egress, handle: 2, udpSourcePort: PORT }),
  },
  {
    command: "tc filter add dev under0 egress protocol ipv6 pref 2 handle 0x7 flower ip_proto udp " +
      "dst_port 20001 src_port 20001 action drop",
    request: addDropFilter({
      ...egress,
      family: 6,
      preference: 2,
      handle: 7,
      udpSourcePort: PORT,
      udpDestinationPort: PORT,
    }),
  },
  {
    command: `tc filter add dev under0 ingress protocol ip pref 1 handle 0x1 ${ofPort}`,
    request: addDropFilter({ ...egress, hook: "ingress", udpDestinationPort: PORT }),
  },
  {
    command: `tc filter replace dev under0 egress protocol ip pref 1 handle 0x1 ${ofPort}`,
    request: replaceDropFilter({ ...egress, udpDestinationPort: PORT }),
  },
  {
    command: "tc filter del dev under0 egress protocol ip pref 1 handle 0x1 flower",
    request: deleteFilter(egress),
    edit: withoutOptions,
  },
  {
    command: "tc filter del dev under0 egress protocol ip pref 99 handle 0x1 flower",
    request: deleteFilter({ ...egress, preference: 99 }),
    edit: withoutOptions,
    refused: { code: "ENOENT", message: /delete egress filter 99\/1 for IPv4 on ifindex 50/ },
  },
  {
    // Recorded twice, so it was gone.
    command: "tc qdisc del dev under0 clsact",
    request: deleteClsact(INDEX),
    refused: { code: "EINVAL" },
  },
]);

Deno.test("golden: tc qdisc show dev under0", () => {
  const command = "tc qdisc show dev under0";
  const qdiscs = replayDump("filters", command, dumpQdiscs({ index: INDEX }));
  assert.deepEqual(qdiscs, [
    { index: INDEX, kind: "noqueue", handle: 0, parent: 0xffffffff },
    { index: INDEX, kind: "clsact", handle: 0xffff0000, parent: 0xfffffff1 },
  ]);
  // The kernel sends those of other links all the same.
  const other = dumpQdiscs({ index: INDEX + 1 });
  assert.deepEqual(
    replayDump("filters", command, other, (sent) => sent.setUint32(16 + 4, INDEX + 1, true)),
    [],
  );
});

/** A filter as text, to read the tables below at a glance. */
function line(filter: Filter): string {
  const { index, hook, preference, etherType, chain, handle, kind, flower, actions } = filter;
  const parts = [
    `${index} ${hook} ${preference}/${chain}/${handle} ${etherType.toString(16)} ${kind}`,
  ];
  if (flower !== null) {
    const { protocol, udpSourcePort, udpDestinationPort, complete } = flower;
    parts.push(`protocol ${protocol} ${udpSourcePort} > ${udpDestinationPort}`);
    if (!complete) parts.push("and more");
  }
  for (const { kind, drops, counters } of actions) {
    const counted = `${counters?.packets} packets ${counters?.bytes} bytes ${counters?.drops} drops`;
    parts.push(`${kind} ${drops ? "drops" : "passes"} ${counted}`);
  }
  return parts.join(", ");
}

Deno.test("golden: tc -s -p filter show dev under0 egress", () => {
  const filters = replayDump(
    "filters",
    "tc -s -p filter show dev under0 egress",
    dumpFilters({ index: INDEX, hook: "egress" }),
  );
  const none = "gact drops 0 packets 0 bytes 0 drops";
  assert.deepEqual(filters.map(line), [
    "50 egress 1/0/1 800 flower, protocol 17 null > 20001, gact drops 2 packets 86 bytes 2 drops",
    `50 egress 1/0/2 800 flower, protocol 17 20001 > null, ${none}`,
    `50 egress 2/0/7 86dd flower, protocol 17 20001 > 20001, ${none}`,
    // It asks for an address as well.
    `50 egress 3/0/1 800 flower, protocol 17 null > 20001, and more, ${none}`,
    "50 egress 3/0/2 800 flower, protocol 17 null > 20001, gact passes 0 packets 0 bytes 0 drops",
    "50 egress 4/0/1 3 matchall",
    "50 egress 5/0/2147483648 800 u32",
    "50 egress 5/0/2147485696 800 u32",
    // By a probability.
    "50 egress 7/0/1 800 flower, protocol 17 null > 20001, gact passes 0 packets 0 bytes 0 drops",
    // It has a range of ports, which no field here says.
    `50 egress 6/5/1 800 flower, protocol 17 null > null, and more, ${none}`,
  ]);
});

Deno.test("golden: tc -s filter show dev under0 ingress", () => {
  const filters = replayDump(
    "filters",
    "tc -s filter show dev under0 ingress",
    dumpFilters({ index: INDEX, hook: "ingress" }),
  );
  assert.deepEqual(filters.map(line), [
    "50 ingress 1/0/1 800 flower, protocol 17 null > 20001, gact drops 0 packets 0 bytes 0 drops",
  ]);
});

Deno.test("golden: tc -s filter show dev under0 egress, when there is no qdisc", () => {
  const command = "tc -s filter show dev under0 egress";
  assert.deepEqual(
    replayDump("filters", command, dumpFilters({ index: INDEX, hook: "egress" })),
    [],
  );
});
