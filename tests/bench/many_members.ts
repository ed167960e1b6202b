/**
 * A network of many members, one of them with this kernel, the others simulated but for what they say to the
 * manager; and how long its keys take to change. All are in one process, with real TLS between them. A
 * program of its own, because it wants a network namespace in which all members' addresses are its own:
 * `many_members.ts MEMBERS ROTATIONS` prints the times in ms as a list in JSON.
 *
 * @module
 */
import { encodeBase64url, type Id } from "../../src/base/mod.ts";
import { ReconciledOverlay } from "../../src/agent/overlay_adapter.ts";
import { Sleeper } from "../../src/machine/testing_namespaces.ts";
import { TestManager } from "../../src/node/testing_cluster.ts";
import { createLogger, systemClock, systemRandom, Watcher } from "../../src/sys/mod.ts";
import { run } from "../integration/overlay_lab.ts";
import { waitFor } from "../e2e/wait.ts";
import { OWN_ADDRESS, underlayAddress } from "./crowd.ts";
import { OneHost } from "./one_host.ts";

const NETWORK = "crowd";
const ROTATIONS = 5;
/** Times of changes of keys in ms, from the command until nobody needs the old ones. */
export async function measureManyMembers(members: number): Promise<readonly number[]> {
  const program = new URL(import.meta.url).pathname;
  const flags = ["run", "--allow-all", "--no-check", "--quiet"];
  const { success, stdout } = await new Deno.Command("unshare", {
    args: ["--net", Deno.execPath(), ...flags, program, `${members}`, `${ROTATIONS}`],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("Measuring a rotation among many members failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

class Members implements AsyncDisposable {
  readonly manager: TestManager;
  readonly #host: OneHost;
  readonly #sleeper: Sleeper;
  readonly #watcher = new Watcher();
  #network: Id = "";
  #epoch = 1;

  private constructor(manager: TestManager, host: OneHost, sleeper: Sleeper) {
    this.manager = manager;
    this.#host = host;
    this.#sleeper = sleeper;
  }

  static async open(count: number): Promise<Members> {
    await run("ip link set lo up; ip route add local 198.18.0.0/15 dev lo");
    const members = new Members(
      await TestManager.start(),
      await OneHost.make(),
      await Sleeper.start(),
    );
    try {
      await members.#join(count);
      return members;
    } catch (error) {
      await members[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Has everybody's keys change. @returns how long that took, in ms */
  async rotate(): Promise<number> {
    const { plane, cluster } = this.manager;
    const epoch = ++this.#epoch;
    const startMs = performance.now();
    await plane.writeOnce(cluster.manager, {
      kind: "network.rotate",
      body: { id: this.#network, epoch, secret: encodeBase64url(systemRandom.bytes(32)) },
    });
    await waitFor(`epoch ${epoch} to live alone`, () => `${this.#live()}` === `${epoch}`);
    return performance.now() - startMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager[Symbol.asyncDispose]();
    await this.#watcher.close();
    await this.#sleeper[Symbol.asyncDispose]();
    await this.#host.end();
  }

  async #join(count: number): Promise<void> {
    const { plane, cluster } = this.manager;
    const { id } = await plane.writeOnce(cluster.manager, {
      kind: "network.create",
      body: {
        id: plane.newId(),
        name: NETWORK,
        labels: {},
        allowedNodes: "any",
        encryption: { secret: encodeBase64url(systemRandom.bytes(32)) },
      },
    });
    this.#network = id;
    const kernel = this.#host.open();
    const real = await this.manager.join("real", {
      facts: { encryption: "ok", vtepAddress: OWN_ADDRESS },
      dataPlane: (keys, onStatus) =>
        new ReconciledOverlay({
          host: kernel,
          clock: systemClock,
          keys,
          logger: createLogger({ level: "error", write: (line) => console.error(line) }),
        }, onStatus),
    });
    await real.agent.ready;
    const networks = [{ network: NETWORK }];
    await real.attach({ netns: this.#host.workloadPath, networks });
    for (let number = 2; number <= count; number++) {
      const facts = { encryption: "ok", vtepAddress: underlayAddress(number) };
      const member = await this.manager.join(`member${number}`, { facts, watcher: this.#watcher });
      await member.agent.ready;
      await member.attach({ pid: this.#sleeper.pid, networks });
    }
    const sas = 2 * (count - 1);
    await waitFor(`${sas} SAs`, async () => (await this.#host.count([])).sas === sas);
  }

  #live(): readonly number[] {
    const { keys } = this.manager.plane.state.networks.get(this.#network) ?? {};
    return keys?.epochs.map(({ epoch }) => epoch) ?? [];
  }
}

if (import.meta.main) {
  const [count = "50", rotations = `${ROTATIONS}`] = Deno.args;
  try {
    const times: number[] = [];
    {
      await using members = await Members.open(Number(count));
      for (let number = 0; number < Number(rotations); number++) times.push(await members.rotate());
    }
    console.log(JSON.stringify(times));
    Deno.exit(0);
  } catch (error) {
    console.error(error);
    Deno.exit(1);
  }
}
