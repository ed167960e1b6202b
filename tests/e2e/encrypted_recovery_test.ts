// needs: root netns vxlan esp flower
import assert from "node:assert/strict";
import type { NetworkView } from "../../src/api/mod.ts";
import { at, EncryptedScene, pairs, REKEY_MS, sanitized } from "./encrypted_scene.ts";
import { voters } from "./managers.ts";
import { Talk } from "./talk.ts";
import { waitFor } from "./wait.ts";

Deno.test(
  "a recovered cluster's encrypted networks go on with keys that were never used, and without whoever is gone",
  sanitized,
  () =>
    // Two managers: one of them is lost, and with it the quorum.
    EncryptedScene.run(3, async (scene) => {
      const { hosts } = scene;
      const [lost, left, worker] = [at(hosts, 0), at(hosts, 1), at(hosts, 2)];
      await voters([lost, left], 2);
      const { encryption, workloads } = await scene.add("shop");
      const [gone, ...others] = workloads;
      assert(gone !== undefined);
      const epochsNow = async () => {
        const { encryption } = await left.socket.get<NetworkView>("/v1/networks/shop");
        return encryption?.epochs.map(({ epoch }) => epoch);
      };

      // Its kernel goes on: it has SAs with the others, and their boot keys of before.
      await lost.killAgent();
      await left.killAgent("TERM");
      const said = await left.must("init", "--recover");
      assert.match(said, /Discarded: 1 manager \(host1\) with 1 endpoint/);
      assert.match(said, /New keys for 1 encrypted network/);
      await Promise.all([left, worker].map((host) => host.ready()));
      for (const [near, far] of pairs(others)) {
        using talk = new Talk(near, far);
        await talk.getsThrough(REKEY_MS);
      }
      assert.deepEqual(await epochsNow(), [(encryption.epochs[0]?.epoch ?? 0) + 1]);
      for (const host of [left, worker]) await scene.repaired(host);
      for (const [near, far] of [[at(others, 0), gone], [gone, at(others, 0)]] as const) {
        using talk = new Talk(near, far);
        assert.equal(talk.say(20), 0, "nothing passes between who is gone and who is left");
      }

      // It comes back with its old disk, hears that it is no member, and takes its networks down.
      const old = lost.startAgent();
      await waitFor("the old manager to hear that it is none", () => {
        return /This node was removed from the cluster/.test(lost.log(100));
      });
      await old.status;
      for (const [near, far] of pairs(others)) {
        using talk = new Talk(near, far);
        await talk.getsThrough();
      }
    }, { managers: 2 }),
);
