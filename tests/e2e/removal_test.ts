// needs: root vxlan
import assert from "node:assert/strict";
import type { NodeView } from "../../src/api/mod.ts";
import { withCluster } from "./cluster.ts";
import { Pinger } from "./pinger.ts";
import { waitFor } from "./wait.ts";

/** Connections of a removed node end so soon. */
const REMOVED_MS = 1000;

Deno.test(
  "a removed node is cut off within a second, gets nothing any more, and the others learn of it",
  { sanitizeOps: true, sanitizeResources: true },
  () =>
    withCluster(3, async ({ hosts: [one, two, three] }) => {
      assert(one !== undefined && two !== undefined && three !== undefined);
      await one.createNetwork("red");
      const [a, b, c] = [
        await one.addWorkload("a", ["red"]),
        await two.addWorkload("b", ["red"]),
        await three.addWorkload("c", ["red"]),
      ];
      assert(await a.reaches(c.ip) && await b.reaches(c.ip));
      const pinger = await Pinger.start(a, b.ip);
      const connections = () => one.sh(`ss -Htn state established dst ${three.address}`);
      assert.notEqual(await connections(), "");
      const pid = three.agentPid();

      // It does nothing of its own accord: it is the manager who has to end what is between them.
      await three.lab.exec("kill", "-STOP", `${pid}`);
      await one.must("node", "rm", "host3");
      await waitFor("its connections to end", async () => await connections() === "", REMOVED_MS);
      for (const host of [one, two]) {
        await waitFor("the others to forget it", async () => {
          const known = await host.sh("ip netns exec agent-red bridge fdb");
          return !known.includes(three.address) && !known.includes(c.mac);
        }, REMOVED_MS);
      }
      const names = (await one.list<NodeView>("nodes")).map(({ hostname }) => hostname);
      assert.deepEqual(names.sort(), ["host1", "host2"]);

      await three.lab.exec("kill", "-CONT", `${pid}`);
      await waitFor("its networks to go", async () => await three.sh("ip netns") === "c\n");
      assert.equal(await three.sh("ip netns exec c ls /sys/class/net"), "lo\n");
      await waitFor("its agent to end", () => !three.processRuns(pid));
      assert.deepEqual((await pinger.stop()).lost, []);

      // It comes again with the certificate that it has: nobody listens to it.
      three.startAgent();
      await waitFor("it to be told that it was removed", () => /was removed/.test(three.log(5)));
      assert.equal(await three.sh("ip netns"), "c\n");
      assert.notEqual((await three.agent("network", "ls")).status, 0);
    }),
);
