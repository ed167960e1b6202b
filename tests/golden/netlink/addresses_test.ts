import assert from "node:assert/strict";
import { IpAddress } from "../../../src/base/mod.ts";
import {
  addAddress,
  deleteAddress,
  dumpAddresses,
  replaceAddress,
} from "../../../src/netlink/mod.ts";
import { replayDump, testRequests } from "./golden.ts";

const first = { index: 40, address: IpAddress.parse("192.0.2.1"), prefixLength: 24 };
const peered = {
  index: 40,
  address: IpAddress.parse("192.0.2.5"),
  prefixLength: 32,
  peer: IpAddress.parse("198.51.100.5"),
};

testRequests("addresses", [
  {
    // Recorded twice, so the address was there.
    command: "ip address add 192.0.2.1/24 dev eth1",
    request: addAddress(first),
    refused: { code: "EEXIST" },
  },
  { command: "ip address replace 192.0.2.1/24 dev eth1", request: replaceAddress(first) },
  {
    command: "ip address add 192.0.2.5 peer 198.51.100.5/32 dev eth1",
    request: addAddress(peered),
  },
  {
    command: "ip address add 2001:db8::1/64 dev eth1 nodad",
    request: addAddress({
      index: 40,
      address: IpAddress.parse("2001:db8::1"),
      prefixLength: 64,
      noDad: true,
    }),
  },
  {
    command: "ip address del 192.0.2.5 peer 198.51.100.5/32 dev eth1",
    request: deleteAddress(peered),
  },
  {
    command: "ip address del 192.0.2.99/24 dev eth1",
    request: deleteAddress({
      index: 40,
      address: IpAddress.parse("192.0.2.99"),
      prefixLength: 24,
    }),
    refused: { code: "EADDRNOTAVAIL" },
  },
]);

Deno.test("golden: ip address show dev eth1", () => {
  const addresses = replayDump(
    "addresses",
    "ip address show dev eth1",
    dumpAddresses({ index: 40 }),
  );
  const common = { index: 40, scope: 0, permanent: true, tentative: false, duplicate: false };
  assert.deepEqual(addresses, [
    { ...common, address: first.address, prefixLength: 24, peer: null },
    { ...common, ...peered },
    { ...common, address: IpAddress.parse("2001:db8::1"), prefixLength: 64, peer: null },
  ]);
});

Deno.test("golden: ip -6 address show", () => {
  const addresses = replayDump("addresses", "ip -6 address show", dumpAddresses({ family: 6 }));
  assert.ok(addresses.every(({ address }) => address.family === 6));
  assert.ok(addresses.some(({ address }) => address.toString() === "2001:db8::1"));
});
