// needs: root netns vxlan esp flower
import assert from "node:assert/strict";
import type { NetworkView } from "../../src/api/mod.ts";
import { EncryptedScene, sanitized } from "./encrypted_scene.ts";
import { Flow } from "./flow.ts";
import { leaderOf, voters } from "./managers.ts";
import { pause } from "./wait.ts";

const KILLS = 2;
/** From the request for another key until its leader dies: a rotation is over after some 300 ms. */
const WITHIN_MS = 200;

Deno.test(
  "leaders are killed in the middle of rotations: the next one goes on, and no packet is lost",
  sanitized,
  () =>
    EncryptedScene.run(3, async (scene) => {
      const { hosts } = scene;
      await voters(hosts, 3);
      const { workloads } = await scene.add("shop");
      using flow = await Flow.start(workloads);
      for (let kill = 0; kill < KILLS; kill++) {
        const leader = await leaderOf(hosts);
        const other = hosts.find((host) => host !== leader);
        assert(other !== undefined);
        // One request, however often it has to be made: one epoch.
        const rotated = other.socket.post<NetworkView>("/v1/networks/shop/rotate", {});
        await pause(Math.random() * WITHIN_MS);
        await leader.killAgent();
        const { encryption } = await rotated;
        assert.equal(encryption?.epochs[0]?.epoch, 2 + kill);
        await leader.restartAgent();
        await voters(hosts, 3);
        await scene.settled("shop");
        assert.deepEqual(await scene.epochs("shop"), [2 + kill]);
      }
      await flow.lostNothing();
    }, { managers: 3 }),
);
