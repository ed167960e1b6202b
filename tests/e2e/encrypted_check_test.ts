// needs: root netns vxlan esp flower
import assert from "node:assert/strict";
import type { HostStatus, NetworkCheckView, NodeView } from "../../src/api/mod.ts";
import { probeMac } from "../../src/base/mod.ts";
import type { ClusterHost } from "./cluster.ts";
import { at, type EncryptedNetwork, EncryptedScene, sanitized } from "./encrypted_scene.ts";
import { sasOf } from "./encryption.ts";
import { forgedFragmentationNeeded } from "./forged_frame.ts";
import { hardwareAddress } from "./forger.ts";
import { FrameSocket } from "./sockets.ts";
import { waitFor } from "./wait.ts";

const WELL = [["ok", "ok"], ["ok", "ok"]];
const NOT_AS_WANTED = 5;
/** IEEE Std 802 local experimental EtherType 1. */
const PROBE_ETHER_TYPE = 0x88b5;
const SHOTS = 50;

const bytesOf = (mac: string) => mac.split(":").map((pair) => Number.parseInt(pair, 16));

Deno.test(
  "hosts of an encrypted network check that they reach each other, and name what is to blame",
  sanitized,
  (t) =>
    EncryptedScene.run(2, async (scene) => {
      const shop = await scene.add("shop");
      const [one, two] = [at(scene.hosts, 0), at(scene.hosts, 1)];
      const step = (what: string, action: () => Promise<void>) => t.step(what, action);
      await step("a pair that is new on it is checked unasked", () => unasked(scene));
      await step("all well: both sizes, both ways", () => well(scene));
      await step(
        "a workload can neither send to a probe's address nor hear what is sent there",
        () => forgedProbes(scene, shop),
      );
      await step("a firewall that drops ESP coming in", async () => {
        await behind(two, "INPUT -p esp -j DROP", async () => {
          const found = await check(scene);
          assert.deepEqual(outcomes(found), [["esp", "esp"], ["ok", "ok"]]);
          assert.match(reason(found, 0), /ESP leaves host1 .* does not reach IPsec on host2/);
        });
      });
      await step("a firewall that drops what was decrypted", async () => {
        const { port } = shop.encryption;
        await behind(one, `INPUT -p udp --dport ${port} -j DROP`, async () => {
          const found = await check(scene);
          assert.deepEqual(outcomes(found), [["ok", "ok"], ["firewall", "firewall"]]);
          assert.match(reason(found, 1), new RegExp(`firewall of host1 drops UDP port ${port}`));
        });
      });
      await step("a route that carries less", async () => {
        await one.sh(`ip route replace ${two.address} dev eth0 mtu 1400`);
        const found = await check(scene);
        assert.deepEqual(outcomes(found), [["ok", "mtu"], ["ok", "ok"]]);
        assert.match(
          reason(found, 0),
          /host1's route to host2 carries 1400 bytes, .* need 1500: see/,
        );
        await one.sh(`ip route del ${two.address}`);
      });
      await step("an MTU that a forged ICMP message has lowered", () => forgedMtu(scene, one, two));
      await step("an SA with another key", () => otherKey(scene, shop, one, two));
      await step("and all is well again", () => well(scene));
      await step("what was refused is counted, at the managers too", () => counted(scene, two));
    }),
);

/** The newest check that the leader knows. */
function newest({ manager }: EncryptedScene): Promise<NetworkCheckView> {
  return manager.socket.get<NetworkCheckView>("/v1/networks/shop/check");
}

async function unasked(scene: EncryptedScene): Promise<void> {
  const found = await waitFor("the pair to be checked", async () => {
    const check = await newest(scene);
    return check.finishedAt !== null && check;
  });
  assert.deepEqual([found.cause, found.directions, found.passed], ["new-pair", 2, 2]);
}

/** Begins a check and waits for it. */
async function check(scene: EncryptedScene) {
  const { manager, hosts } = scene;
  const begun = await manager.socket.post<NetworkCheckView>("/v1/networks/shop/check", {});
  const found = await waitFor("the check to finish", async () => {
    const check = await newest(scene);
    assert.equal(check.id, begun.id);
    return check.finishedAt !== null && check;
  });
  assert.deepEqual([found.cause, found.directions], ["asked", 2]);
  const ids = await Promise.all(
    hosts.map(async ({ socket }) => (await socket.get<HostStatus>("/v1/self")).nodeId),
  );
  // From the first host first.
  const verdicts = [...found.verdicts].sort((left, right) =>
    ids.indexOf(left.from) - ids.indexOf(right.from)
  );
  assert.deepEqual(verdicts.map(({ from, to }) => [from, to]), [ids, [...ids].reverse()]);
  return verdicts;
}

type Verdicts = Awaited<ReturnType<typeof check>>;

function outcomes(verdicts: Verdicts): string[][] {
  return verdicts.map(({ small, full }) => [small.outcome, full.outcome]);
}

function reason(verdicts: Verdicts, direction: number): string {
  return at(verdicts, direction).full.reason ?? "";
}

async function well(scene: EncryptedScene): Promise<void> {
  const from = await scene.watch.mark();
  assert.deepEqual(outcomes(await check(scene)), WELL);
  const { counts, leaks } = await scene.watch.look(from);
  assert.deepEqual(leaks, []);
  assert(counts.esp >= 4, `two sizes both ways, and ${counts.esp} ESP packets`);
}

/** With the entry that there is while a check runs: without it there would be no way in any case. */
async function forgedProbes(
  { watch, hosts }: EncryptedScene,
  { workloads }: EncryptedNetwork,
): Promise<void> {
  const [one, two] = [at(hosts, 0), at(hosts, 1)];
  const [near, far] = [at(workloads, 0), at(workloads, 1)];
  const mac = probeMac(2);
  const inSandbox = `ip netns exec agent-shop bridge fdb`;
  await one.sh(`${inSandbox} replace ${mac} dev vxlan0 dst ${two.address}`);
  assert.deepEqual(await one.plan(), [], "the agent leaves it to the check");
  const frame = new Uint8Array(64);
  frame.set(bytesOf(mac), 0);
  frame.set(bytesOf(near.mac), 6);
  new DataView(frame.buffer).setUint16(12, PROBE_ETHER_TYPE);
  const espOf = async (netns: string, device: string) => {
    const from = await watch.mark();
    using socket = FrameSocket.open(netns, device);
    for (let shot = 0; shot < SHOTS; shot++) assert(socket.send(frame));
    return (await watch.look(from)).counts.esp;
  };
  const heard = () => far.sh("cat /sys/class/net/eth0/statistics/rx_packets");
  const before = await heard();
  assert.equal(await espOf(one.lab.path("/run/netns/agent-shop"), "vxlan0"), SHOTS);
  assert.equal(await heard(), before);
  assert.equal(await espOf(near.netns, "eth0"), 0);
  await one.sh(`${inSandbox} del ${mac} dev vxlan0 dst ${two.address}`);
}

async function behind(host: ClusterHost, rule: string, action: () => Promise<void>) {
  await host.sh(`iptables-legacy -w -I ${rule}`);
  try {
    await action();
  } finally {
    await host.sh(`iptables-legacy -w -D ${rule}`);
  }
}

async function forgedMtu(scene: EncryptedScene, one: ClusterHost, two: ClusterHost) {
  const sa = (await sasOf(one)).find(({ src }) => src === one.address);
  assert(sa !== undefined);
  const frame = forgedFragmentationNeeded({
    fromMac: hardwareAddress(two.lab),
    toMac: hardwareAddress(one.lab),
    fromIp: two.address,
    toIp: one.address,
    spi: sa.spi,
    mtuBytes: 1000,
  });
  {
    using socket = FrameSocket.open(two.lab.netns, "eth0");
    assert(socket.send(frame));
  }
  assert.match(await one.sh(`ip route get ${two.address}`), /expires .* mtu 1000/);
  const found = await check(scene);
  assert.deepEqual(outcomes(found), [["ok", "mtu"], ["ok", "ok"]]);
  assert.match(
    reason(found, 0),
    /carries 1000 bytes, .* learned from an ICMP message, which .* forge/,
  );
  await one.sh("ip route flush cache");
}

/** What host2 receives with gets another key, while its agent does not look. */
async function otherKey(
  scene: EncryptedScene,
  { encryption: { port } }: EncryptedNetwork,
  one: ClusterHost,
  two: ClusterHost,
) {
  const sa = (await sasOf(two)).find(({ src }) => src === one.address);
  assert(sa !== undefined);
  const key = [...crypto.getRandomValues(new Uint8Array(36))].map((byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("");
  const ends = `src ${one.address} dst ${two.address}`;
  const name = `${ends} proto esp spi 0x${sa.spi.toString(16)}`;
  const reqid = 0x41470000 + ((sa.spi >>> 16) & 0x1fff);
  await scene.whileStopped([two], async () => {
    await two.sh(`ip xfrm state delete ${name}
      ip xfrm state add ${name} reqid ${reqid} mode transport flag esn replay-window 1024 \
        aead 'rfc4106(gcm(aes))' 0x${key} 128 \
        sel src ${one.address}/32 dst ${two.address}/32 proto udp sport ${port} dport ${port}`);
  });
  const found = await check(scene);
  assert.deepEqual(outcomes(found), [["key", "key"], ["ok", "ok"]]);
  const { status, stdout } = await scene.manager.agent("network", "check", "shop");
  assert.equal(status, NOT_AS_WANTED);
  assert.match(
    stdout,
    /^host1 +host2 +key +key\n(.*\n)*1 of 2 directions are well\n- ESP from host1/m,
  );
  assert.match(reason(found, 0), /ESP from host1 reaches host2 and is not intact there/);
  await scene.rotate("shop");
  await scene.settled("shop");
}

async function counted(scene: EncryptedScene, two: ClusterHost): Promise<void> {
  const isRefusal = ({ name }: { name: string }) => name === "XfrmInStateProtoError";
  const { ipsec } = await two.socket.get<HostStatus>("/v1/self");
  assert.deepEqual(ipsec?.networks.map(({ networkName }) => networkName), ["shop"]);
  const own = ipsec?.refused.find(isRefusal);
  assert(own !== undefined && own.packets > 0);
  assert.match(
    own.meaning,
    /not intact: forged or damaged on the way, or the two hosts have other keys/,
  );
  assert.match(await two.must("status"), /^XfrmInStateProtoError +- +[1-9]/m);
  const told = await waitFor("the managers to hear of it", async () => {
    const node = await scene.manager.socket.get<NodeView>("/v1/nodes/host2");
    return node.ipsec?.refused.find(isRefusal);
  });
  assert(told.packets > 0);
}
