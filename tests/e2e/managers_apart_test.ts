// needs: root vxlan netem clock
import assert from "node:assert/strict";
import type { TestLab } from "../lab/hosts.ts";
import { Cluster, type ClusterHost, withHosts } from "./cluster.ts";
import { assertNothingLost, leaderOf, managerOf, voters, Writer } from "./managers.ts";
import { pause, waitFor } from "./wait.ts";

const HOUR_S = 3600;
/** Towards each host: a round trip takes twice as long. */
const LINK = "delay 100ms 10ms loss 2%";
/** Longer than it takes until a leader that is not heard is replaced. */
const CALM_MS = 15_000;

Deno.test({
  name: "managers without a common time",
  sanitizeOps: true,
  sanitizeResources: true,
  fn: (t) =>
    withHosts(3, async (lab, hosts) => {
      const { manager } = await Cluster.form(hosts, { managers: 3 });
      await voters(hosts, 3);
      await manager.createNetwork("red", { subnet: "10.64.0.0/14" });
      const writers = hosts.map((host) => new Writer(host, host.name));
      await t.step("a clock that jumps an hour ahead, and back, deposes nobody", async () => {
        await keepsLeader(hosts, writers, async () => {
          for (const seconds of [HOUR_S, -HOUR_S]) {
            setClock(seconds);
            await writeAll(writers);
          }
        });
      });
      await t.step(
        "200 ms apart, with one packet in fifty lost, they keep their leader",
        async () => {
          await manager.socket.patch("/v1/cluster", { settings: { managerTiming: "wide-area" } });
          await spread(lab, hosts);
          await keepsLeader(hosts, writers, async () => {
            await pause(CALM_MS);
            await writeAll(writers);
          });
        },
      );
      await t.step(
        "they replace a dead one, and nothing that was acknowledged is lost",
        async () => {
          const leader = await leaderOf(hosts);
          await leader.killAgent();
          await writeAll(writers.filter((_, index) => hosts[index] !== leader));
          await leader.restartAgent();
          await voters(hosts, 3);
          await Promise.all(writers.map((writer) => writer.stop()));
          await assertNothingLost(hosts, writers);
        },
      );
    }),
});

async function keepsLeader(
  hosts: readonly ClusterHost[],
  writers: readonly Writer[],
  action: () => Promise<void>,
): Promise<void> {
  await writeAll(writers);
  const before = await termOf(hosts);
  await action();
  assert.equal(await termOf(hosts), before, "nobody thought that the leader was gone");
}

async function writeAll(writers: readonly Writer[]): Promise<void> {
  await Promise.all(writers.map((writer) => writer.goesOn()));
}

async function termOf(hosts: readonly ClusterHost[]): Promise<number> {
  const leader = await leaderOf(hosts);
  return await waitFor("the leader's term", async () => (await managerOf(leader))?.term);
}

async function spread(lab: TestLab, hosts: readonly ClusterHost[]): Promise<void> {
  for (const host of hosts) {
    const where = ["dev", host.lab.port, "root"];
    await lab.underlay.exec("tc", "qdisc", "add", ...where, "netem", ...LINK.split(" "));
  }
}

/** Of the whole kernel, which is the lab's guest: no test may touch a real one. */
function setClock(bySeconds: number): void {
  assert.equal(Deno.env.get("AGENT_LAB"), "guest");
  const to = Math.round(Date.now() / 1000) + bySeconds;
  const { success } = new Deno.Command("date", { args: ["-s", `@${to}`], stdout: "null" })
    .outputSync();
  assert(success, "the guest's clock can be set");
}
