/**
 * What tests of several managers share: writers who do not give up, who leads, and what each manager has
 * on its disk.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EndpointView, HostStatus, ManagersView } from "../../src/api/mod.ts";
import type { Logger } from "../../src/base/mod.ts";
import { ClusterMachine } from "../../src/cluster/mod.ts";
import type { Applied, ClusterState } from "../../src/state/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { systemClock, systemRandom } from "../../src/sys/mod.ts";
import { type ClusterHost, STATE_DIR } from "./cluster.ts";
import { waitFor } from "./wait.ts";

const silent: Logger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  with: () => silent,
};

/** The manager's view of this host; null while its agent does not answer. */
export async function managerOf(host: ClusterHost): Promise<HostStatus["manager"]> {
  try {
    return (await host.socket.get<HostStatus>("/v1/self")).manager;
  } catch {
    return null;
  }
}

/** Waits until one of these leads, and gives it. */
export function leaderOf(hosts: readonly ClusterHost[]): Promise<ClusterHost> {
  return waitFor("a leader", async () => {
    for (const host of hosts) if ((await managerOf(host))?.role === "leader") return host;
    return null;
  });
}

/** Waits until so many decide, each of them heard by the leader and not behind it. */
export function voters(hosts: readonly ClusterHost[], count: number): Promise<ManagersView> {
  return waitFor(`${count} managers to decide`, async () => {
    const view = await (await leaderOf(hosts)).socket.get<ManagersView>("/v1/managers");
    const isWhole = ({ standing, heard }: ManagersView["items"][number]) =>
      heard && (standing === "leader" || standing === "voter");
    return view.items.length === count && view.items.every(isWhole) ? view : null;
  });
}

/**
 * Makes endpoints on the network `red`, one after the other, through a host's own socket: each under a
 * key of its own, again and again until it is acknowledged.
 */
export class Writer {
  readonly acknowledged = new Map<string, EndpointView>();
  readonly #host: ClusterHost;
  readonly #name: string;
  readonly #done: Promise<void>;
  #goesOn = true;

  constructor(host: ClusterHost, name: string) {
    this.#host = host;
    this.#name = name;
    this.#done = this.#write();
    // Told by `stop`, unless something else fails first.
    this.#done.catch(() => {});
  }

  /** Waits until more are acknowledged than are now. */
  async goesOn(): Promise<void> {
    const before = this.acknowledged.size;
    await waitFor(`${this.#name}'s writes to go on`, () => this.acknowledged.size > before);
  }

  /** Resolves when the last one is acknowledged. */
  async stop(): Promise<void> {
    this.#goesOn = false;
    await this.#done;
  }

  async #write(): Promise<void> {
    for (let number = 0; this.#goesOn; number++) {
      const key = `${this.#name}-${number}`;
      const headers = { "idempotency-key": key };
      const endpoint = await waitFor(`${key} to be acknowledged`, async () => {
        const path = "/v1/networks/red/endpoints";
        const answer = await this.#host.socket.request("POST", path, {}, headers);
        if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
        // The API's own tests hold its answers to their schemas.
        return answer.body as EndpointView;
      });
      this.acknowledged.set(key, endpoint);
    }
  }
}

/**
 * Stops all managers and looks at their disks: each has every write that was acknowledged, and none of
 * them twice. No agent runs after it.
 */
export async function assertNothingLost(
  managers: readonly ClusterHost[],
  writers: readonly Writer[],
): Promise<void> {
  const acknowledged = writers.flatMap((writer) => [...writer.acknowledged]);
  await waitFor("all managers to have all", async () => {
    const all = await Promise.all(managers.map(managerOf));
    const [first] = all;
    return first !== undefined && first !== null &&
      all.every((one) => one?.appliedIndex === first.lastIndex);
  });
  await Promise.all(managers.map((host) => host.killAgent("TERM")));
  for (const host of managers) {
    const state = await stateOnDisk(host);
    for (const [key, { id, ip }] of acknowledged) {
      assert.equal(state.endpoints.get(id)?.ip, ip, `${key} on ${host.name}`);
    }
    // Every key was sent until it was acknowledged: what is there beyond was made by a key twice.
    const made = [...state.endpoints.values()].filter(({ name }) => name === null);
    assert.equal(made.length, acknowledged.length, `endpoints on ${host.name}`);
  }
}

/** The state as this manager's next start would find it, from a copy. */
async function stateOnDisk(host: ClusterHost): Promise<ClusterState> {
  const directory = Deno.makeTempDirSync({ prefix: "agent-disk-" });
  try {
    const from = host.lab.path(`${STATE_DIR}/store`);
    for (const { name } of Deno.readDirSync(from)) {
      Deno.writeFileSync(`${directory}/${name}`, Deno.readFileSync(`${from}/${name}`));
    }
    const { nodeId } = JSON.parse(Deno.readTextFileSync(host.lab.path(`${STATE_DIR}/node.json`)));
    const machine = new ClusterMachine();
    const store = openStore<Applied>({
      directory,
      machine,
      memberId: nodeId,
      random: systemRandom,
      clock: systemClock,
      transport: { listen: () => {}, send: () => {}, setPeers: () => {} },
      logger: silent,
      onFailure: (error) => {
        throw error;
      },
    });
    await store.close();
    return machine.state;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
