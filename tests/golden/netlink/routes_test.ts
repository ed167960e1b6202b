import assert from "node:assert/strict";
import { Cidr, IpAddress } from "../../../src/base/mod.ts";
import {
  addRoute,
  deleteRoute,
  dumpRoutes,
  getRoute,
  NetlinkError,
  replaceRoute,
  type Route,
} from "../../../src/netlink/mod.ts";
import { replayDump, replayQuery, testRequests } from "./golden.ts";

testRequests("routes", [
  {
    command: "ip route add default via 192.0.2.254 src 192.0.2.1 metric 50 dev eth1 mtu 1400",
    request: addRoute({
      destination: Cidr.parse("0.0.0.0/0"),
      gateway: IpAddress.parse("192.0.2.254"),
      preferredSource: IpAddress.parse("192.0.2.1"),
      metric: 50,
      index: 40,
      mtuBytes: 1400,
    }),
  },
  {
    command: "ip route add 198.51.100.0/24 dev eth1",
    request: addRoute({ destination: Cidr.parse("198.51.100.0/24"), index: 40 }),
  },
  {
    command: "ip route add 203.0.113.0/24 via 192.0.2.253 dev eth1 table 1000",
    request: addRoute({
      destination: Cidr.parse("203.0.113.0/24"),
      gateway: IpAddress.parse("192.0.2.253"),
      index: 40,
      table: 1000,
    }),
  },
  {
    command: "ip route replace 198.51.100.0/24 via 192.0.2.254",
    request: replaceRoute({
      destination: Cidr.parse("198.51.100.0/24"),
      gateway: IpAddress.parse("192.0.2.254"),
    }),
  },
  {
    command: "ip -6 route add 2001:db8:1::/48 via 2001:db8::2 dev eth1",
    request: addRoute({
      destination: Cidr.parse("2001:db8:1::/48"),
      gateway: IpAddress.parse("2001:db8::2"),
      index: 40,
    }),
  },
  {
    // Recorded twice, so the route was gone.
    command: "ip route del 198.51.100.0/24",
    request: deleteRoute({ destination: Cidr.parse("198.51.100.0/24") }),
    refused: { code: "ESRCH" },
  },
]);

/** A route as text, to read the tables below at a glance. */
function line(route: Route): string {
  const hops = route.nextHops.map(({ index, gateway, weight }) =>
    `via ${gateway ?? "link"} dev ${index} weight ${weight}`
  );
  const source = route.preferredSource === null ? "" : ` src ${route.preferredSource}`;
  const mtu = route.mtuBytes === null ? "" : ` mtu ${route.mtuBytes}`;
  const metric = route.metric === 0 ? "" : ` metric ${route.metric}`;
  return `${route.type} ${route.destination} ${hops.join(", ")} table ${route.table}` +
    `${source}${metric}${mtu}`;
}

const MAIN = [
  "unicast 0.0.0.0/0 via 192.0.2.254 dev 40 weight 1 table 254 src 192.0.2.1 metric 50 mtu 1400",
  "unicast 10.0.0.0/8 via 192.0.2.250 dev 40 weight 2, via 192.0.2.251 dev 40 weight 1 table 254",
  "unicast 10.1.0.0/16 via 2001:db8::9 dev 40 weight 1 table 254",
  "blackhole 10.2.0.0/16  table 254",
  "unicast 192.0.2.0/24 via link dev 40 weight 1 table 254 src 192.0.2.1",
  "unicast 198.51.100.0/24 via 192.0.2.254 dev 40 weight 1 table 254",
];

Deno.test("golden: ip -4 route show", () => {
  const routes = replayDump("routes", "ip -4 route show", dumpRoutes({ family: 4, table: 254 }));
  const text = routes.map(line);
  for (const expected of MAIN) {
    assert.ok(text.includes(expected), `${expected} in ${text.join("\n")}`);
  }
});

Deno.test("golden: ip -4 route show table all", () => {
  const routes = replayDump("routes", "ip -4 route show table all", dumpRoutes({ family: 4 }));
  const text = routes.map(line);
  for (
    const expected of [
      ...MAIN,
      "unicast 203.0.113.0/24 via 192.0.2.253 dev 40 weight 1 table 1000",
      "local 192.0.2.1/32 via link dev 40 weight 1 table 255 src 192.0.2.1",
      "broadcast 192.0.2.255/32 via link dev 40 weight 1 table 255 src 192.0.2.1",
    ]
  ) assert.ok(text.includes(expected), `${expected} in ${text.join("\n")}`);
});

Deno.test("golden: ip route show table all dev eth1", () => {
  const routes = replayDump(
    "routes",
    "ip route show table all dev eth1",
    dumpRoutes({ index: 40 }),
  );
  const text = routes.map(line);
  assert.ok(
    text.includes("unicast 2001:db8:1::/48 via 2001:db8::2 dev 40 weight 1 table 254 metric 1024"),
  );
  assert.ok(routes.some(({ type, family }) => type === "multicast" && family === 6));
});

Deno.test("golden: ip route get 198.51.100.1", () => {
  const route = replayQuery(
    "routes",
    "ip route get 198.51.100.1",
    getRoute({ destination: IpAddress.parse("198.51.100.1") }),
  );
  assert.equal(
    line(route),
    "unicast 198.51.100.1/32 via 192.0.2.254 dev 40 weight 1 table 254 src 192.0.2.1",
  );
  assert.equal(route.family, 4);
  assert.equal(route.source, null);
});

Deno.test("golden: ip route get 8.8.8.8 from 192.0.2.1 oif eth1 mark 7", () => {
  const route = replayQuery(
    "routes",
    "ip route get 8.8.8.8 from 192.0.2.1 oif eth1 mark 7",
    getRoute({
      destination: IpAddress.parse("8.8.8.8"),
      source: IpAddress.parse("192.0.2.1"),
      index: 40,
      mark: 7,
    }),
  );
  // A lookup says the metric of its path only where it is not the link's own.
  assert.equal(route.mtuBytes, 1400);
  assert.equal(route.source?.toString(), "192.0.2.1/32");
});

Deno.test("golden: ip -6 route get 2001:db8:1::1", () => {
  const route = replayQuery(
    "routes",
    "ip -6 route get 2001:db8:1::1",
    getRoute({ destination: IpAddress.parse("2001:db8:1::1") }),
  );
  assert.equal(route.nextHops[0]?.gateway?.toString(), "2001:db8::2");
  assert.equal(route.nextHops[0]?.index, 40);
});

Deno.test("golden: ip -6 route get 2001:db8:2::1", () => {
  assert.throws(
    () =>
      replayQuery(
        "routes",
        "ip -6 route get 2001:db8:2::1",
        getRoute({ destination: IpAddress.parse("2001:db8:2::1") }),
      ),
    (error) => error instanceof NetlinkError && error.code === "ENETUNREACH",
  );
});
