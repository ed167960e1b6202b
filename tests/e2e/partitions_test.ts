// needs: root vxlan
import assert from "node:assert/strict";
import { Cluster, type ClusterHost, STATE_DIR, withHosts } from "./cluster.ts";
import { Historian } from "./historian.ts";
import { assertNothingLost, leaderOf, managerOf, voters, Writer } from "./managers.ts";
import { Pinger } from "./pinger.ts";
import { waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
/** What is left of a disk that is about to be full. */
const ROOM_KIB = 400;

/** Managers under writes, each with a client that keeps a history, and a ping between two of them. */
class Scene {
  readonly hosts: readonly ClusterHost[];
  readonly #writers: readonly Writer[];
  readonly #historian: Historian;
  readonly #pinger: Pinger;

  private constructor(hosts: readonly ClusterHost[], historian: Historian, pinger: Pinger) {
    this.hosts = hosts;
    this.#writers = hosts.map((host) => new Writer(host, host.name));
    this.#historian = historian;
    this.#pinger = pinger;
  }

  static run(managers: number, test: (scene: Scene) => Promise<void>): Promise<void> {
    return withHosts(managers, async (_lab, hosts) => {
      const { manager } = await Cluster.form(hosts, { managers });
      await voters(hosts, managers);
      await manager.createNetwork("red", { subnet: "10.64.0.0/14" });
      const to = await manager.addWorkload("to", ["red"], { name: "to" });
      const last = hosts.at(-1);
      assert(last !== undefined);
      const from = await last.addWorkload("from", ["red"], { name: "from" });
      const historian = await Historian.start(hosts);
      const scene = new Scene(hosts, historian, await Pinger.start(from, to.ip));
      await scene.goesOn();
      await test(scene);
      await scene.#close();
    });
  }

  /** All but these. */
  others(...hosts: readonly ClusterHost[]): readonly ClusterHost[] {
    return this.hosts.filter((host) => !hosts.includes(host));
  }

  /** A write is acknowledged on each of these hosts, and the others' histories grow. */
  async goesOn(hosts = this.hosts): Promise<void> {
    const writers = hosts.flatMap((host) => this.#writers[this.hosts.indexOf(host)] ?? []);
    await Promise.all([this.#historian.goesOn(), ...writers.map((writer) => writer.goesOn())]);
  }

  /** How many writes are acknowledged so far. */
  get acknowledged(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.acknowledged.size, 0);
  }

  async #close(): Promise<void> {
    await voters(this.hosts, this.hosts.length);
    await this.goesOn();
    await Promise.all(this.#writers.map((writer) => writer.stop()));
    await this.#historian.stop();
    assert.deepEqual((await this.#pinger.stop()).lost, []);
    await assertNothingLost(this.hosts, this.#writers);
  }
}

/** Of the control plane alone: the data plane's packets are UDP. */
async function cut(
  hosts: readonly ClusterHost[],
  chains: readonly ("INPUT" | "OUTPUT")[],
  meanwhile: () => Promise<void>,
): Promise<void> {
  const all = (verb: "-I" | "-D") =>
    Promise.all(hosts.flatMap((host) => {
      return chains.map((chain) => host.sh(`iptables-legacy -w ${verb} ${chain} -p tcp -j DROP`));
    }));
  await all("-I");
  await meanwhile();
  await all("-D");
}

Deno.test(
  "of five managers two may be cut off, one may be heard and not hear, three are too many",
  sanitized,
  () =>
    Scene.run(5, async (scene) => {
      const first = await leaderOf(scene.hosts);
      const [other] = scene.others(first);
      assert(other !== undefined);
      const majority = scene.others(first, other);
      await cut([first, other], ["INPUT", "OUTPUT"], async () => {
        await leaderOf(majority);
        await scene.goesOn(majority);
        assert.notEqual((await managerOf(other))?.role, "leader");
      });
      await scene.goesOn();

      // What it says arrives, what it is told does not: it leads nobody who would answer it.
      const deaf = await leaderOf(scene.hosts);
      await cut([deaf], ["INPUT"], async () => {
        await leaderOf(scene.others(deaf));
        await scene.goesOn(scene.others(deaf));
      });
      await scene.goesOn();
      const mute = await leaderOf(scene.hosts);
      await cut([mute], ["OUTPUT"], async () => {
        await leaderOf(scene.others(mute));
        await scene.goesOn(scene.others(mute));
      });
      await scene.goesOn();

      const alone = await leaderOf(scene.hosts);
      const gone = scene.others(alone).slice(0, 3);
      await cut(gone, ["INPUT", "OUTPUT"], async () => {
        await waitFor("the leader to know that it leads nobody", async () => {
          return (await managerOf(alone))?.role !== "leader";
        });
        const before = scene.acknowledged;
        const answer = await alone.socket.request("POST", "/v1/networks", { name: "minority" });
        assert.equal(answer.status, 503, JSON.stringify(answer.body));
        assert.equal(scene.acknowledged, before, "nobody acknowledges anything");
      });
      await scene.goesOn();
    }),
);

Deno.test(
  "a leader whose disk is full stops, and the others go on",
  sanitized,
  () =>
    Scene.run(3, async (scene) => {
      const leader = await leaderOf(scene.hosts);
      const pid = leader.agentPid();
      const used = Number(await leader.sh(`df -k --output=used ${STATE_DIR} | tail -n 1`));
      await leader.sh(`mount -o remount,size=${used + ROOM_KIB}k ${STATE_DIR}`);
      await waitFor("it to stop", () => !leader.processRuns(pid));
      await scene.goesOn(scene.others(leader));
      await leader.sh(`mount -o remount,size=${used * 2 + 100_000}k ${STATE_DIR}`);
      await leader.restartAgent();
      await scene.goesOn();
    }),
);
