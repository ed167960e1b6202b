import assert from "node:assert/strict";
import type { ClusterHost } from "./cluster.ts";
import { at, type EncryptedNetwork, type EncryptedScene } from "./encrypted_scene.ts";
import { Flow } from "./flow.ts";
import { Talk } from "./talk.ts";
import { waitFor } from "./wait.ts";

const MISSED = [1, 2, 4];

/** Rotations, seen and missed, of three hosts. */
export async function rotations(
  t: Deno.TestContext,
  scene: EncryptedScene,
  trio: EncryptedNetwork,
): Promise<void> {
  const [, stopped, cut] = scene.hosts;
  assert(stopped !== undefined && cut !== undefined);
  await t.step(
    "the command waits until all are with the new keys",
    () => byCommand(scene, trio),
  );
  await using control = await ControlLink.to(cut, scene);
  for (const missed of MISSED) {
    await t.step(
      `${missed} missed by a stopped agent and over a cut control link, and no packet is lost`,
      () => keepTalking(scene, trio, missed, [gone(stopped, missed), control]),
    );
    await t.step(`${missed} missed by a cut host`, () => cutHost(scene, trio, missed, cut));
  }
}

async function byCommand(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  using flow = await Flow.start(workloads);
  const [before] = await scene.epochs("trio");
  const said = await scene.manager.must("network", "rotate", "trio", "--wait");
  assert.equal(at(await scene.epochs("trio"), 0), (before ?? 0) + 1, said);
  await scene.settled("trio");
  await flow.lostNothing();
}

/** A way to be away that the data plane does not notice. */
interface Absence {
  leave(): Promise<void>;
  comeBack(): Promise<void>;
}

/** No pair may lose a packet, neither meanwhile nor afterwards. */
async function keepTalking(
  scene: EncryptedScene,
  { workloads }: EncryptedNetwork,
  missed: number,
  absences: readonly Absence[],
): Promise<void> {
  using flow = await Flow.start(workloads);
  await Promise.all(absences.map((absence) => absence.leave()));
  const newest = await rotateWithout(scene, missed, absences.length);
  await flow.goesOn();
  await Promise.all(absences.map((absence) => absence.comeBack()));
  await scene.settled("trio");
  assert.deepEqual(await scene.epochs("trio"), [newest]);
  await flow.lostNothing();
  scene.ledger.check();
}

/** Its process stands still; for the longest absence it is killed, and another one comes back. */
function gone(host: ClusterHost, missed: number): Absence {
  if (missed === Math.max(...MISSED)) {
    return { leave: () => host.killAgent(), comeBack: () => host.restartAgent() };
  }
  const signal = (name: string) => async () =>
    void await host.lab.exec("kill", `-${name}`, `${host.agentPid()}`);
  return { leave: signal("STOP"), comeBack: signal("CONT") };
}

/** Rotates so often; those who are there take part in each before the next. */
async function rotateWithout(
  scene: EncryptedScene,
  times: number,
  missing: number,
): Promise<number> {
  let newest = 0;
  for (let time = 0; time < times; time++) {
    newest = await scene.rotate("trio");
    await waitFor(`those who are there to have epoch ${newest}`, async () => {
      const [first] = (await scene.view("trio")).encryption?.epochs ?? [];
      return first?.epoch === newest && first.installed.length >= scene.hosts.length - missing;
    });
  }
  return newest;
}

/** Nothing of the control plane passes, everything else does. */
class ControlLink implements Absence {
  readonly #device: string;
  readonly #underlay: EncryptedScene["lab"]["underlay"];

  private constructor(device: string, underlay: EncryptedScene["lab"]["underlay"]) {
    this.#device = device;
    this.#underlay = underlay;
  }

  /**
   * What filters stand on is there before and after all that may lose nothing: a device is still for as
   * long as such a qdisc comes or goes, and drops what is sent by it (`dev_deactivate` in `qdisc_graft`).
   */
  static async to({ lab: { port } }: ClusterHost, scene: EncryptedScene): Promise<ControlLink> {
    const { underlay } = scene.lab;
    await underlay.exec("tc", "qdisc", "add", "dev", port, "clsact");
    return new ControlLink(port, underlay);
  }

  async leave(): Promise<void> {
    const filters = ["ingress", "egress"].flatMap((way) =>
      ["src_port", "dst_port"].map((field) =>
        `filter add dev ${this.#device} ${way} protocol ip pref 1 flower ip_proto tcp ${field} 7443 action drop`
      )
    );
    await this.#batch(filters);
  }

  async comeBack(): Promise<void> {
    await this.#batch(["ingress", "egress"].map((way) => `filter del dev ${this.#device} ${way}`));
  }

  async #batch(commands: readonly string[]): Promise<void> {
    await this.#underlay.exec("sh", "-c", `tc -batch - <<BATCH\n${commands.join("\n")}\nBATCH`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#underlay.exec("tc", "qdisc", "del", "dev", this.#device, "clsact");
  }
}

async function cutHost(
  scene: EncryptedScene,
  { workloads }: EncryptedNetwork,
  missed: number,
  away: ClusterHost,
): Promise<void> {
  const [near, middle, far] = [at(workloads, 0), at(workloads, 1), at(workloads, 2)];
  using there = new Talk(near, far);
  using back = new Talk(far, middle);
  using flow = await Flow.start([near, middle]);
  const set = (state: "up" | "down") =>
    scene.lab.underlay.exec("ip", "link", "set", away.lab.port, state);
  await set("down");
  const newest = await rotateWithout(scene, missed, 1);
  assert.equal(there.say(10), 0);
  await set("up");
  await there.getsThrough();
  await back.getsThrough();
  await waitFor("all to be with the newest epoch", async () => {
    const epochs = await scene.epochs("trio");
    return epochs.length === 1 && epochs[0] === newest;
  }, 30_000);
  await flow.lostNothing();
  scene.ledger.check();
}
