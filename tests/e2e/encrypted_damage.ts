/**
 * Whatever somebody does to a host's kernel by hand: nothing of an encrypted network leaves in the clear,
 * also as long as the agent does not see it; and then it is as it was.
 */
import assert from "node:assert/strict";
import type { ClusterHost, Workload } from "./cluster.ts";
import { at, type EncryptedNetwork, type EncryptedScene, REKEY_MS } from "./encrypted_scene.ts";
import { Talk } from "./talk.ts";
import { waitFor } from "./wait.ts";

/** Packets that are offered while a damage is not repaired. */
const OFFERED = 50;
const XFRM_SYSCTLS = [
  "all.disable_xfrm",
  "eth0.disable_xfrm",
  "all.disable_policy",
  "eth0.disable_policy",
];

/** Something bad: done on one host or on both, and perhaps undone by whoever did it. */
interface Damage {
  readonly what: string;
  readonly script: string;
  readonly undo?: string;
}

const DAMAGES: readonly Damage[] = [
  { what: "the policies are flushed", script: "ip xfrm policy flush" },
  { what: "the SAs are flushed", script: "ip xfrm state flush" },
  { what: "both are flushed", script: "ip xfrm policy flush; ip xfrm state flush" },
  { what: "the guard on the wire is deleted", script: "tc qdisc del dev eth0 clsact" },
  {
    what: "the firewall is flushed, and accepts everything",
    script: "for table in filter raw mangle; do iptables-legacy -w -t $table -F; done; " +
      "for chain in INPUT OUTPUT FORWARD; do iptables-legacy -w -P $chain ACCEPT; done",
  },
  { what: "the VXLAN device is set down", script: "ip -n agent-shop link set vxlan0 down" },
  {
    what: "the VXLAN device is set down, and up",
    script: "ip -n agent-shop link set vxlan0 down; ip -n agent-shop link set vxlan0 up",
  },
  {
    what: "the VXLAN device is up without policies",
    script: "ip xfrm policy flush; ip -n agent-shop link set vxlan0 down; " +
      "ip -n agent-shop link set vxlan0 up",
  },
  ...XFRM_SYSCTLS.map((name) => ({
    what: `the sysctl ${name} is set`,
    script: `sysctl -qw net.ipv4.conf.${name}=1`,
    undo: `sysctl -qw net.ipv4.conf.${name}=0`,
  })),
  {
    what: "policies do not hold on loopback",
    script: "sysctl -qw net.ipv4.conf.lo.disable_policy=1",
  },
];

interface Pair {
  readonly scene: EncryptedScene;
  readonly one: ClusterHost;
  readonly two: ClusterHost;
  readonly near: Workload;
  readonly far: Workload;
}

/** What somebody does to the kernel of one of two hosts. */
export async function damage(
  t: Deno.TestContext,
  scene: EncryptedScene,
  { workloads }: EncryptedNetwork,
): Promise<void> {
  const [one, two] = [at(scene.hosts, 0), at(scene.hosts, 1)];
  const pair = { scene, one, two, near: at(workloads, 0), far: at(workloads, 1) };
  for (const { what, script, undo } of DAMAGES) {
    await t.step(`${what} on one host`, () => survives(pair, [one], script, undo));
    await t.step(`${what} on the other`, () => survives(pair, [two], script, undo));
  }
  await t.step("the policies are deleted one by one", () => oneByOne(pair));
  await t.step("the route to a peer leads over another device", () => otherRoute(pair));
}

/** Does it with the agents standing still, and offers packets both ways before and after they see it. */
async function survives(
  pair: Pair,
  hosts: readonly ClusterHost[],
  script: string,
  undo?: string,
): Promise<void> {
  const { scene, one, two } = pair;
  using forth = new Talk(pair.near, pair.far);
  using back = new Talk(pair.far, pair.near);
  const from = await scene.watch.mark();
  const say = () => {
    for (const talk of [forth, back]) {
      const { offered } = talk;
      talk.say(OFFERED);
      assert.equal(talk.offered, offered + OFFERED, "the workload goes on sending");
    }
  };
  await scene.whileStopped([one, two], async () => {
    for (const host of hosts) await host.sh(script);
    say();
  });
  say();
  if (undo !== undefined) { for (const host of hosts) await host.sh(undo); }
  await forth.getsThrough(REKEY_MS);
  await back.getsThrough(REKEY_MS);
  for (const host of [one, two]) await scene.repaired(host);
  assert.deepEqual((await scene.watch.look(from)).leaks, []);
}

async function oneByOne(pair: Pair): Promise<void> {
  const { scene, one, two } = pair;
  using talk = new Talk(pair.near, pair.far);
  const from = await scene.watch.mark();
  const list = await one.sh("ip -s xfrm policy list");
  const policies = [...list.matchAll(/^\s+dir (in|out) action \w+ index (\d+)/gm)];
  assert(policies.length >= 5, "three blocks and a pair's two");
  for (const [, direction, index] of policies) {
    await scene.whileStopped([one, two], async () => {
      await one.sh(`ip xfrm policy delete dir ${direction} index ${index}`);
      talk.say(OFFERED);
    });
    await talk.getsThrough();
    await scene.repaired(one);
  }
  assert.deepEqual((await scene.watch.look(from)).leaks, []);
}

async function otherRoute(pair: Pair): Promise<void> {
  const { scene, one, two } = pair;
  const { underlay } = scene.lab;
  using talk = new Talk(pair.near, pair.far);
  const pid = one.lab.netns.split("/")[2];
  await underlay.exec(
    ...["ip", "link", "add", "port2-one", "master", "underlay", "up", "type", "veth"],
    ...["peer", "name", "eth9", "netns", `/proc/${pid}/ns/net`],
  );
  const from = await scene.watch.mark();
  await one.sh(`ip link set eth9 up; ip route add ${two.address}/32 dev eth9 src ${one.address}`);
  await talk.getsThrough();
  await waitFor("the guard to stand on the other device", async () => {
    return (await one.sh("tc filter show dev eth9 egress")).includes("dst_port");
  });
  await scene.whileStopped([one, two], async () => {
    await one.sh("ip xfrm policy flush");
    talk.say(OFFERED);
  });
  await talk.getsThrough();
  await one.sh(`ip route del ${two.address}/32 dev eth9; ip link del eth9`);
  // It would go on sending to the MAC address of the device that is gone, for longer than requests wait.
  await two.sh("ip neigh flush dev eth0");
  using back = new Talk(pair.far, pair.near);
  await talk.getsThrough();
  await back.getsThrough();
  await scene.repaired(one);
  assert.deepEqual((await scene.watch.look(from)).leaks, []);
}
