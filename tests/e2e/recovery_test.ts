// needs: root vxlan
import assert from "node:assert/strict";
import type { ClusterView, HostStatus, ManagersView } from "../../src/api/mod.ts";
import type { NodeRecord } from "../../src/node/mod.ts";
import { AGENT, Cluster, type ClusterHost, STATE_DIR, withHosts } from "./cluster.ts";
import { assertNothingLost, leaderOf, managerOf, voters, Writer } from "./managers.ts";
import { Pinger } from "./pinger.ts";
import { pause, waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
/** Long enough for a node to look for another leader, and to find one of an earlier incarnation. */
const TEMPTED_MS = 5_000;

/** Kills of a recovery, each at another moment of the time that it takes until its agent runs. */
const KILLS = 6;
const LATEST_KILL_S = 2.5;

const RECORD = `${STATE_DIR}/node.json`;

function recordOf(host: ClusterHost): NodeRecord {
  return JSON.parse(Deno.readTextFileSync(host.lab.path(RECORD)));
}

function clusterOf(host: ClusterHost): Promise<ClusterView> {
  return host.socket.get<ClusterView>("/v1/cluster");
}

/** A host's word on whom it follows. */
function followed(host: ClusterHost): Promise<HostStatus> {
  return host.socket.get<HostStatus>("/v1/self");
}

/** Stops a worker's agent, sends it to these managers, and starts it again. */
async function sendTo(worker: ClusterHost, managers: readonly ClusterHost[]): Promise<void> {
  await worker.killAgent();
  const record: NodeRecord = {
    ...recordOf(worker),
    managers: managers.map((host) => ({
      id: recordOf(host).nodeId,
      address: recordOf(host).controlAddress,
    })),
  };
  Deno.writeTextFileSync(worker.lab.path(RECORD), JSON.stringify(record));
  worker.startAgent();
}

Deno.test(
  "one manager is left of three: it recovers the cluster, and the others are refused when they come back",
  sanitized,
  () =>
    withHosts(4, async (_lab, hosts) => {
      const [one, two, three, worker] = hosts;
      assert(one !== undefined && two !== undefined && three !== undefined && worker !== undefined);
      await Cluster.form(hosts, { managers: 3 });
      await voters(hosts, 3);
      await one.createNetwork("red", { subnet: "10.64.0.0/14" });
      await one.addWorkload("gone", ["red"], { name: "gone" });
      const to = await three.addWorkload("to", ["red"], { name: "to" });
      const from = await worker.addWorkload("from", ["red"], { name: "from" });
      const pinger = await Pinger.start(from, to.ip);
      const writer = new Writer(worker, "writer");
      await writer.goesOn();
      const before = await clusterOf(one);
      // Whoever of them leads: the others ask it.
      for (const host of [one, two, three]) {
        assert.match(await host.must("backup", "/run/cluster.backup"), /^AGTBAK-1-\S+\n$/);
      }

      await Promise.all([one, two].map((host) => host.killAgent()));
      const refused = await three.socket.request("POST", "/v1/networks", { name: "minority" });
      assert.equal(refused.status, 503, JSON.stringify(refused.body));
      const running = await three.agent("init", "--recover");
      assert.match(running.stderr, /The agent runs here \(process \d+\): stop it first/);
      await three.killAgent("TERM");
      const looked = await three.must("init", "--recover", "--dry-run");
      assert.match(looked, /nothing has been changed.*Would discard: 2 managers \(host1, host2\)/s);
      const said = await three.must("init", "--recover");
      assert.match(
        said,
        /generation 1\.\nKept: 2 nodes, 1 network, \d+ endpoints, as of revision \d+/,
      );
      assert.match(said, /Discarded: 2 managers \(host1, host2\) with 1 endpoint; \d+ join tokens/);
      await writer.goesOn();
      await Promise.all([three, worker].map((host) => host.ready()));
      const after = await clusterOf(three);
      assert.equal(after.id, before.id);
      assert.notEqual(after.incarnation, before.incarnation);
      const incarnation = { generation: 1, id: after.incarnation };
      assert.deepEqual(recordOf(worker).incarnation, incarnation);
      const status = JSON.parse((await worker.agent("status", "--json")).stdout);
      assert.deepEqual(status.incarnation, incarnation);
      assert.deepEqual(recordOf(worker).managers.map(({ id }) => id), [recordOf(three).nodeId]);
      assert.equal((await three.agent("node", "inspect", "host1")).status, 1);

      // Both: of the earlier incarnation they are a majority, and one of them leads it. Could they reach
      // the third before they have elected one, they would hear that they are no members.
      for (const host of [one, two]) {
        await host.sh(`ip route add unreachable ${three.address}/32`);
        host.startAgent();
      }
      const stale = await leaderOf([one, two]);
      assert.equal((await clusterOf(stale)).incarnation, before.incarnation);
      for (let second = 0; second < TEMPTED_MS / 1000; second++) {
        await pause(1000);
        await writer.goesOn();
      }
      assert.equal((await followed(worker)).leaderAddress, recordOf(three).controlAddress);
      const managers = await three.socket.get<ManagersView>("/v1/managers");
      assert.deepEqual(managers.items.map(({ hostname }) => hostname), ["host3"]);

      await writer.stop();
      await sendTo(worker, [one, two]);
      await waitFor("the stale leader to hear what has become of the cluster", () => {
        return /recovered or restored without it/.test(stale.log(1000));
      });
      await pause(TEMPTED_MS);
      assert.equal((await followed(worker)).connected, false);
      assert.deepEqual(recordOf(worker).incarnation, { generation: 1, id: after.incarnation });
      await sendTo(worker, [one, two, three]);
      await worker.ready();
      assert.equal((await followed(worker)).leaderAddress, recordOf(three).controlAddress);

      for (const host of [one, two]) await host.sh(`ip route del unreachable ${three.address}/32`);
      // One of them alone leads nothing, finds the manager that does, and hears that it is no member.
      await two.killAgent();
      const pid = one.agentPid();
      await waitFor("the old manager to hear that it is none", () => !one.processRuns(pid));
      assert.match(one.log(100), /This node was removed from the cluster/);
      await one.must("leave", "--force");
      const { token } = await three.createToken({ role: "manager" });
      await one.must("join", three.address, "--token", token);
      await voters([one, three], 2);
      assert.notEqual(await managerOf(one), null);

      assert.deepEqual((await pinger.stop()).lost, []);
      await assertNothingLost([three, one], [writer]);
    }),
);

Deno.test(
  "all managers are lost: a fresh host takes their place with a backup, and a worker follows it",
  sanitized,
  () =>
    withHosts(4, async (_lab, hosts) => {
      const [one, worker, other, fresh] = hosts;
      assert(
        one !== undefined && worker !== undefined && other !== undefined && fresh !== undefined,
      );
      const members = [one, worker, other];
      await Cluster.form(members);
      await one.createNetwork("red");
      const to = await worker.addWorkload("to", ["red"], { name: "to" });
      const from = await other.addWorkload("from", ["red"], { name: "from" });
      await one.addWorkload("gone", ["red"], { name: "gone" });
      assert.match((await worker.agent("backup", "/run/b")).stderr, /not-permitted/);
      const key = (await one.must("backup", "/run/cluster.backup")).trim();
      assert.match((await one.agent("backup", "/run/cluster.backup")).stderr, /File exists/);
      await one.createNetwork("late");
      const late = await other.addWorkload("late", ["late"], { name: "late" });
      assert(await from.reaches(to.ip));
      const before = await clusterOf(one);
      const logs = members.map((host) => host.log(10_000)).join("\n");
      assert.doesNotMatch(logs, /AGTBAK/);
      const pinger = await Pinger.start(from, to.ip);

      const backup = Deno.readFileSync(one.lab.path("/run/cluster.backup"));
      await one.killAgent();
      await one.sh(`cd ${STATE_DIR} && rm -r store tls node.json`);
      const put = (bytes: Uint8Array) => Deno.writeFileSync(fresh.lab.path("/run/b"), bytes);
      const restore = (recoveryKey: string) =>
        fresh.lab.output(
          ["env", `AGENT_RECOVERY_KEY=${recoveryKey}`, AGENT, "init", "--restore", "/run/b"],
        );
      const files = () => fresh.sh(`ls -A ${STATE_DIR} /run/agent 2>/dev/null || true`);
      put(backup.subarray(0, backup.length - 1));
      assert.match((await restore(key)).stderr, /backup is damaged or cut off/);
      put(backup);
      const wrong = await restore(key.replace(/.{7}$/, "aaaaaaa"));
      assert.match(wrong.stderr, /no recovery key \(its checksum does not fit/);
      assert.equal(wrong.status, 1);
      assert.doesNotMatch(await files(), /node\.json|store|tls|sock/);
      const restored = await restore(key);
      assert.equal(restored.status, 0, restored.stderr);
      assert.match(restored.stdout, /Kept: 3 nodes, 1 network, 2 endpoints, as of revision \d+/);
      assert.match(restored.stdout, /Discarded: 1 manager \(host1\) with 1 endpoint/);
      const environment = Deno.readTextFileSync(
        fresh.lab.path(`/proc/${fresh.agentPid()}/environ`),
      );
      assert.doesNotMatch(environment, /AGTBAK/, "the agent that runs does not have the key");

      assert.equal((await followed(worker)).connected, false);
      const nobody = await worker.agent("follow", "192.0.2.99");
      assert.equal(nobody.status, 4, nobody.stderr);
      for (const host of [worker, other]) {
        assert.match(await host.must("follow", fresh.address), /is asked from now on/);
      }
      await Promise.all([worker, other].map((host) => host.ready()));
      const after = await clusterOf(fresh);
      assert.equal(after.id, before.id);
      assert.notEqual(after.incarnation, before.incarnation);
      assert.deepEqual(recordOf(worker).incarnation, { generation: 1, id: after.incarnation });
      assert.deepEqual((await pinger.stop()).lost, []);

      // What came after the backup is gone; what was in it goes on, and new things are made.
      assert.equal((await other.agent("endpoint", "ls", "late")).status, 1);
      await waitFor("the late workload to be off its network", async () => {
        return !/eth0/.test(await late.sh("ip -o link"));
      });
      const newcomer = await fresh.addWorkload("new", ["red"], { name: "new" });
      assert(await newcomer.reaches(to.ip));
      assert(await from.reaches(newcomer.ip));
      await worker.killAgent();
      await worker.restartAgent();
      assert.equal((await followed(worker)).leaderAddress, recordOf(fresh).controlAddress);
    }),
);

Deno.test(
  "recoveries are killed at any moment: there is always one manager, the old one or the new one",
  sanitized,
  () =>
    withHosts(1, async (_lab, [host]) => {
      assert(host !== undefined);
      await host.must("init");
      await host.createNetwork("red");
      let generation = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        await host.killAgent();
        // Not a wait for anything: the moment has to be any, from its start until its agent runs.
        const seconds = (Math.random() * LATEST_KILL_S).toFixed(2);
        await host.sh(
          `${AGENT} init --recover --foreground >/dev/null 2>&1 </dev/null & recovery=$!
          sleep ${seconds}; kill -KILL $recovery; wait $recovery || true`,
        );
        await host.restartAgent();
        const { incarnation } = await clusterOf(host);
        const record: NodeRecord["incarnation"] = recordOf(host).incarnation;
        assert.equal(record?.id, incarnation, `killed after ${seconds} s`);
        assert(record.generation === generation || record.generation === generation + 1);
        generation = record.generation;
        assert.equal((await host.list("networks")).length, 1);
        assert.deepEqual((await host.sh(`ls ${STATE_DIR}`)).match(/store\S*/g), ["store"]);
      }
    }),
);
