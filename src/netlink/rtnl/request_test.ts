import assert from "node:assert/strict";
import { Cidr, IpAddress } from "../../base/mod.ts";
import { addAddress, dumpAddresses } from "./address.ts";
import { setBridgePort } from "./bridge_port.ts";
import { deleteFdbEntry, dumpFdb, replaceFdbEntry } from "./fdb.ts";
import { dumpNeighbours, replaceNeighbour } from "./neighbour.ts";
import { setNamespaceId } from "./nsid.ts";
import { addRoute, getRoute } from "./route.ts";

const v4 = IpAddress.parse("192.0.2.1");
const v6 = IpAddress.parse("2001:db8::1");
const mac = "02:00:00:00:00:01";

Deno.test("what the kernel could not take is refused by name", () => {
  const destination = Cidr.parse("198.51.100.0/24");
  const cases: readonly [() => unknown, RegExp][] = [
    [() => addAddress({ index: 0, address: v4, prefixLength: 24 }), /ifindex: 0/],
    [() => addAddress({ index: 1, address: v4, prefixLength: 33 }), /prefix length: 33.*0\.\.32/],
    [() => addAddress({ index: 1, address: v6, prefixLength: 129 }), /prefix length: 129/],
    [() => addAddress({ index: 1, address: v4, prefixLength: 32, peer: v6 }), /not of the family/],
    [() => dumpAddresses({ index: 0 }), /ifindex/],
    [() => addRoute({ destination }), /no gateway and no ifindex/],
    [() => addRoute({ destination, gateway: v6 }), /of another family/],
    [() => addRoute({ destination, index: 1, preferredSource: v6 }), /of another family/],
    [() => getRoute({ destination: v4, source: v6 }), /family/],
    [() => replaceNeighbour({ index: 0, address: v4, mac, state: "permanent" }), /ifindex/],
    [() => dumpNeighbours({ index: -1 }), /ifindex/],
    [
      () => replaceFdbEntry({ index: 1, table: "self", mac, state: "static", vlan: 0 }),
      /VLAN id: 0/,
    ],
    [() => deleteFdbEntry({ index: 0, table: "self", mac }), /ifindex/],
    [() => dumpFdb({ master: 0 }), /ifindex/],
    [() => setBridgePort(0, {}), /ifindex/],
    [() => setNamespaceId({ fd: 3 }, -1), /namespace id: -1/],
  ];
  for (const [make, reason] of cases) {
    assert.throws(make, (error) => error instanceof RangeError && reason.test(error.message));
  }
  assert.throws(
    () => replaceNeighbour({ index: 1, address: v4, mac: "02:00", state: "permanent" }),
    TypeError,
  );
});

Deno.test("errors will name what was asked", () => {
  const destination = Cidr.parse("198.51.100.0/24");
  for (
    const [request, words] of [
      [
        addAddress({ index: 1, address: v4, prefixLength: 24 }),
        "add address 192.0.2.1/24 of ifindex 1",
      ],
      [addRoute({ destination, gateway: v4 }), "add route to 198.51.100.0/24 via 192.0.2.1"],
      [
        replaceFdbEntry({ index: 1, table: "self", mac, state: "permanent", destination: v6 }),
        "replace forwarding entry 02:00:00:00:00:01 to 2001:db8::1 (self) on ifindex 1",
      ],
      [setNamespaceId({ pid: 7 }, "next"), "set id next of the network namespace of process 7"],
    ] as const
  ) assert.equal(request.describe(), words);
});
