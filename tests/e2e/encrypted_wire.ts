import assert from "node:assert/strict";
import { at, type EncryptedNetwork, type EncryptedScene, REKEY_MS } from "./encrypted_scene.ts";
import { lowestSequence, setSequences } from "./esp_positions.ts";
import { readKeyedSas } from "./key_ledger.ts";
import { MARKER_HEX } from "./pinger.ts";
import { Talk } from "./talk.ts";
import { waitFor } from "./wait.ts";

/** What two hosts say to each other, on the wire. */
export async function wire(
  t: Deno.TestContext,
  scene: EncryptedScene,
  shop: EncryptedNetwork,
): Promise<void> {
  await t.step(
    "10,000 packets of TCP, UDP and ICMP, errors included: ESP only, nothing readable",
    () => allKinds(scene, shop),
  );
  await t.step(
    "a packet of exactly the MTU passes, one byte more is refused with the right size",
    () => mtu(shop),
  );
  await t.step(
    "a listener for ACQUIRE makes larval SAs, and the pair comes up all the same",
    () => acquire(scene, shop),
  );
  await t.step("the sequence number crosses 2³²", () => cross(scene, shop));
}

async function allKinds({ watch }: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const [near, far] = [at(workloads, 0), at(workloads, 1)];
  using talk = new Talk(near, far);
  const from = await watch.mark();
  assert.equal(talk.say(3000), 3000);
  talk.provoke(500);
  // Unreachable, fragmentation needed, and time exceeded, beside what a closed port answers.
  await near.sh(`ping -q -f -c 1500 -W 5 -p ${MARKER_HEX} ${far.ip}
    ping -q -c 1 -W 0.1 -t 1 -p ${MARKER_HEX} ${far.ip} || :
    ping -q -c 1 -W 0.1 -M do -s 1400 -p ${MARKER_HEX} ${far.ip} || :
    ping -q -c 3 -i 0.01 -s 4000 -p ${MARKER_HEX} ${far.ip}`);
  await talk.stream(6_000_000);
  const { counts, leaks } = await watch.look(from);
  assert.deepEqual(leaks, []);
  assert(counts.esp >= 10_000, `${counts.esp} ESP packets`);
}

async function mtu({ workloads }: EncryptedNetwork): Promise<void> {
  const [near, far] = [at(workloads, 0), at(workloads, 1)];
  const { mtuBytes } = at(near.attachment.interfaces, 0);
  assert.equal(mtuBytes, 1416);
  // Headers of IPv4 20 and ICMP 8.
  const ping = (bytes: number) => near.tries(`ping -c 1 -W 5 -M do -s ${bytes - 28} ${far.ip}`);
  const exact = await ping(mtuBytes);
  assert.equal(exact.status, 0, exact.stdout + exact.stderr);
  const more = await ping(mtuBytes + 1);
  assert.match(more.stdout + more.stderr, /local error: message too long, mtu[:=] ?1416$/m);
}

async function acquire(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const [near, far] = [at(workloads, 0), at(workloads, 1)];
  const [one] = scene.hosts;
  assert(one !== undefined);
  using talk = new Talk(near, far);
  const before = scene.ledger.acquires(one.lab);
  await scene.whileStopped([one], async () => {
    await one.sh(`ip xfrm state deleteall src ${one.address}`);
    talk.say(10);
    assert.match(await one.sh("ip xfrm state list"), /spi 0x[2-9a-f][0-9a-f]{7}/);
  });
  assert(scene.ledger.acquires(one.lab) > before, "the kernel has asked for an SA");
  await talk.getsThrough(REKEY_MS);
  await scene.settled("shop");
}

async function cross(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  using talk = new Talk(at(workloads, 0), at(workloads, 1));
  await waitFor("the SAs of all but one epoch to be gone", () => {
    const sas = scene.hosts.flatMap(({ lab }) => readKeyedSas(lab.netns));
    return new Set(sas.map(({ spi }) => spi >>> 29)).size === 1;
  });
  for (const { lab } of scene.hosts) setSequences(lab.netns, lab.address, 2n ** 32n - 10n);
  assert.equal(talk.say(200), 200);
  await talk.stream(200_000);
  for (const { lab } of scene.hosts) assert(lowestSequence(lab.netns) > 2n ** 32n);
  scene.ledger.check();
}
