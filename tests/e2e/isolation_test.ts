// needs: root vxlan
import assert from "node:assert/strict";
import type { NetworkView } from "../../src/api/mod.ts";
import { Capture } from "./capture.ts";
import { type Cluster, withCluster, type Workload } from "./cluster.ts";
import { FORGED_PORT, forgedVxlan } from "./forged_frame.ts";

/** A ping of this size says that everything sent before it has had its time to arrive. */
const MARKER_BYTES = 999;
const MARKER = /ICMP echo request.* length 1007/;
const VXLAN = "udp port 19999";

/** Two networks on three hosts, one workload of each network on each host. */
class Scene {
  readonly cluster: Cluster;
  readonly red: NetworkView;
  readonly reds: readonly Workload[];
  readonly blues: readonly Workload[];

  constructor(cluster: Cluster, red: NetworkView, reds: Workload[], blues: Workload[]) {
    this.cluster = cluster;
    this.red = red;
    this.reds = reds;
    this.blues = blues;
  }

  static async build(cluster: Cluster): Promise<Scene> {
    const red = await cluster.manager.createNetwork("red");
    await cluster.manager.createNetwork("blue");
    const reds: Workload[] = [];
    const blues: Workload[] = [];
    for (const [index, host] of cluster.hosts.entries()) {
      reds.push(await host.addWorkload(`red${index + 1}`, ["red"]));
      blues.push(await host.addWorkload(`blue${index + 1}`, ["blue"]));
    }
    return new Scene(cluster, red, reds, blues);
  }

  /** Who attacks: the blue workload on the first host. */
  get attacker(): Workload {
    return at(this.blues, 0);
  }

  /**
   * Attacks while every red workload is watched: not one packet may come in to any of them but the
   * marker that follows. The red workloads know each other's addresses, so they have nothing to ask.
   */
  async attack(attempt: () => Promise<void>): Promise<void> {
    for (const red of this.reds) await this.#knowOthers(red);
    const captures = await Promise.all(this.reds.map((red) =>
      Capture.start({
        host: red.host.lab,
        netns: red.name,
        device: "eth0",
        direction: "in",
      })
    ));
    await attempt();
    for (const [index, capture] of captures.entries()) {
      const from = at(this.reds, (index + 1) % this.reds.length);
      await from.sh(`ping -c 1 -W 5 -s ${MARKER_BYTES} ${at(this.reds, index).ip}`);
      await capture.sees(MARKER);
    }
    for (const capture of captures) {
      const packets = await capture.stop();
      assert.deepEqual(packets.filter((line) => !line.includes("length 1007")), []);
    }
  }

  async #knowOthers(red: Workload): Promise<void> {
    const others = this.reds.filter((other) => other !== red);
    await red.sh(
      others.map(({ ip, mac }) => `ip neigh replace ${ip} lladdr ${mac} dev eth0 nud permanent`)
        .join("\n"),
    );
  }
}

Deno.test(
  "two networks on three hosts",
  { sanitizeOps: true, sanitizeResources: true },
  (t) =>
    withCluster(3, async (cluster) => {
      const scene = await Scene.build(cluster);
      await t.step("workloads of one network reach each other across hosts", () => reach(scene));
      await t.step(
        "an address of the other network's subnet reaches nobody on it",
        () => scene.attack(() => stealAddresses(scene)),
      );
      await t.step(
        "ARP for foreign addresses is not answered, and crosses nothing",
        () => scene.attack(() => askForForeigners(scene)),
      );
      await t.step(
        "a host that forwards routes nothing between networks",
        () => scene.attack(() => routeThroughHost(scene)),
      );
      await t.step("VXLAN forged inside a workload reaches no VTEP", () => forgeVnis(scene));
      await t.step("what has no known destination does not leave the host", () => dontFlood(scene));
      await t.step(
        "a neighbour's forged MAC address gets none of its packets",
        () => forgeMac(scene),
      );
    }),
);

async function reach({ reds, blues }: Scene): Promise<void> {
  for (const network of [reds, blues]) {
    for (const from of network) {
      for (const to of network) {
        if (from !== to) assert(await from.reaches(to.ip), `${from.name} reaches ${to.name}`);
      }
    }
  }
}

/** Pings, of which none may be answered. */
async function pingAll(from: Workload, addresses: readonly string[]): Promise<void> {
  const pings = addresses.map((ip) => from.tries(`ping -c 3 -i 0.1 -W 0.3 ${ip}`));
  for (const { stdout } of await Promise.all(pings)) {
    assert.match(stdout, /^[1-9]\d* packets transmitted, 0 received/m);
  }
}

async function stealAddresses({ attacker, reds }: Scene): Promise<void> {
  const victims = reds.map(({ ip }) => ip);
  for (const { ip } of reds) {
    await attacker.sh(`ip address add ${ip}/24 dev eth0`);
    await pingAll(attacker, victims.filter((other) => other !== ip));
    // With their MAC addresses known, nothing has to be asked first.
    for (const red of reds) {
      await attacker.sh(`ip neigh replace ${red.ip} lladdr ${red.mac} dev eth0 nud permanent`);
    }
    await pingAll(attacker, victims.filter((other) => other !== ip));
    await attacker.sh(`ip neigh flush nud permanent dev eth0; ip address del ${ip}/24 dev eth0`);
  }
}

async function askForForeigners({ attacker, reds, blues, cluster }: Scene): Promise<void> {
  for (const { lab } of cluster.hosts) {
    await lab.exec("sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/proxy_arp; do echo 1 >$f; done");
  }
  const foreigners = [...reds.map(({ ip }) => ip), ...cluster.hosts.map(({ address }) => address)];
  const neighbour = at(blues, 1);
  await attacker.sh(foreigners.map((ip) => `ip route add ${ip} dev eth0`).join("\n"));
  await attacker.sh("ip neigh flush dev eth0");
  const replies = await Capture.start({
    host: attacker.host.lab,
    netns: attacker.name,
    device: "eth0",
    filter: "arp[6:2] = 2",
  });
  await pingAll(attacker, [...foreigners, "10.64.1.1"]);
  assert(await attacker.reaches(neighbour.ip), "ARP for a neighbour is answered");
  await replies.sees(new RegExp(`Reply ${neighbour.ip} is-at ${neighbour.mac}`));
  const foreign = (await replies.stop()).filter((line) => !line.includes(`Reply ${neighbour.ip} `));
  assert.deepEqual(foreign, []);
  await attacker.sh(foreigners.map((ip) => `ip route del ${ip} dev eth0`).join("\n"));
}

/** MAC addresses in the attacker's sandbox by which a packet could get to a stack that routes. */
async function gatewayMacs({ attacker, blues }: Scene): Promise<string[]> {
  const links = await attacker.host.sh("ip netns exec agent-blue ip -o link; ip -o link show eth0");
  const macs = [...links.matchAll(/link\/ether (\S+)/g)].map(([, mac]) => mac ?? "");
  assert(macs.length >= 4, "a bridge, a VXLAN device, a port, and the host's own device");
  return [...macs, at(blues, 1).mac];
}

/** Runs `attempt` with each way out of the attacker's namespace as its default route. */
async function withDefaultRoutes(scene: Scene, attempt: () => Promise<void>): Promise<void> {
  const { attacker } = scene;
  await attacker.sh("ip route add default via 10.64.1.1");
  for (const mac of await gatewayMacs(scene)) {
    await attacker.sh(`ip neigh replace 10.64.1.1 lladdr ${mac} dev eth0 nud permanent`);
    await attempt();
  }
  await attacker.sh("ip route del default; ip neigh del 10.64.1.1 dev eth0");
}

async function routeThroughHost(scene: Scene): Promise<void> {
  const { attacker, cluster, reds } = scene;
  const forward = "sysctl -q net.ipv4.ip_forward=1; " +
    "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done";
  for (const host of cluster.hosts) {
    await host.sh(forward);
    for (const network of ["red", "blue"]) {
      await host.lab.exec("ip", "netns", "exec", `agent-${network}`, "sh", "-c", forward);
    }
  }
  const leaks = await Capture.start({
    host: attacker.host.lab,
    device: "eth0",
    filter: "net 10.64.0.0/16",
  });
  const away = [...reds.map(({ ip }) => ip), ...cluster.hosts.map(({ address }) => address)];
  await withDefaultRoutes(scene, () => pingAll(attacker, away));
  // A packet of the host's own to such an address leaves by its default route: seen, so would
  // those of the workload have been.
  await attacker.host.lab.output(["ping", "-c", "1", "-W", "0.3", at(reds, 1).ip]);
  await leaks.sees(/./);
  const packets = await leaks.stop(`not arp and not src host ${attacker.host.address}`);
  assert.deepEqual(packets, []);
}

async function forgeVnis(scene: Scene): Promise<void> {
  const { attacker, cluster, red, reds } = scene;
  const write = (victim: Workload, host: Workload["host"]) => {
    const file = `/run/forged-${victim.name}`;
    Deno.writeFileSync(
      host.lab.path(file),
      forgedVxlan({
        vni: red.vni,
        toMac: victim.mac,
        fromMac: at(reds, 0).mac,
        toIp: victim.ip,
        fromIp: at(reds, 0).ip,
      }),
    );
    return file;
  };
  const shots = reds.flatMap((victim) => {
    const file = write(victim, attacker.host);
    return ["127.0.0.1", ...cluster.hosts.map(({ address }) => address)].map((vtep) =>
      `cat ${file} >/dev/udp/${vtep}/19999 || :`
    );
  });
  const shoot = async () => void await attacker.sh(`bash -c '${shots.join("\n")}' 2>/dev/null`);
  await scene.attack(() => withDefaultRoutes(scene, shoot));
  await checkForgery(scene, write(at(reds, 1), cluster.host(3)));
}

/** The very same bytes do arrive when a host sends them: so it is not the bytes that are wrong. */
async function checkForgery({ cluster, reds }: Scene, file: string): Promise<void> {
  const victim = at(reds, 1);
  const capture = await Capture.start({
    host: victim.host.lab,
    netns: victim.name,
    device: "eth0",
    filter: `udp port ${FORGED_PORT}`,
  });
  const send = `for i in 1 2 3; do cat ${file} >/dev/udp/${victim.host.address}/19999; done`;
  await cluster.host(3).lab.exec("bash", "-c", send);
  await capture.sees(/./);
  await capture.stop();
}

async function dontFlood({ cluster, reds }: Scene): Promise<void> {
  const from = at(reds, 0);
  const neighbour = at(reds, 1);
  const underlay = await Capture.start({
    host: cluster.manager.lab,
    device: "eth0",
    filter: VXLAN,
  });
  await from.sh(`ip neigh replace 10.64.0.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent
    ping -c 3 -i 0.1 -W 0.3 10.64.0.99 || :
    ping -c 3 -i 0.1 -W 0.3 10.64.0.98 || :
    ping -b -c 3 -i 0.1 -W 0.3 10.64.0.255 || :
    ping -b -c 3 -i 0.1 -W 0.3 -I eth0 255.255.255.255 || :
    ping -c 3 -i 0.1 -W 0.3 -I eth0 224.0.0.1 || :
    ping -c 3 -i 0.1 -W 0.3 -I eth0 ff02::1 || :
    ip neigh del 10.64.0.99 dev eth0`);
  await from.sh(`ping -c 1 -W 5 -s ${MARKER_BYTES} ${neighbour.ip}`);
  await underlay.sees(/UDP, length 1049$/);
  const packets = await underlay.stop();
  // Headers of VXLAN 8, Ethernet 14, IPv4 20 and ICMP 8 around the marker; a ping and its answer.
  assert.deepEqual(packets.map((line) => line.match(/length \d+$/)?.[0]), [
    "length 1049",
    "length 1049",
  ]);
}

async function forgeMac({ reds }: Scene): Promise<void> {
  const near = at(reds, 0);
  const far = at(reds, 1);
  const asker = at(reds, 2);
  for (const host of [near.host, asker.host]) {
    const thief = await host.addWorkload(`thief-${host.name}`, ["red"]);
    const capture = await Capture.start({
      host: host.lab,
      netns: thief.name,
      device: "eth0",
      direction: "in",
      filter: "icmp",
    });
    for (const { mac, ip } of [near, far]) {
      await thief.sh(`ip link add link eth0 name forged address ${mac} type macvlan mode bridge
        ip link set forged up
        ip address add ${ip}/32 dev forged
        ping -c 3 -i 0.1 -W 0.3 -I forged -b 10.64.0.255 || :
        ping -c 3 -i 0.1 -W 0.3 -I forged ${asker.ip} || :`);
      assert(await asker.reaches(near.ip), "the near one still answers");
      assert(await asker.reaches(far.ip), "the far one still answers");
      assert(await near.reaches(far.ip), "they still hear each other");
      await thief.sh("ip link del forged");
    }
    assert(await thief.reaches(near.ip), "what is meant for the thief is seen");
    await capture.sees(new RegExp(`> ${thief.ip}: ICMP echo reply`));
    const stolen = (await capture.stop()).filter((line) => !line.includes(`> ${thief.mac},`));
    assert.deepEqual(stolen, []);
  }
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  assert(item !== undefined);
  return item;
}
