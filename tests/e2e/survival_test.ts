// needs: root vxlan
import assert from "node:assert/strict";
import type { TestLab } from "../lab/hosts.ts";
import {
  Cluster,
  type ClusterHost,
  STATE_DIR,
  withCluster,
  withHosts,
  type Workload,
} from "./cluster.ts";
import { KernelMonitor, kernelState, sandboxState } from "./kernel.ts";
import { Pinger } from "./pinger.ts";
import { waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
/** A repair has to be done so soon after the kernel has told of the damage. */
const REPAIR_MS = 1000;

Deno.test(
  "no packet is lost, and nothing changed, when agents are killed and restarted",
  sanitized,
  () =>
    withCluster(3, async ({ hosts, manager }) => {
      await manager.createNetwork("red");
      const workloads: Workload[] = [];
      for (const host of hosts) workloads.push(await host.addWorkload(`of-${host.name}`, ["red"]));
      const pingers: Pinger[] = [];
      for (const [index, from] of workloads.entries()) {
        const to = workloads[(index + 1) % workloads.length];
        assert(to !== undefined);
        pingers.push(await Pinger.start(from, to.ip));
      }
      const monitors: KernelMonitor[] = [];
      for (const { host, name } of workloads) {
        monitors.push(await KernelMonitor.start(host.lab, "agent-red"));
        monitors.push(await KernelMonitor.start(host.lab, name));
      }
      for (const host of hosts) {
        await host.killAgent();
        await host.restartAgent();
      }
      await Promise.all(hosts.map((host) => host.killAgent()));
      for (const pinger of pingers) await pinger.goesOn();
      await Promise.all(hosts.map((host) => host.restartAgent()));
      for (const host of hosts) assert.deepEqual(await host.plan(), []);
      for (const pinger of pingers) assert.deepEqual((await pinger.stop()).lost, []);
      for (const monitor of monitors) {
        // Neighbours that a workload's own stack finds and forgets are not the agent's doing.
        const changes = (await monitor.changes()).filter((line) =>
          !/(REACHABLE|STALE|DELAY|PROBE)\s*$/.test(line)
        );
        assert.deepEqual(changes, []);
      }
    }),
);

/** What someone does by hand in the sandbox or the workload; `port` stands for the bridge port. */
const DAMAGES: readonly (readonly [string, string])[] = [
  ["the bridge's FDB entry is deleted", "bridge fdb del $mac dev vxlan0 master"],
  ["the VXLAN device's FDB entry is deleted", "bridge fdb del $mac dev vxlan0 self"],
  [
    "the FDB entry leads to another host",
    "bridge fdb replace $mac dev vxlan0 self dst 192.0.2.77 permanent; " +
    "bridge fdb append $mac dev vxlan0 self dst 192.0.2.77; " +
    "bridge fdb del $mac dev vxlan0 self dst 192.0.2.2 || :",
  ],
  ["the local workload's FDB entry is deleted", "bridge fdb del $local dev $port master"],
  ["the neighbour is deleted", "ip neigh del $ip dev vxlan0"],
  [
    "the neighbour has another address",
    "ip neigh replace $ip lladdr 02:00:00:00:00:77 dev vxlan0 nud permanent",
  ],
  ["the VXLAN device is down", "ip link set vxlan0 down"],
  ["the bridge is down", "ip link set bridge0 down"],
  ["the port is down", "ip link set $port down"],
  ["the port is taken off the bridge", "ip link set $port nomaster"],
  ["the port learns and floods", "bridge link set dev $port learning on flood on"],
  ["the MTU is another", "ip link set vxlan0 mtu 1000"],
  ["the VXLAN device is deleted", "ip link del vxlan0"],
  ["the bridge is deleted", "ip link del bridge0"],
  ["the port is deleted, and the workload's interface with it", "ip link del $port"],
];

Deno.test(
  "damage by hand is repaired within a second",
  sanitized,
  (t) =>
    withCluster(2, async ({ hosts }) => {
      const [one, two] = hosts;
      assert(one !== undefined && two !== undefined);
      await one.createNetwork("red");
      const near = await one.addWorkload("near", ["red"]);
      const far = await two.addWorkload("far", ["red"]);
      assert(await near.reaches(far.ip));
      const port = (await one.sh("ip netns exec agent-red ls /sys/class/net | grep ^ep")).trim();
      const variables = `mac=${far.mac} ip=${far.ip} local=${near.mac} port=${port}`;
      for (const [what, command] of DAMAGES) {
        await t.step(what, () => repaired(one, near, far, `${variables}; ${command}`, "agent-red"));
      }
      await t.step(
        "the sandbox's namespace is deleted",
        () => repaired(one, near, far, "ip netns delete agent-red", null),
      );
      await t.step(
        "the workload's interface is down",
        () => repaired(one, near, far, "ip link set eth0 down", near.name),
      );
      await t.step(
        "the workload's address is deleted",
        () => repaired(one, near, far, "ip address flush dev eth0", near.name),
      );
    }),
);

/**
 * The agent is stopped while the damage is done, so that the damage is seen to be one; what it then
 * needs counts from the moment at which it goes on.
 */
async function repaired(
  host: ClusterHost,
  near: Workload,
  far: Workload,
  damage: string,
  netns: string | null,
): Promise<void> {
  const state = async () =>
    await sandboxState(host.lab, "red") + await near.sh("ip -o address show dev eth0 || :");
  const where = netns === null ? [] : ["ip", "netns", "exec", netns];
  const stable = (text: string) =>
    text.replaceAll(/^\d+: /gm, "").split("\n").filter((line) => !line.includes("inet6"));
  const before = stable(await state());
  const pid = `${host.agentPid()}`;
  await host.lab.exec("kill", "-STOP", pid);
  try {
    await host.lab.exec(...where, "sh", "-ec", damage);
    assert.notDeepEqual(stable(await state()), before, "the damage is to be seen");
  } finally {
    await host.lab.exec("kill", "-CONT", pid);
  }
  await waitFor("the repair", async () => {
    const now = stable(await state());
    const missing = before.filter((line) => !now.includes(line));
    const surplus = now.filter((line) => !before.includes(line));
    if (missing.length + surplus.length === 0) return true;
    throw new Error(["missing:", ...missing, "surplus:", ...surplus].join("\n"));
  }, REPAIR_MS);
  assert(await near.reaches(far.ip));
}

Deno.test(
  "leaving leaves a host's kernel as it was before init",
  sanitized,
  () =>
    withHosts(2, async (_lab, hosts) => {
      const [one, two] = hosts;
      assert(one !== undefined && two !== undefined);
      await two.sh("ip netns add mine; ip netns exec mine ip link set lo up");
      const before = await waitFor("the underlay to be there for good", async () => {
        const state = await kernelState(two.lab);
        return state.includes("tentative") ? null : state;
      });
      const mine = await two.sh("ip netns exec mine ip -o address; ip netns exec mine ip route");
      const cluster = await Cluster.form(hosts);
      for (const network of ["red", "blue"]) await one.createNetwork(network);
      const far = await one.addWorkload("far", ["red", "blue"]);
      await two.socket.post("/v1/attachments", {
        netns: "/run/netns/mine",
        networks: [{ network: "red" }, { network: "blue" }],
      });
      assert(await far.reaches("10.64.0.3"));
      assert.notEqual(await kernelState(two.lab), before);
      await two.must("leave");
      assert.equal(await kernelState(two.lab), before);
      assert.equal(
        await two.sh("ip netns exec mine ip -o address; ip netns exec mine ip route"),
        mine,
      );
      assert.equal(await two.sh(`find ${STATE_DIR} -mindepth 1 -not -path '*/runtime*'`), "");
      assert.equal(await two.sh("ls -d /run/agent* 2>/dev/null || :"), "");
      await cluster.manager.killAgent("TERM");
    }),
);

Deno.test(
  "after a reboot a host is the same node, and its workloads come back with their paths",
  sanitized,
  () =>
    withHosts(2, async (lab, hosts) => {
      const [one, two] = hosts;
      assert(one !== undefined && two !== undefined);
      await Cluster.form(hosts);
      await one.createNetwork("red");
      const near = await one.addWorkload("near", ["red"]);
      const far = await two.addWorkload("far", ["red"]);
      assert(await near.reaches(far.ip));
      const nodeId = (await two.ready()).nodeId;
      await reboot(lab, two);
      assert.equal((await two.ready()).nodeId, nodeId);
      await two.lab.exec("ip", "netns", "add", "far");
      await waitFor("the workload to be attached again", () => near.reaches(far.ip));
      assert.deepEqual(await two.plan(), []);
    }),
);

/** Pulls the plug; what was on the disk is there again afterwards. */
async function reboot(lab: TestLab, host: ClusterHost): Promise<void> {
  const disk = await Deno.makeTempDir({ prefix: "agent-e2e-" });
  try {
    await host.killAgent();
    await copy(host.lab.path(STATE_DIR), disk);
    await host.lab.stop();
    host.lab = await lab.addHost(host.name, { address: `${host.address}/24` });
    await copy(disk, host.lab.path(STATE_DIR));
    // The kernel that all hosts of the lab share does not start again.
    await host.sh(`cat /proc/sys/kernel/random/uuid >/run/boot_id
      mount --bind /run/boot_id /proc/sys/kernel/random/boot_id`);
    host.startAgent();
  } finally {
    await Deno.remove(disk, { recursive: true });
  }
}

/** All but the unpacked runtime, which the hosts of a lab share. */
async function copy(from: string, to: string): Promise<void> {
  const script = 'cd "$0" && tar -c --exclude=./runtime . | tar -x -C "$1"';
  const { success } = await new Deno.Command("sh", { args: ["-ec", script, from, to] }).output();
  assert(success);
}
