import assert from "node:assert/strict";
import {
  acquaint,
  at,
  type EncryptedNetwork,
  type EncryptedScene,
  REKEY_MS,
} from "./encrypted_scene.ts";
import { opens } from "./esp_open.ts";
import { EspRecording } from "./esp_recording.ts";
import { espOf, type EspPacket } from "./frames.ts";
import { Talk } from "./talk.ts";
import { waitFor } from "./wait.ts";

const RETURNS = 20;

/** Who of three hosts comes back, and who is gone for good: the third one, in the end. */
export async function keys(
  t: Deno.TestContext,
  scene: EncryptedScene,
  shop: EncryptedNetwork,
): Promise<void> {
  await t.step(
    `a host's last endpoint goes and comes back ${RETURNS} times with the same keys`,
    () => comeBack(scene, shop),
  );
  await t.step(
    "a removed node has no key that opens any later packet",
    () => remove(scene, shop),
  );
}

async function comeBack(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const { lab, watch, ledger } = scene;
  const two = at(scene.hosts, 1);
  const near = at(workloads, 0);
  const epochs = await scene.epochs("trio");
  let far = at(workloads, 1);
  let recording: EspRecording;
  {
    using talk = new Talk(near, far);
    await talk.getsThrough();
    const from = await watch.mark();
    // What was said meanwhile, and was late.
    talk.heard();
    assert.equal(talk.say(20), 20);
    recording = new EspRecording((await watch.frames()).slice(from), two.address);
  }
  const keys = ledger.check();
  for (let time = 0; time < RETURNS; time++) {
    await far.detach();
    recording.sendAgain(lab, two.lab.port);
    await two.lab.exec("ip", "netns", "delete", far.name);
    far = await two.addWorkload(far.name, ["trio"], { ip: far.ip });
    using talk = new Talk(near, far);
    await talk.getsThrough();
    recording.sendAgain(lab, two.lab.port);
    assert.equal(talk.heard(), 0, "what was recorded is not delivered");
    assert.deepEqual(await scene.epochs("trio"), epochs, "no rotation was needed");
  }
  assert.equal(ledger.check(), keys, "there are no other keys");
  // The attachment that the scene knows is gone; its successor has its place.
  await acquaint([far, ...workloads.filter(({ name }) => name !== far.name)]);
}

async function remove(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const { watch, ledger, manager } = scene;
  const [one, two, three] = [at(scene.hosts, 0), at(scene.hosts, 1), at(scene.hosts, 2)];
  const [near, middle, gone] = [at(workloads, 0), at(workloads, 1), at(workloads, 2)];
  const packets = async (from: number) =>
    (await watch.frames()).slice(from).map(espOf).filter((packet) => packet !== null);
  const held = () => ledger.keysOf(three.lab);
  const opened = (packet: EspPacket) => held().some((key) => opens(key, packet));

  let from = await watch.mark();
  {
    using talk = new Talk(near, gone);
    await talk.getsThrough();
  }
  assert((await packets(from)).some(opened), "its keys open what is sent to it");

  // It does nothing of its own accord, and so keeps what it has.
  await three.lab.exec("kill", "-STOP", `${three.agentPid()}`);
  const [before] = await scene.epochs("trio");
  await manager.must("node", "rm", "host3");
  await waitFor("the others to have new keys only", async () => {
    const epochs = await scene.epochs("trio");
    return epochs.length === 1 && (epochs[0] ?? 0) > (before ?? 0);
  }, REKEY_MS);
  from = await watch.mark();
  using talk = new Talk(near, middle);
  await talk.getsThrough();
  talk.say(50);
  const later = await packets(from);
  assert(later.length >= 50);
  assert(later.every(({ from: sender }) => [one.address, two.address].includes(sender)));
  assert.deepEqual(later.filter(opened), []);
  await three.lab.exec("kill", "-CONT", `${three.agentPid()}`);
  await waitFor("its SAs to go", async () => await three.sh("ip xfrm state") === "");
}
