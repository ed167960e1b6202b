// needs: root netns
import assert from "node:assert/strict";
import { Cidr, IpAddress } from "../../src/base/mod.ts";
import {
  addAddress,
  addRoute,
  Connection,
  createLink,
  decodeNotifications,
  deleteAddress,
  deleteFdbEntry,
  deleteLink,
  deleteLinkGroup,
  deleteNeighbour,
  deleteRoute,
  dumpAddresses,
  dumpFdb,
  dumpLinks,
  dumpNamespaceIds,
  dumpNeighbours,
  dumpRoutes,
  getLink,
  getNamespaceId,
  getRoute,
  NetlinkError,
  type NewLink,
  type Notification,
  renameLink,
  replaceAddress,
  replaceFdbEntry,
  replaceNeighbour,
  replaceRoute,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  setBridgePort,
  setLink,
  setNamespaceId,
} from "../../src/netlink/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  type NetworkNamespace,
  openNetlinkSocket,
  Watcher,
} from "../../src/sys/mod.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const ip4 = IpAddress.parse("192.0.2.1");

/** A throw-away network namespace and a connection into it. */
class Sandbox implements Disposable {
  static #count = 0;
  readonly name = `netlink-test-${Deno.pid}-${Sandbox.#count++}`;
  readonly namespace: NetworkNamespace;
  readonly connection: Connection;

  constructor() {
    this.namespace = createNamedNamespace(this.name);
    const socket = openNetlinkSocket({ family: "route", namespace: this.namespace });
    this.connection = new Connection(socket, { requestsPerSend: 16_000 });
  }

  /** What iproute2 says about the namespace, as JSON. */
  async show(tool: "ip" | "bridge", ...args: string[]): Promise<Record<string, unknown>[]> {
    const { success, stdout, stderr } = await new Deno.Command(tool, {
      args: ["-n", this.name, "-j", "-d", ...args],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const text = new TextDecoder().decode(stdout).trim();
    return text === "" ? [] : JSON.parse(text);
  }

  [Symbol.dispose](): void {
    this.connection.close();
    this.namespace.close();
    deleteNamedNamespace(this.name);
  }
}

function mac(last: number): string {
  return `02:00:00:00:00:${last.toString(16).padStart(2, "0")}`;
}

function refusedWith(code: string, words = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof NetlinkError && error.code === code && words.test(error.message);
}

const VXLAN: NewLink = {
  name: "vxlan0",
  index: 100,
  mtuBytes: 1400,
  address: mac(1),
  group: 7,
  kind: {
    kind: "vxlan",
    vni: 4096,
    local: ip4,
    port: 20001,
    sourcePorts: { low: 20001, high: 20002 },
    learning: false,
    ageingSeconds: 60,
    proxy: true,
    udpChecksum: false,
    ttl: 9,
  },
};

const BRIDGE: NewLink = {
  name: "bridge0",
  index: 101,
  mtuBytes: 1400,
  address: mac(2),
  up: true,
  kind: { kind: "bridge", ageingCentiseconds: 6000 },
};

/** A VXLAN device and a veth as ports of a bridge; the veth's other end is in `other`. */
function build({ connection }: Sandbox, other: Sandbox): void {
  const results = connection.batch([
    createLink(VXLAN),
    createLink(BRIDGE),
    createLink({
      name: "port0",
      index: 102,
      mtuBytes: 1400,
      address: mac(3),
      master: 101,
      up: true,
      kind: {
        kind: "veth",
        peer: {
          name: "eth0",
          index: 200,
          address: mac(4),
          mtuBytes: 1400,
          namespaceFd: other.namespace.fd,
        },
      },
    }),
    setLink("vxlan0", { master: 101, up: true, alias: "agent:net" }),
    setBridgePort(102, { learning: false, unicastFlood: false }),
    setBridgePort(100, { learning: false, unicastFlood: false, isolated: true }),
  ]);
  assert.deepEqual(results.map((result) => result?.message), Array(6).fill(undefined));
  other.connection.request(setLink("eth0", { up: true }));
}

Deno.test("links are what iproute2 says they are", sanitized, async () => {
  using here = new Sandbox();
  using there = new Sandbox();
  build(here, there);
  const links = here.connection.dump(dumpLinks());
  const shown = await here.show("ip", "link", "show");
  assert.deepEqual(
    links.map((link) => ({
      ifindex: link.index,
      ifname: link.name,
      mtu: link.mtuBytes,
      address: link.address,
      up: link.up,
      lowerUp: link.lowerUp,
      master: links.find(({ index }) => index === link.master)?.name,
      alias: link.alias ?? undefined,
      kind: link.info?.kind === "other" ? link.info.name : link.info?.kind,
      nsid: link.linkNamespaceId ?? undefined,
      linkIndex: link.linkIndex ?? undefined,
    })),
    shown.map((link) => ({
      ifindex: link.ifindex,
      ifname: link.ifname,
      mtu: link.mtu,
      // `ip` writes an address of IP tunnels as one; those are none of 6 bytes.
      address: link.link_type === "ether" || link.link_type === "loopback" ? link.address : null,
      up: list(link.flags).includes("UP"),
      lowerUp: list(link.flags).includes("LOWER_UP"),
      master: link.master,
      alias: link.ifalias,
      kind: field(link, "linkinfo", "info_kind"),
      nsid: link.link_netnsid,
      linkIndex: link.link_index,
    })),
  );
  assert.ok(links.every(({ statistics }) => typeof statistics?.sentPackets === "bigint"));

  const vxlan = links.find(({ name }) => name === "vxlan0");
  assert.deepEqual(vxlan?.info, {
    ...VXLAN.kind,
    remote: null,
    underlayIndex: null,
    // Not said, so the kernel's own.
    udpZeroChecksum6Transmit: false,
    udpZeroChecksum6Receive: false,
  });
  assert.equal(vxlan.group, 7);
  assert.deepEqual([vxlan.bridgePort?.learning, vxlan.bridgePort?.isolated], [false, true]);
  const port = here.connection.get(getLink(102));
  assert.deepEqual([port.bridgePort?.unicastFlood, port.bridgePort?.isolated], [false, false]);
  assert.equal(port.linkIndex, 200);
  assert.equal(
    port.linkNamespaceId,
    here.connection.get(getNamespaceId({ fd: there.namespace.fd })),
  );
  assert.equal(there.connection.get(getLink("eth0")).address, mac(4));

  const names = (filter: Parameters<typeof dumpLinks>[0]) =>
    here.connection.dump(dumpLinks(filter)).map(({ name }) => name);
  assert.deepEqual(names({ master: 101 }).toSorted(), ["port0", "vxlan0"]);
  assert.deepEqual(names({ kind: "bridge" }), ["bridge0"]);
});

function list(value: unknown): unknown[] {
  assert.ok(Array.isArray(value));
  return value;
}

function field(value: unknown, ...path: string[]): unknown {
  return path.reduce(
    (object: unknown, name) => Object(object)[name],
    value,
  );
}

Deno.test("links are renamed, changed, moved and deleted", sanitized, async () => {
  using here = new Sandbox();
  using there = new Sandbox();
  build(here, there);
  const { connection } = here;
  connection.request(setLink(100, { vxlan: { local: IpAddress.parse("192.0.2.9") } }));
  const { info } = connection.get(getLink(100));
  assert.ok(info?.kind === "vxlan");
  assert.equal(info.local?.toString(), "192.0.2.9");
  assert.equal(info.port, 20001);

  connection.request(setLink(102, { master: null, mtuBytes: 1300, up: false, alias: "" }));
  connection.request(renameLink(102, "port9"));
  const port = connection.get(getLink("port9"));
  assert.deepEqual(
    [port.index, port.master, port.mtuBytes, port.up, port.alias, port.bridgePort],
    [102, null, 1300, false, null, null],
  );

  await connection.requestOffThread(setLink(102, { namespaceFd: there.namespace.fd }));
  assert.equal(there.connection.get(getLink("port9")).mtuBytes, 1300);
  await there.connection.requestOffThread(deleteLink("port9"));
  assert.throws(() => there.connection.get(getLink("eth0")), refusedWith("ENODEV"));
  await connection.requestOffThread(deleteLinkGroup(7));
  assert.throws(() => connection.get(getLink("vxlan0")), refusedWith("ENODEV"));
});

Deno.test("the kernel says why it refuses, and batches go on", sanitized, () => {
  using here = new Sandbox();
  const { connection } = here;
  const [first, again, third] = connection.batch([
    createLink(BRIDGE),
    createLink({ ...VXLAN, name: BRIDGE.name }),
    createLink(VXLAN),
  ]);
  assert.equal(first, null);
  assert.ok(refusedWith("EEXIST")(again));
  assert.equal(third, null);
  assert.throws(
    () => connection.request(setLink(100, { mtuBytes: 20 })),
    refusedWith("EINVAL", /kernel: mtu less than device minimum/),
  );
  assert.throws(() => connection.request(deleteLink("nobody")), refusedWith("ENODEV"));
  const address = { index: 4711, address: ip4, prefixLength: 24 };
  assert.throws(() => connection.request(addAddress(address)), refusedWith("ENODEV"));
  assert.throws(
    () => connection.get(getRoute({ destination: IpAddress.parse("198.51.100.1") })),
    refusedWith("ENETUNREACH"),
  );
});

Deno.test("addresses and routes are what iproute2 says they are", sanitized, async () => {
  using here = new Sandbox();
  using there = new Sandbox();
  build(here, there);
  const { connection } = here;
  const mask = { index: 101, address: ip4, prefixLength: 24 };
  const six = {
    index: 101,
    address: IpAddress.parse("2001:db8::1"),
    prefixLength: 64,
    noDad: true,
  };
  const gateway = IpAddress.parse("192.0.2.254");
  const results = connection.batch([
    setLink("lo", { up: true }),
    addAddress(mask),
    replaceAddress(mask),
    addAddress(six),
    addRoute({ destination: Cidr.parse("0.0.0.0/0"), gateway, mtuBytes: 1350, metric: 7 }),
    addRoute({ destination: Cidr.parse("203.0.113.0/24"), index: 101, table: 1000 }),
    replaceRoute({ destination: Cidr.parse("203.0.113.0/24"), gateway, table: 1000 }),
    addRoute({
      destination: Cidr.parse("2001:db8:1::/48"),
      gateway: IpAddress.parse("2001:db8::2"),
    }),
  ]);
  assert.deepEqual(results.map((result) => result?.message), Array(8).fill(undefined));

  const shown = (await here.show("ip", "address", "show")).flatMap((link) =>
    list(link.addr_info).map((info) =>
      `${link.ifindex} ${field(info, "local")}/${field(info, "prefixlen")}`
    )
  );
  const addresses = connection.dump(dumpAddresses());
  const text = addresses.map(({ index, address, prefixLength }) =>
    `${index} ${address}/${prefixLength}`
  );
  assert.deepEqual(text.toSorted(), shown.toSorted());
  assert.ok(text.includes("101 192.0.2.1/24") && text.includes("101 2001:db8::1/64"));
  const own = connection.dump(dumpAddresses({ index: 101, family: 6 }));
  assert.ok(own.every(({ index, address }) => index === 101 && address.family === 6));
  assert.equal(own.find(({ address }) => address.equals(six.address))?.tentative, false);

  for (const family of [4, 6] as const) {
    const routes = connection.dump(dumpRoutes({ family }));
    const ours = routes.map((route) =>
      `${route.destination} ${route.nextHops[0]?.gateway ?? ""} ${route.metric} ${
        route.mtuBytes ?? ""
      }`
    );
    const theirs = (await here.show("ip", `-${family}`, "route", "show", "table", "all")).map((
      route,
    ) =>
      `${fullPrefix(String(route.dst), family)} ${route.gateway ?? ""} ${route.metric ?? 0} ` +
      `${field(route, "metrics", "0", "mtu") ?? ""}`
    );
    assert.deepEqual(ours.toSorted(), theirs.toSorted());
  }
  assert.ok(connection.dump(dumpRoutes({ table: 1000 })).every(({ table }) => table === 1000));

  const route = connection.get(getRoute({ destination: IpAddress.parse("198.51.100.1") }));
  assert.equal(route.nextHops[0]?.index, 101);
  assert.ok(route.nextHops[0].gateway?.equals(gateway));
  assert.ok(route.preferredSource?.equals(ip4));
  assert.equal(route.mtuBytes, 1350);

  connection.request(deleteRoute({ destination: Cidr.parse("0.0.0.0/0") }));
  connection.request(deleteAddress(mask));
  assert.throws(() => connection.request(deleteAddress(mask)), refusedWith("EADDRNOTAVAIL"));
});

function fullPrefix(text: string, family: 4 | 6): string {
  if (text === "default") return family === 4 ? "0.0.0.0/0" : "::/0";
  return text.includes("/") ? text : `${text}/${family === 4 ? 32 : 128}`;
}

Deno.test("a thousand neighbours and forwarding entries take two sends", sanitized, async () => {
  using here = new Sandbox();
  using there = new Sandbox();
  build(here, there);
  const { connection } = here;
  const base = IpAddress.parse("10.64.0.1").value;
  const all = Array.from({ length: 1000 }, (_, index) => ({
    address: new IpAddress(4, base + BigInt(index)),
    mac: `02:01:00:00:${(index >> 8).toString(16).padStart(2, "0")}:${
      (index & 255).toString(16).padStart(2, "0")
    }`,
  }));
  const destination = IpAddress.parse("192.0.2.2");
  const results = connection.batch(all.flatMap(({ address, mac }) => [
    replaceNeighbour({ index: 100, address, mac, state: "permanent" }),
    replaceFdbEntry({ index: 100, table: "self", mac, state: "permanent", destination }),
    replaceFdbEntry({ index: 100, table: "master", mac, state: "static" }),
  ]));
  assert.deepEqual(results.filter((result) => result !== null), []);

  const neighbours = connection.dump(dumpNeighbours({ index: 100, family: 4 }));
  assert.equal(neighbours.length, 1000);
  const expected = new Map(all.map(({ address, mac }) => [address.toString(), mac]));
  for (const { address, mac, state } of neighbours) {
    assert.deepEqual([mac, state], [expected.get(address.toString()), "permanent"]);
  }
  // Filtered in the kernel: the bridge has multicast neighbours of its own only.
  const others = connection.dump(dumpNeighbours({ index: 101 }));
  assert.ok(others.every(({ index, state }) => index === 101 && state === "noarp"));
  const shown = await here.show("ip", "-4", "neigh", "show", "dev", "vxlan0", "nud", "all");
  assert.equal(shown.length, 1000);

  let pauses = 0;
  const fdb = await connection.dumpInParts(dumpFdb({ index: 100 }), () => {
    pauses++;
    return Promise.resolve();
  });
  assert.ok(pauses > 1, "the dump is longer than one datagram");
  assert.ok(fdb.every(({ index }) => index === 100));
  const bridged = await here.show("bridge", "fdb", "show", "dev", "vxlan0");
  // A bridge with VLANs shows an entry once for each.
  const line = (
    entry: { mac: unknown; self: boolean; state: unknown; dst: unknown; vlan: unknown },
  ) => `${entry.mac} ${entry.self} ${entry.state} ${entry.dst} ${entry.vlan}`;
  assert.deepEqual(
    fdb.map((entry) =>
      line({
        mac: entry.mac,
        self: entry.table === "self",
        state: entry.state,
        dst: entry.destination?.toString(),
        vlan: entry.vlan ?? undefined,
      })
    ).toSorted(),
    bridged.map((entry) =>
      line({
        mac: entry.mac,
        self: list(entry.flags).includes("self"),
        state: entry.state === "" ? "dynamic" : entry.state,
        dst: entry.dst,
        vlan: entry.vlan,
      })
    ).toSorted(),
  );
  assert.ok(connection.dump(dumpFdb({ master: 101 })).length >= fdb.length);

  const removed = connection.batch(all.flatMap(({ address, mac }) => [
    deleteNeighbour({ index: 100, address }),
    deleteFdbEntry({ index: 100, table: "self", mac, destination }),
    deleteFdbEntry({ index: 100, table: "master", mac }),
  ]));
  assert.deepEqual(removed.filter((result) => result !== null), []);
  const left = connection.dump(dumpFdb({ index: 100 })).filter((entry) =>
    entry.mac.startsWith("02:01")
  );
  assert.deepEqual(left, []);
});

Deno.test("one listener hears of other namespaces by their ids", sanitized, async () => {
  using here = new Sandbox();
  using there = new Sandbox();
  here.connection.request(setNamespaceId({ fd: there.namespace.fd }, 77));
  assert.deepEqual(here.connection.dump(dumpNamespaceIds()), [77]);
  assert.throws(
    () => here.connection.request(setNamespaceId({ fd: there.namespace.fd }, 78)),
    refusedWith("EEXIST"),
  );
  await using watcher = new Watcher();
  const heard: { nsid: number | null; notification: Notification }[] = [];
  const finished = Promise.withResolvers<void>();
  watcher.subscribe(
    {
      family: "route",
      namespace: here.namespace,
      groups: [RTNLGRP_LINK, RTNLGRP_NEIGH],
      namespaces: "all",
    },
    {
      onDatagram(datagram, nsid) {
        for (const notification of decodeNotifications(datagram)) {
          heard.push({ nsid, notification });
          if (notification.kind === "link" && notification.change === "removed") finished.resolve();
        }
      },
      onOverrun: () => finished.reject(new Error("overrun")),
    },
  );
  const { connection } = there;
  connection.request(createLink(BRIDGE));
  connection.request(createLink({ ...VXLAN, master: 101, up: true }));
  const entry = { index: 100, mac: mac(9) };
  connection.request(
    replaceNeighbour({ ...entry, address: IpAddress.parse("10.64.0.9"), state: "permanent" }),
  );
  connection.request(replaceFdbEntry({ ...entry, table: "master", state: "static" }));
  connection.request(setLink(100, { master: null }));
  connection.request(deleteLink(100));
  await finished.promise;

  assert.ok(heard.every(({ nsid }) => nsid === 77));
  const story = heard.map(({ notification }) => {
    const { kind, change } = notification;
    return kind === "link" || kind === "bridge-port"
      ? `${kind} ${change} ${notification.link.name}`
      : `${kind} ${change}`;
  });
  for (
    const expected of [
      "link set bridge0",
      "link set vxlan0",
      "bridge-port set vxlan0",
      "neighbour set",
      "fdb set",
      "bridge-port removed vxlan0",
      "link removed vxlan0",
    ]
  ) assert.ok(story.includes(expected), `${expected} in ${story.join(", ")}`);
});
