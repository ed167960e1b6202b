// needs: root vxlan
import assert from "node:assert/strict";
import type { TestLab } from "../lab/hosts.ts";
import type { ManagersView } from "../../src/api/mod.ts";
import { Cluster, type ClusterHost, STATE_DIR, withHosts } from "./cluster.ts";
import { assertNothingLost, leaderOf, managerOf, voters, Writer } from "./managers.ts";
import { Pinger } from "./pinger.ts";
import { pause, waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const KILLS = 3;

/** Three managers and two workers, with a writer at each of them and a ping between the workers. */
class Scene {
  readonly lab: TestLab;
  readonly managers: readonly ClusterHost[];
  readonly writers: readonly Writer[];
  readonly pinger: Pinger;

  private constructor(lab: TestLab, { hosts }: Cluster, pinger: Pinger) {
    this.lab = lab;
    this.managers = hosts.slice(0, 3);
    this.writers = hosts.map((host) => new Writer(host, host.name));
    this.pinger = pinger;
  }

  static async set(lab: TestLab, hosts: readonly ClusterHost[]): Promise<Scene> {
    const cluster = await Cluster.form(hosts, { managers: 3 });
    await voters(hosts, 3);
    await cluster.manager.createNetwork("red", { subnet: "10.64.0.0/14" });
    const [from, to] = [
      await cluster.host(4).addWorkload("from", ["red"], { name: "from" }),
      await cluster.host(5).addWorkload("to", ["red"], { name: "to" }),
    ];
    return new Scene(lab, cluster, await Pinger.start(from, to.ip));
  }

  /** Every writer, on whatever host, has written again. */
  async writesGoOn(writers: readonly Writer[] = this.writers): Promise<void> {
    await Promise.all(writers.map((writer) => writer.goesOn()));
  }

  others(host: ClusterHost): readonly ClusterHost[] {
    return this.managers.filter((one) => one !== host);
  }

  async cut({ lab: { port } }: ClusterHost, link: "down" | "up"): Promise<void> {
    await this.lab.underlay.exec("ip", "link", "set", port, link);
  }

  /** @throws when an acknowledged write is missing anywhere, or a ping was lost */
  async close(): Promise<void> {
    await Promise.all(this.writers.map((writer) => writer.stop()));
    assert.deepEqual((await this.pinger.stop()).lost, []);
    await assertNothingLost(this.managers, this.writers);
  }
}

function withScene(test: (scene: Scene) => Promise<void>): Promise<void> {
  return withHosts(5, async (lab, hosts) => await test(await Scene.set(lab, hosts)));
}

Deno.test(
  "leaders are killed under writes, then all managers at once: nothing acknowledged is lost",
  sanitized,
  () =>
    withScene(async (scene) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await scene.writesGoOn();
        // Not a wait for anything: the moment has to be any.
        await pause(Math.random() * 300);
        const leader = await leaderOf(scene.managers);
        await leader.killAgent();
        const there = scene.writers.filter((_, index) => scene.managers[index] !== leader);
        await scene.writesGoOn(there);
        await leader.restartAgent();
      }
      await Promise.all(scene.managers.map((host) => host.killAgent()));
      await Promise.all(scene.managers.map((host) => host.restartAgent()));
      await scene.writesGoOn();
      await scene.close();
    }),
);

Deno.test(
  "a leader that is cut off, stands still or is restarted is replaced: it acknowledges nothing more",
  sanitized,
  () =>
    withScene(async (scene) => {
      await scene.writesGoOn();
      const cutOff = await leaderOf(scene.managers);
      await scene.cut(cutOff, "down");
      const next = await leaderOf(scene.others(cutOff));
      await waitFor("the one cut off to know that it does not lead", async () => {
        return (await managerOf(cutOff))?.role === "candidate";
      });
      const answer = await cutOff.socket.request("POST", "/v1/networks", { name: "minority" });
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
      const atOthers = scene.writers.filter((_, index) => scene.managers[index] !== cutOff);
      await scene.writesGoOn(atOthers);
      await scene.cut(cutOff, "up");
      await scene.writesGoOn();

      await next.sh(`kill -STOP ${next.agentPid()}`);
      const third = await leaderOf(scene.others(next));
      const atRunning = scene.writers.filter((_, index) => scene.managers[index] !== next);
      for (let second = 0; second < 10; second++) {
        await pause(1_000);
        await scene.writesGoOn(atRunning);
      }
      await next.sh(`kill -CONT ${next.agentPid()}`);
      await scene.writesGoOn();
      assert((await managerOf(third)) !== null);
      await voters(scene.managers, 3);

      for (const host of scene.managers) {
        await host.killAgent("TERM");
        await host.restartAgent();
        await scene.writesGoOn();
      }
      await voters(scene.managers, 3);
      await scene.close();
    }),
);

Deno.test(
  "managers are promoted, demoted and removed under writes, and a quorum is not given away",
  sanitized,
  () =>
    withHosts(3, async (_lab, hosts) => {
      const { manager: one } = await Cluster.form(hosts);
      const [, two, three] = hosts;
      assert(two !== undefined && three !== undefined);
      await one.createNetwork("red", { subnet: "10.64.0.0/14" });
      const writer = new Writer(two, "writer");
      const to = await one.addWorkload("to", ["red"], { name: "to" });
      const from = await two.addWorkload("from", ["red"], { name: "from" });
      const pinger = await Pinger.start(from, to.ip);

      await Promise.all([two, three].map(({ name }) => one.must("node", "promote", name)));
      await voters(hosts, 3);
      assert.match(
        await three.must("status"),
        /MANAGER .*\nhost1 .*\nTerm \d+\. 1 of the managers/s,
      );
      await writer.goesOn();

      // The leader itself: it hands over, and the next one takes it out.
      await two.must("node", "demote", (await leaderOf(hosts)).name);
      await voters(hosts, 2);
      const demoted = await waitFor("the demoted host's store to go", () => {
        return hosts.find((host) => !hasStore(host));
      });
      assert.equal((await demoted.ready()).role, "worker");
      await writer.goesOn();
      await waitFor("it to be taken out", async () => {
        const leader = await leaderOf(hosts);
        return (await leader.agent("node", "promote", demoted.name)).status === 0;
      });
      await voters(hosts, 3);

      await three.killAgent();
      await waitFor("the leader to miss it", async () => {
        const { mayLose } = await (await leaderOf([one, two])).socket.get<ManagersView>(
          "/v1/managers",
        );
        return mayLose === 0;
      });
      const refused = await one.agent("node", "rm", "host2");
      assert.match(
        refused.stderr,
        /Without host2 the managers could decide nothing, for host3 does/,
      );
      await one.must("node", "rm", "host3");
      await voters([one, two], 2);
      await writer.goesOn();

      await writer.stop();
      assert.deepEqual((await pinger.stop()).lost, []);
      await one.must("leave");
      await voters([two], 1);
      const last = new Writer(two, "last");
      await last.goesOn();
      await last.stop();
      await assertNothingLost([two], [writer, last]);
    }),
);

Deno.test(
  "a manager whose disk was put back takes no more part, and joins as a new one",
  sanitized,
  () =>
    withHosts(3, async (_lab, hosts) => {
      const { manager: one } = await Cluster.form(hosts, { managers: 3 });
      const [, two, three] = hosts;
      assert(two !== undefined && three !== undefined);
      await voters(hosts, 3);
      await one.createNetwork("red", { subnet: "10.64.0.0/14" });
      const writers = [new Writer(one, "one"), new Writer(two, "two")];
      await three.killAgent();
      await three.sh(`cp -a ${STATE_DIR}/store /run/old`);
      await three.restartAgent();
      await voters(hosts, 3);
      await Promise.all(writers.map((writer) => writer.goesOn()));
      await three.killAgent();
      await three.sh(`rm -r ${STATE_DIR}/store && mv /run/old ${STATE_DIR}/store`);
      three.startAgent();
      await waitFor("it to be told", () => /has lost data|votes for nobody/.test(three.log(100)));
      assert.equal((await three.ready()).manager, null);
      assert.match(
        await three.agent("status").then(({ stdout }) => stdout),
        /does not work as one/,
      );
      await Promise.all(writers.map((writer) => writer.goesOn()));

      await one.must("node", "rm", "host3");
      await voters([one, two], 2);
      assert.equal((await three.agent("leave", "--force")).status, 0);
      const { token } = await one.createToken({ role: "manager" });
      await three.must("join", one.address, "--token", token);
      await voters(hosts, 3);
      await Promise.all(writers.map((writer) => writer.stop()));
      await assertNothingLost(hosts, writers);
    }),
);

function hasStore({ lab }: ClusterHost): boolean {
  try {
    return Deno.statSync(lab.path(`${STATE_DIR}/store/log.db`)).isFile;
  } catch {
    return false;
  }
}
