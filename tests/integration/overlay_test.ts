import assert from "node:assert/strict";
import { Cidr } from "../../src/base/mod.ts";
import { hostRoutes, sourceAddressFor, underlayMtu } from "../../src/overlay/mod.ts";
import { identifyProcess } from "../../src/sys/mod.ts";
import {
  attempt,
  id,
  type LabNetwork,
  overlayTest,
  run,
  SHOP,
  startShop,
  until,
} from "./overlay_lab.ts";

overlayTest("workloads reach each other on one host and across hosts", 2, async (lab) => {
  await startShop(lab);
  assert.ok(await lab.reaches("web", "10.64.0.3"));
  assert.ok(await lab.reaches("web", "10.64.0.4"));
  assert.ok(await lab.reaches("store", "10.64.0.3"));
  // The UDP socket of the VXLAN device is the host's, not the sandbox's: port 19999 is 4E1F.
  assert.match(await lab.in(lab.host(1), "cat /proc/net/udp"), /:4E1F /);
  assert.doesNotMatch(await lab.in(lab.sandbox(1, "shop"), "cat /proc/net/udp"), /:4E1F /);
  // No way out but the network itself.
  assert.equal((await lab.in(lab.workload("web"), "ip route")).trim().split("\n").length, 1);
});

overlayTest(
  "a bridge has no forward delay, whose end would be told of as a change",
  2,
  async (lab) => {
    await startShop(lab);
    assert.match(
      await lab.in(lab.sandbox(1, "shop"), "ip -d link show bridge0"),
      / forward_delay 0 /,
    );
  },
);

overlayTest("who asked for an address too early hears of it when it is there", 2, async (lab) => {
  for (const workload of ["web", "cart", "store"]) await lab.addWorkload(workload);
  const [web, cart, store] = SHOP.endpoints;
  assert.ok(web && cart && store);
  await lab.apply([1], [{ ...SHOP, endpoints: [web] }]);
  // As a question that nobody has answered, but one that the kernel never repeats by itself.
  const ask = (ip: string) =>
    lab.in(lab.workload("web"), `ip neigh replace ${ip} dev eth0 nud incomplete`);
  const knows = (ip: string, mac: string) =>
    until(`the MAC address of ${ip}`, async () => {
      const entry = await lab.in(lab.workload("web"), `ip neigh show ${ip}`);
      return entry.includes(`lladdr ${mac}`);
    });
  await ask("10.64.0.4");
  await lab.apply([2, 1], [{ ...SHOP, endpoints: [web, store] }]);
  await knows("10.64.0.4", "02:00:0a:40:00:04");
  await ask("10.64.0.3");
  await lab.apply([1, 2], [SHOP]);
  await knows("10.64.0.3", "02:00:0a:40:00:03");
  // What a workload has set by hand is its own business.
  await lab.apply([1, 2], [{ ...SHOP, endpoints: [web, cart] }]);
  const byHand = "10.64.0.4 lladdr 02:11:11:11:11:11 dev eth0";
  await lab.in(lab.workload("web"), `ip neigh replace ${byHand} nud permanent`);
  await ask("10.64.0.5");
  const later = { ...store, number: 5 };
  await lab.apply([2, 1], [{
    ...SHOP,
    endpoints: [web, cart, { ...store, workload: "none" }, later],
  }]);
  await knows("10.64.0.5", "02:00:0a:40:00:05");
  assert.match(await lab.in(lab.workload("web"), "ip neigh show 10.64.0.4"), /02:11:11:11:11:11/);
});

overlayTest(
  "a packet of the full size passes, one byte more is refused at home",
  2,
  async (lab) => {
    await startShop(lab);
    const web = lab.workload("web");
    await lab.in(web, "ping -q -c 1 -W 1 -M do -s 1422 10.64.0.4");
    const { success, output } = await attempt(
      `ip netns exec ${web} ping -c 1 -W 1 -M do -s 1423 10.64.0.4`,
    );
    assert.ok(!success);
    assert.match(output, /message too long/i);
    // A network's MTU can change while it is used.
    await lab.apply([1, 2], [{ ...SHOP, mtuBytes: 1400 }]);
    await lab.in(web, "ping -q -c 1 -W 1 -M do -s 1372 10.64.0.4");
    const after = await attempt(`ip netns exec ${web} ping -c 1 -W 1 -M do -s 1373 10.64.0.4`);
    assert.match(after.output, /message too long/i);
    assert.deepEqual(await lab.reconciler(1).plan(), []);
  },
);

overlayTest("networks are isolated, and ARP for strangers is not answered", 2, async (lab) => {
  await lab.addWorkload("spy");
  await startShop(lab);
  const bank: LabNetwork = { name: "bank", endpoints: [{ host: 1, number: 9, workload: "spy" }] };
  await lab.apply([1, 2], [SHOP, bank]);
  const spy = lab.workload("spy");
  // An address of the other network, and a route that says it is on the link.
  await lab.in(spy, "ip address add 10.64.0.77/24 dev eth0");
  for (const address of ["10.64.0.2", "10.64.0.4", "192.0.2.1", "192.0.2.2"]) {
    await lab.in(spy, `ip route replace ${address}/32 dev eth0`);
    assert.ok(!await lab.reaches("spy", address), address);
  }
  const neighbours = await lab.in(spy, "ip neigh show");
  assert.doesNotMatch(neighbours, /REACHABLE|STALE|DELAY|PERMANENT/);
});

overlayTest("broadcasts and frames to unknown addresses do not reach the wire", 2, async (lab) => {
  await startShop(lab);
  assert.ok(await lab.reaches("web", "10.64.0.4"));
  const web = lab.workload("web");
  const last = /10\.64\.0\.4 > 10\.64\.0\.2: ICMP echo reply/;
  const packets = await lab.capture(1, "udp port 19999", last, async () => {
    await attempt(`ip netns exec ${web} ping -q -b -c 3 -i 0.01 -W 1 10.64.0.255`);
    await lab.in(web, "ip neigh replace 10.64.0.50 lladdr 02:11:11:11:11:11 dev eth0");
    await attempt(`ip netns exec ${web} ping -q -c 3 -i 0.01 -W 1 10.64.0.50`);
    await attempt(`ip netns exec ${web} ping -q -c 2 -i 0.01 -W 1 10.64.0.51`);
    await lab.in(web, "ip neigh flush dev eth0");
    assert.ok(await lab.reaches("web", "10.64.0.4"));
  });
  assert.equal(packets.match(/VXLAN/g)?.length, 2, packets);
});

overlayTest("a restarted agent finds all right and disturbs no packet", 2, async (lab) => {
  await startShop(lab);
  const ping = attempt(
    `ip netns exec ${lab.workload("web")} ping -q -i 0.002 -c 500 10.64.0.4`,
  );
  for (let restart = 0; restart < 3; restart++) {
    await lab.reconciler(1).close();
    const successor = lab.start(1);
    successor.setDesired(lab.desired(1, [SHOP]));
    const { problems, attached } = await successor.settled();
    assert.deepEqual([problems, attached.length], [[], 2]);
    assert.notEqual(successor.stats.lastNoopMs, null);
    assert.deepEqual(await successor.plan(), []);
  }
  assert.match((await ping).output, / 0% packet loss/);
});

overlayTest("a host with many links of its own", 2, async (lab) => {
  // A network's links have ifindexes of ours; those of the host's links are no matter.
  await run(`for n in $(seq 1 20); do ip -n ${lab.host(1)} link add other$n type bridge; done`);
  await startShop(lab);
  assert.ok(await lab.reaches("web", "10.64.0.4"));
});

overlayTest("removal leaves nothing behind", 2, async (lab) => {
  for (const workload of ["web", "cart", "store"]) await lab.addWorkload(workload);
  const picture = () =>
    run(
      `ip netns | grep '^${lab.prefix}' | cut -d ' ' -f 1 | sort
      for name in ${lab.host(1)} ${lab.workload("web")} ${lab.workload("cart")}; do
        ip -n $name -br link; ip -n $name -br address; ip -n $name neigh; ip -n $name route
      done`,
    );
  const before = await picture();
  await lab.apply([1], [SHOP]);
  await lab.apply([1], []);
  assert.equal(await picture(), before);
  await lab.apply([1], [SHOP]);
  await lab.reconciler(1).close();
  // One that was never told of the network.
  assert.deepEqual(await lab.start(1).removeAll(), []);
  assert.equal(await picture(), before);
});

overlayTest(
  "interfaces are made in the order asked for, under the names asked for",
  1,
  async (lab) => {
    await lab.addWorkload("web");
    const endpoint = { host: 1, number: 2, workload: "web" };
    const networks = [
      { name: "zebra", endpoints: [endpoint] },
      { name: "bank", endpoints: [{ ...endpoint, interfaceName: "money" }] },
      { name: "ant", endpoints: [endpoint] },
    ];
    await lab.apply([1], networks);
    const web = lab.workload("web");
    const links: Shown[] = JSON.parse(await lab.in(web, "ip -4 -j address show scope global"));
    const shown = links.flatMap(({ ifname, addr_info }) =>
      (addr_info ?? []).map(({ local }) => `${ifname} ${local}`)
    );
    assert.deepEqual(shown, ["eth0 10.64.0.2", "money 10.64.1.2", "eth1 10.64.2.2"]);
  },
);

overlayTest(
  "an interface name that is taken is refused, and nothing is left of it",
  1,
  async (lab) => {
    await lab.addWorkload("web");
    await lab.in(lab.workload("web"), "ip link add mine type bridge");
    const endpoints = [{ host: 1, number: 2, workload: "web", interfaceName: "mine" }];
    const reconciler = lab.reconciler(1);
    reconciler.setDesired(lab.desired(1, [{ name: "shop", endpoints }]));
    const { problems, attached } = await reconciler.settled();
    assert.deepEqual(attached, []);
    assert.match(problems[0]?.message ?? "", /an interface mine in .*web already/);
    assert.equal(problems[0]?.endpointId, id("shop 2"));
    assert.doesNotMatch(await run(`ip -n ${lab.sandbox(1, "shop")} link`), /: ep/);
  },
);

overlayTest(
  "a path that does not exist yet is waited for; a workload that ends is told",
  1,
  async (lab) => {
    const endpoints = [{ host: 1, number: 2, workload: "web" }];
    const reconciler = lab.reconciler(1);
    reconciler.setDesired(lab.desired(1, [{ name: "shop", endpoints }]));
    const first = await reconciler.settled();
    assert.deepEqual([first.problems, first.waiting], [[], [id("shop 2")]]);
    await lab.addWorkload("web");
    await until("it is attached", () => Promise.resolve(reconciler.result.attached.length === 1));
    await run(`ip netns delete ${lab.workload("web")}`);
    await until("it is told", () => Promise.resolve(reconciler.result.gone.length === 1));
    assert.deepEqual([reconciler.result.problems, reconciler.result.attached], [[], []]);
    await lab.addWorkload("web");
    await until(
      "it is attached again",
      () => Promise.resolve(reconciler.result.attached.length === 1),
    );
  },
);

overlayTest("a workload named by a process goes with it", 1, async (lab) => {
  const workload = new Deno.Command("unshare", { args: ["--net", "sleep", "1000"] }).spawn();
  const reconciler = lab.reconciler(1);
  try {
    await until("it is in its own namespace", async () => {
      const { output } = await attempt(`readlink /proc/${workload.pid}/ns/net /proc/self/ns/net`);
      return new Set(output.trim().split("\n")).size === 2;
    });
    const target = { kind: "pid" as const, pid: workload.pid, startTicks: 0 };
    const identity = identifyProcess(workload.pid);
    assert.ok(identity);
    const desired = (startTicks: number) => {
      const endpoints = [{ host: 1, number: 2, target: { ...target, startTicks } }];
      return lab.desired(1, [{ name: "shop", endpoints }]);
    };
    reconciler.setDesired(desired(identity.startTicks));
    assert.deepEqual((await reconciler.settled()).attached, [id("shop 2")]);
    workload.kill("SIGKILL");
    await workload.status;
    await until("it is told", () => Promise.resolve(reconciler.result.gone.length === 1));
    // Another process with the same pid is not the workload.
    reconciler.setDesired(desired(identity.startTicks + 1));
    assert.deepEqual((await reconciler.settled()).gone, [id("shop 2")]);
  } finally {
    try {
      workload.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await workload.status;
  }
});

overlayTest("another VTEP address takes effect, also of a remote", 2, async (lab) => {
  await startShop(lab);
  await run(`ip -n ${lab.host(2)} address add 192.0.2.22/24 dev under0`);
  const moved = (host: number) => {
    const desired = lab.desired(host, [SHOP]);
    const networks = desired.networks.map((network) => ({
      ...network,
      vtepAddress: host === 2 ? "192.0.2.22" : network.vtepAddress,
      remotes: network.remotes.map((remote) =>
        remote.vtepAddress === "192.0.2.2" ? { ...remote, vtepAddress: "192.0.2.22" } : remote
      ),
    }));
    return { ...desired, networks };
  };
  for (const host of [1, 2]) {
    lab.reconciler(host).setDesired(moved(host));
    assert.deepEqual((await lab.reconciler(host).settled()).problems, []);
  }
  await run(`ip -n ${lab.host(2)} address delete 192.0.2.2/24 dev under0
    ip -n ${lab.host(2)} address show dev under0 | grep -q 192.0.2.22 ||
      ip -n ${lab.host(2)} address add 192.0.2.22/24 dev under0`);
  assert.ok(await lab.reaches("web", "10.64.0.4"));
});

overlayTest(
  "an endpoint that cannot be attached in full is not attached at all",
  1,
  async (lab) => {
    await lab.addWorkload("web");
    const endpoints = [{ host: 1, number: 2, workload: "web" }];
    const reconciler = lab.reconciler(1);
    const desired = lab.desired(1, [{ name: "shop", endpoints }]);
    // The veth is made before its address is refused.
    const impossible = desired.endpoints.map((endpoint) => ({ ...endpoint, prefixLength: 33 }));
    reconciler.setDesired({ ...desired, endpoints: impossible });
    const { problems, attached } = await reconciler.settled();
    assert.deepEqual(attached, []);
    assert.match(problems[0]?.message ?? "", /attach .* failed: .*33/);
    assert.doesNotMatch(await run(`ip -n ${lab.sandbox(1, "shop")} link`), /: ep/);
    assert.doesNotMatch(await lab.in(lab.workload("web"), "ip link"), /eth0/);
    reconciler.setDesired(desired);
    assert.deepEqual((await reconciler.settled()).attached, [id("shop 2")]);
  },
);

overlayTest(
  "a fight with somebody who puts things back does not eat the processor",
  1,
  async (lab) => {
    await lab.addWorkload("web");
    const shop = { name: "shop", endpoints: [{ host: 1, number: 2, workload: "web" }] };
    await lab.apply([1], [shop]);
    const first = lab.reconciler(1);
    const other = lab.start(1);
    try {
      const startedMs = performance.now();
      other.setDesired(lab.desired(1, [{ ...shop, mtuBytes: 1400 }]));
      // At most 50 rounds in what is left of a second, and 50 in the next.
      const before = first.stats.rounds;
      await until("they have fought", () => Promise.resolve(first.stats.rounds >= before + 110));
      assert.ok(performance.now() - startedMs > 1_000);
    } finally {
      await first.close();
    }
  },
);

overlayTest("the newest desired state wins, whatever is under way", 1, async (lab) => {
  await lab.addWorkload("web");
  const reconciler = lab.reconciler(1);
  const networks = Array.from({ length: 24 }, (_, place): LabNetwork => ({
    name: `net${place}`,
    endpoints: [{ host: 1, number: 2, workload: "web" }],
  }));
  reconciler.setDesired(lab.desired(1, networks));
  const first = reconciler.settled();
  // Not by a program: before it has started, all of them may be there.
  await until("some of them are there", () => Promise.resolve(lab.has(lab.sandbox(1, "net1"))));
  const newest = lab.desired(1, networks.slice(0, 1));
  reconciler.setDesired(newest);
  assert.equal((await reconciler.settled()).desired, newest);
  assert.equal((await first).desired, newest);
  assert.deepEqual(await reconciler.plan(), []);
  const names = (await run("ip netns")).split("\n").map((line) => line.split(" ")[0] ?? "");
  const sandboxes = names.filter((name) => name.startsWith(lab.sandbox(1, "")));
  assert.deepEqual(sandboxes, [lab.sandbox(1, "net0")]);
});

overlayTest(
  "who asks whether all is settled is answered, also right after the last answer",
  1,
  async (lab) => {
    await lab.addWorkload("web");
    const reconciler = lab.reconciler(1);
    const desired = lab.desired(1, [{
      name: "red",
      endpoints: [{ host: 1, number: 2, workload: "web" }],
    }]);
    reconciler.setDesired(desired);
    await reconciler.settled();
    // What the kernel tells of these changes has rounds of its own.
    await until("nothing more is to do", async () => {
      const { rounds } = reconciler.stats;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return rounds === reconciler.stats.rounds;
    });
    reconciler.setDesired(desired);
    await reconciler.settled();
    const again = reconciler.settled();
    const never = Promise.withResolvers<null>();
    const timer = setTimeout(() => never.resolve(null), 1_000);
    const result = await Promise.race([again, never.promise]);
    clearTimeout(timer);
    assert.equal(result?.desired, desired);
  },
);

overlayTest("what the host says of itself: source address, routes, MTU", 2, async (lab) => {
  const host = lab.testHost(1);
  const ip = (command: string) => run(`ip -n ${lab.host(1)} ${command}`);
  const pool = Cidr.parse("10.64.0.0/11");
  assert.deepEqual(sourceAddressFor(host, "192.0.2.2"), { kind: "found", address: "192.0.2.1" });
  // The only address, for want of a default route; then one of two.
  assert.deepEqual(sourceAddressFor(host, null), { kind: "found", address: "192.0.2.1" });
  await ip("link add other0 type bridge");
  await ip("link set other0 mtu 1400 up");
  await ip("address add 198.51.100.7/24 dev other0");
  const ambiguous = {
    kind: "ambiguous",
    choices: [
      { address: "192.0.2.1", interfaceName: "under0" },
      { address: "198.51.100.7", interfaceName: "other0" },
    ],
  };
  assert.deepEqual(sourceAddressFor(host, null), ambiguous);
  assert.deepEqual(sourceAddressFor(host, "203.0.113.9"), ambiguous);
  await ip("route add default via 192.0.2.2");
  await ip("route add default via 198.51.100.1 metric 100");
  assert.deepEqual(sourceAddressFor(host, null), { kind: "found", address: "192.0.2.1" });
  await ip("route add default via 198.51.100.1 metric 0 table 77");
  await ip("route append default via 198.51.100.1");
  assert.deepEqual(sourceAddressFor(host, null), ambiguous);

  assert.deepEqual(hostRoutes(host, pool), []);
  await ip("route add 10.64.2.0/24 dev other0; ip -n $0 route add 10.64.3.0/24 dev other0"
    .replace("$0", lab.host(1)));
  await ip("route add blackhole 10.0.0.0/10");
  await ip("route add 10.96.0.0/16 dev other0");
  await ip("address add 10.70.0.1/32 dev other0");
  await lab.addWorkload("web");
  // Our own endpoint in the host's namespace is no reason to avoid its subnet.
  await lab.apply([1], [{
    name: "shop",
    endpoints: [{
      host: 1,
      number: 2,
      target: { kind: "path", path: `/run/netns/${lab.host(1)}` },
    }],
  }]);
  assert.deepEqual(hostRoutes(host, pool), ["10.64.2.0/23", "10.70.0.1/32"]);

  assert.equal(underlayMtu(host, "192.0.2.1", []), 1500);
  assert.equal(underlayMtu(host, "192.0.2.1", ["192.0.2.2", "192.0.2.1"]), 1500);
  await ip("route add 203.0.113.1/32 via 198.51.100.1");
  assert.equal(underlayMtu(host, "192.0.2.1", ["192.0.2.2", "203.0.113.1"]), 1400);
  await ip("route add 203.0.113.2/32 via 192.0.2.2 mtu 1300");
  assert.equal(underlayMtu(host, "192.0.2.1", ["192.0.2.2", "203.0.113.2"]), 1300);
});

/** As `ip -j address` shows an interface. */
interface Shown {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local: string }[];
}
