// needs: root netns vxlan esp flower
/**
 * The attacks of the other `encrypted_*_test.ts`, on networks made by hand of which one guard is missing:
 * there each has to succeed, for otherwise its failure elsewhere says nothing of the guard.
 */
import assert from "node:assert/strict";
import { type TestHost, TestLab } from "../lab/hosts.ts";
import { crossOver } from "./cross_over.ts";
import { lowestSequence, setSequences } from "./esp_positions.ts";
import { EspRecording } from "./esp_recording.ts";
import { Forger } from "./forger.ts";
import {
  type Guards,
  type HandMadeNetwork,
  handMadeNetwork,
  HandMadePair,
  type HandMadeWorkload,
} from "./hand_made_esp.ts";
import { KeyLedger } from "./key_ledger.ts";
import { Talk, type Talker } from "./talk.ts";
import { UnderlayWatch } from "./underlay_watch.ts";
import { xfrmChanges } from "./xfrm_counters.ts";

/** One of the networks, with a workload on each of the two hosts. */
interface Stage {
  readonly network: HandMadeNetwork;
  readonly near: Talker & HandMadeWorkload;
  readonly far: Talker & HandMadeWorkload;
}

/** Two hosts with a network for each lack, and a third host without. */
class Scene {
  readonly lab: TestLab;
  readonly one: TestHost;
  readonly two: TestHost;
  readonly stranger: TestHost;
  readonly watch: UnderlayWatch;
  readonly ledger = new KeyLedger();
  readonly #pair: HandMadePair;
  #slot = 0;

  private constructor(
    lab: TestLab,
    [one, two, stranger]: [TestHost, TestHost, TestHost],
    watch: UnderlayWatch,
  ) {
    this.lab = lab;
    this.one = one;
    this.two = two;
    this.stranger = stranger;
    this.watch = watch;
    this.#pair = new HandMadePair([one, two]);
  }

  static async build(lab: TestLab): Promise<Scene> {
    const [one, two, stranger] = await Promise.all([
      lab.addHost("one", { address: "192.0.2.1/24" }),
      lab.addHost("two", { address: "192.0.2.2/24" }),
      lab.addHost("stranger", { address: "192.0.2.9/24" }),
    ]);
    const scene = new Scene(lab, [one, two, stranger], await UnderlayWatch.start(lab));
    await Promise.all([one, two].map((host) => scene.ledger.watch(host)));
    return scene;
  }

  async add(missing: Partial<Guards> = {}): Promise<Stage> {
    const network = handMadeNetwork(++this.#slot);
    const [near, far] = (await this.#pair.add(network, missing)).map((workload) => ({
      ...workload,
      netns: workload.host.path(`/run/netns/${workload.name}`),
    }));
    assert(near !== undefined && far !== undefined);
    return { network, near, far };
  }

  forger({ network, near, far }: Stage): Forger {
    const { one, two, stranger } = this;
    const friend = { host: one, ip: near.ip, mac: near.mac };
    const { netns, ip, mac } = far;
    return new Forger({ host: two, netns, ip, mac, ...network, friend, stranger });
  }

  /** Which of the forgers got something through. */
  async forge(stage: Stage): Promise<string[]> {
    using forger = this.forger(stage);
    const ways: string[] = [];
    for (const [way, attempt] of Object.entries(forger.attempts)) {
      if (await attempt() > 0) ways.push(way);
    }
    return ways;
  }
}

const vxlanDown = ({ network: { slot } }: Stage) =>
  ["ip", "-n", `box${slot}`, "link", "set", `vxlan${slot}`, "down"] as const;

Deno.test(
  "every attack succeeds on a network made by hand without its guard, and fails on a whole one",
  { sanitizeOps: true, sanitizeResources: true },
  async (t) => {
    await using lab = await TestLab.start();
    const scene = await Scene.build(lab);
    await t.step("all guards", () => allGuards(scene));
    await t.step("no guard on the wire: policies stand", () => noWire(scene));
    await t.step("no flag for ICMP: an error quotes what was decrypted", () => noIcmp(scene));
    await t.step("no fixed source port: nobody's packets are carried by ESP", async () => {
      const ways = await scene.forge(await scene.add({ fixedSourcePort: false }));
      assert(ways.includes("nobody on a member host, to its peer"), `not only: ${ways}`);
    });
    await t.step("no policies on loopback: who is on the host gets in", async () => {
      assert.deepEqual(await scene.forge(await scene.add({ loopback: false })), [
        "nobody on the host itself, to its own VTEP",
        "nobody on the host itself, over 127.0.0.1",
      ]);
      // That is for the whole host.
      await scene.add();
    });
    await t.step("no blocks and no guard on the wire: strangers get in", async () => {
      const ways = await scene.forge(await scene.add({ blocks: false, wire: false }));
      for (const who of ["a stranger's UDP", "a member host's UDP"]) {
        assert(ways.includes(who), `${who} gets in, not only: ${ways}`);
      }
    });
    await t.step("no replay window: recorded packets come again", () => noReplayWindow(scene));
    await t.step("nothing ties an SA to its network: it carries others", () => foreignSa(scene));
    await t.step("a key that begins anew is noticed", async () => {
      assert.throws(() => scene.ledger.check(), /installed twice/, "the SAs that crossed over");
      await scene.ledger.close().catch(() => {});
    });
    await t.step("no policies: only the guard on the wire, and then nothing", () => bare(scene));
    await scene.watch.stop();
  },
);

async function allGuards(scene: Scene): Promise<void> {
  const { lab, one, two, watch } = scene;
  const stage = await scene.add();
  using talk = new Talk(stage.near, stage.far);
  await talk.getsThrough();
  assert.equal(talk.say(100), 100);
  talk.provoke(20);
  await talk.stream(200_000);
  await watch.assertEspOnly({ atLeast: 220 });

  assert.deepEqual(await scene.forge(stage), []);

  const recording = new EspRecording(await watch.frames(), two.address);
  const refused = await xfrmChanges(two.netns, () => recording.sendAgain(lab, two.port));
  assert.deepEqual(refused, { XfrmInStateSeqError: recording.frames.length });
  assert.equal(talk.say(10), 10);

  for (const host of [one, two]) setSequences(host.netns, host.address, 2n ** 32n - 10n);
  assert.equal(talk.say(100), 100);
  await talk.stream(200_000);
  assert(lowestSequence(one.netns) > 2n ** 32n);

  // The sender's VXLAN device goes on; there is nobody to take what is decrypted.
  const from = await watch.mark();
  await two.exec(...vxlanDown(stage));
  assert.equal(talk.say(50), 0);
  await watch.assertEspOnly({ from, atLeast: 50 });
}

async function noWire(scene: Scene): Promise<void> {
  const { one, watch } = scene;
  const stage = await scene.add({ wire: false });
  using talk = new Talk(stage.near, stage.far);
  await talk.getsThrough();
  assert.deepEqual(await scene.forge(stage), []);
  const from = await watch.mark();
  await one.exec("ip", "xfrm", "state", "deleteall", "reqid", `${0x41470000 | stage.network.slot}`);
  const { offered } = talk;
  assert.equal(talk.say(50), 0);
  assert.equal(talk.offered, offered + 50);
  assert.deepEqual((await watch.look(from)).leaks, []);
}

async function noIcmp(scene: Scene): Promise<void> {
  const { two, watch } = scene;
  const stage = await scene.add({ icmp: false });
  using talk = new Talk(stage.near, stage.far);
  await talk.getsThrough();
  const from = await watch.mark();
  await two.exec(...vxlanDown(stage));
  talk.say(20);
  assert.match((await watch.look(from)).leaks[0] ?? "", /192\.0\.2\.2 > 192\.0\.2\.1 protocol 1:/);
}

async function noReplayWindow(scene: Scene): Promise<void> {
  const { lab, two, watch } = scene;
  const stage = await scene.add({ antiReplay: false });
  using talk = new Talk(stage.near, stage.far);
  const from = await watch.mark();
  assert.equal(talk.say(10), 10);
  const recording = new EspRecording((await watch.frames()).slice(from), two.address);
  assert.equal(recording.frames.length, 10);
  recording.sendAgain(lab, two.port);
  assert.equal(talk.heard(), 10);
}

async function foreignSa(scene: Scene): Promise<void> {
  const { one, two } = scene;
  for (const ownSas of [true, false]) {
    const own = await scene.add({ ownSas });
    const other = await scene.add({ ownSas });
    const { slot, port } = other.network;
    // What holds the port there would not be there if the host were not on that network.
    await one.exec("ip", "-n", `box${slot}`, "link", "delete", `vxlan${slot}`);
    using forger = scene.forger(other);
    const crossing = { from: one, to: two, own: own.network, other: { port } };
    assert.equal(await crossOver(forger, crossing) > 0, !ownSas);
  }
}

async function bare(scene: Scene): Promise<void> {
  const { one, two, watch } = scene;
  const stage = await scene.add();
  using talk = new Talk(stage.near, stage.far);
  await talk.getsThrough();
  let from = await watch.mark();
  for (const host of [one, two]) await host.exec("ip", "xfrm", "policy", "flush");
  assert.equal(talk.say(50), 0);
  assert.deepEqual((await watch.look(from)).leaks, []);
  from = await watch.mark();
  for (const host of [one, two]) await host.exec("tc", "qdisc", "del", "dev", "eth0", "clsact");
  assert.equal(talk.say(50), 50);
  const { counts, leaks } = await watch.look(from);
  assert.equal(counts.cleartext, 50);
  assert.notDeepEqual(leaks, []);
  const ways = await scene.forge(stage);
  assert(ways.includes("a stranger's frames in the peer's name"), `not only: ${ways}`);
}
