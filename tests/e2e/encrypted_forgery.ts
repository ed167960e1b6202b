import assert from "node:assert/strict";
import { crossOver } from "./cross_over.ts";
import { acquaint, at, type EncryptedNetwork, type EncryptedScene } from "./encrypted_scene.ts";
import { EspRecording } from "./esp_recording.ts";
import { FORGED_PORT } from "./forged_frame.ts";
import { Forger } from "./forger.ts";
import { UdpSocket } from "./sockets.ts";
import { Talk } from "./talk.ts";
import { xfrmChanges } from "./xfrm_counters.ts";

/** What no member of an encrypted network has sent is not delivered. */
export async function forgery(
  t: Deno.TestContext,
  scene: EncryptedScene,
): Promise<void> {
  const { lab } = scene;
  const [one, two, three] = scene.hosts;
  assert(one !== undefined && two !== undefined && three !== undefined);
  const shop = await scene.add("shop", [one, two]);
  // The second host is on both: so the third one has SAs with it, of another network.
  const bank = await scene.add("bank", [two, three]);
  const stranger = await lab.addHost("stranger", { address: "192.0.2.99/24" });
  const [near, far] = [at(shop.workloads, 0), at(shop.workloads, 1)];
  const makeForger = (outsider = stranger) =>
    new Forger({
      ...{ host: two.lab, netns: far.netns, ip: far.ip, mac: far.mac },
      ...{ vni: shop.view.vni, port: shop.encryption.port, stranger: outsider },
      friend: { host: one.lab, ip: near.ip, mac: near.mac },
    });
  using forger = makeForger();
  await t.step("but what a member sends is", () => {
    using friend = UdpSocket.open(near.netns);
    friend.send(new Uint8Array(1), far.ip, FORGED_PORT);
    assert.equal(forger.delivered(), 1);
  });
  const refuseAll = async () => {
    for (const [way, attempt] of Object.entries(forger.attempts)) {
      await t.step(`not ${way}`, async () => assert.equal(await attempt(), 0));
    }
  };
  await refuseAll();
  await t.step("not with firewalls that accept everything", async () => {
    for (const host of [one, two]) await host.sh(ACCEPT_ALL);
    for (const [way, attempt] of Object.entries(forger.attempts)) {
      assert.equal(await attempt(), 0, way);
    }
  });
  await t.step(
    "not by the SA of another network",
    () => byForeignSa(forger, scene, shop, bank),
  );
  await t.step("not a recorded packet, which is counted", () => again(scene, shop));
}

/** What an administrator's or another program's firewall may say. */
const ACCEPT_ALL = "for chain in INPUT OUTPUT FORWARD; do iptables-legacy -w -P $chain ACCEPT; " +
  "iptables-legacy -w -I $chain -j ACCEPT; done; for table in raw mangle; do " +
  "for chain in PREROUTING OUTPUT; do iptables-legacy -w -t $table -I $chain -j ACCEPT; done; done";

async function byForeignSa(
  forger: Forger,
  { hosts, ledger }: EncryptedScene,
  { encryption: { port } }: EncryptedNetwork,
  { encryption: { slot } }: EncryptedNetwork,
): Promise<void> {
  const [from, to] = [at(hosts, 2), at(hosts, 1)];
  ledger.check();
  // It is the attacker who takes a key twice, and whose agent would see to it that it cannot.
  ledger.forget(from.lab);
  await from.killAgent();
  const crossing = { from: from.lab, to: to.lab, own: { slot }, other: { port } };
  let delivered = -1;
  const refused = await xfrmChanges(to.lab.netns, async () => {
    delivered = await crossOver(forger, crossing);
  });
  assert.equal(delivered, 0);
  assert((refused.XfrmInStateMismatch ?? 0) + (refused.XfrmInTmplMismatch ?? 0) > 0, `${refused}`);
}

async function again(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const { lab, watch } = scene;
  const two = at(scene.hosts, 1);
  await acquaint(workloads);
  using talk = new Talk(at(workloads, 0), at(workloads, 1));
  const from = await watch.mark();
  assert.equal(talk.say(100), 100);
  const recording = new EspRecording((await watch.frames()).slice(from), two.address);
  assert(recording.frames.length >= 100);
  const refused = await xfrmChanges(two.lab.netns, () => recording.sendAgain(lab, two.lab.port));
  assert.equal(talk.heard(), 0);
  assert((refused.XfrmInStateSeqError ?? 0) >= 100, JSON.stringify(refused));
  assert.equal(talk.say(10), 10);
}
