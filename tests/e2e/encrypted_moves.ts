import assert from "node:assert/strict";
import { Capture } from "./capture.ts";
import { acquaint, at, type EncryptedNetwork, type EncryptedScene } from "./encrypted_scene.ts";
import { Talk } from "./talk.ts";

/** An endpoint that has moved is reached again within this. */
const MOVED_MS = 1000;

/** Endpoints of an encrypted network on three hosts move, come anew, and lie. */
export async function moves(
  t: Deno.TestContext,
  scene: EncryptedScene,
  { workloads }: EncryptedNetwork,
): Promise<void> {
  const [one, two, three] = scene.hosts;
  assert(one !== undefined && two !== undefined && three !== undefined);
  const sender = at(workloads, 2);
  let mover = await one.addWorkload("mover", ["trio"]);
  await acquaint([sender, mover]);
  for (const speaks of [true, false]) {
    const how = speaks ? "speaking" : "silent";
    await t.step(
      `one that moves to another host, ${how}, is reached within a second`,
      async () => {
        const [from, to] = mover.host === one ? [one, two] : [two, one];
        const { ip } = mover;
        await mover.detach();
        await from.lab.exec("ip", "netns", "delete", "mover");
        mover = await to.addWorkload("mover", ["trio"], { ip });
        using talk = new Talk(sender, mover);
        const began = performance.now();
        // Of its own accord, and at once; nobody waits for an answer.
        if (speaks) await mover.sh(`ping -q -c 5 -i 0.05 ${sender.ip} >/dev/null 2>&1 &`);
        await talk.getsThrough(MOVED_MS);
        assert(performance.now() - began < MOVED_MS);
      },
    );
  }
  await t.step("a new one with the same IP address is reached at once", async () => {
    const { ip, host } = mover;
    await mover.detach();
    mover = await host.addWorkload("successor", ["trio"], { ip });
    using talk = new Talk(sender, mover);
    await talk.getsThrough(MOVED_MS);
  });
  await t.step("one that forges its neighbour's MAC address gets nothing", async () => {
    const thief = await mover.host.addWorkload("thief", ["trio"]);
    const capture = await Capture.start({
      ...{ host: thief.host.lab, netns: "thief", device: "eth0", direction: "in" },
      filter: "udp",
    });
    await thief.sh(
      `ip link add link eth0 name forged address ${mover.mac} type macvlan mode bridge
      ip link set forged up
      ip address add ${mover.ip}/32 dev forged
      ping -q -c 3 -i 0.1 -W 0.3 -I forged ${sender.ip} || :`,
    );
    await acquaint([sender, thief]);
    {
      using talk = new Talk(sender, mover);
      assert.equal(talk.say(50), 50);
    }
    using talk = new Talk(sender, thief);
    await talk.getsThrough();
    await capture.sees(new RegExp(`> ${thief.ip}`));
    assert.deepEqual(await capture.stop(`not host ${thief.ip}`), []);
  });
}
