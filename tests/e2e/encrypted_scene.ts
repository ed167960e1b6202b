/**
 * Encrypted networks of a real cluster, watched from the first packet to the last: nothing readable
 * between the hosts, no key twice, and a listener for ACQUIRE on every host.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EncryptionView, NetworkRequest, NetworkView } from "../../src/api/mod.ts";
import type { TestLab } from "../lab/hosts.ts";
import { Cluster, type ClusterHost, withHosts, type Workload } from "./cluster.ts";
import { KeyLedger } from "./key_ledger.ts";
import { Talk } from "./talk.ts";
import { UnderlayWatch } from "./underlay_watch.ts";
import { waitFor } from "./wait.ts";

/** A network, and one workload on each of some hosts. */
export interface EncryptedNetwork {
  readonly view: NetworkView;
  readonly encryption: EncryptionView;
  readonly workloads: readonly Workload[];
}

/** For `sanitize…` of every test. */
export const sanitized = { sanitizeOps: true, sanitizeResources: true };

/** How long an own repair may take when a fresh key is needed: one rotation in 10 s is asked for. */
export const REKEY_MS = 20_000;

export class EncryptedScene {
  readonly lab: TestLab;
  readonly cluster: Cluster;
  readonly watch: UnderlayWatch;
  readonly ledger: KeyLedger;

  /** Hosts of the cluster, perhaps not all. */
  readonly hosts: readonly ClusterHost[];

  private constructor(
    { lab, cluster, watch, ledger }: Pick<EncryptedScene, "lab" | "cluster" | "watch" | "ledger">,
    hosts: readonly ClusterHost[],
  ) {
    this.hosts = hosts;
    this.lab = lab;
    this.cluster = cluster;
    this.watch = watch;
    this.ledger = ledger;
  }

  /**
   * Runs a test on a cluster. At its end there must have been ESP, nothing in the clear unless the test
   * has `plain` networks or forges packets (`forged`), and no key that began anew.
   */
  static run(
    count: number,
    test: (scene: EncryptedScene) => Promise<void>,
    { plain = false, forged = false, managers = 1 }: {
      readonly plain?: boolean;
      readonly forged?: boolean;
      readonly managers?: number;
    } = {},
  ): Promise<void> {
    return withHosts(count, async (lab, hosts) => {
      const watch = await UnderlayWatch.start(lab, { plain });
      const ledger = new KeyLedger();
      try {
        for (const host of hosts) await ledger.watch(host.lab);
        const cluster = await Cluster.form(hosts, { managers });
        // Joining hosts are tried by UDP in the clear; there is no network yet.
        const from = await watch.mark();
        await test(new EncryptedScene({ lab, cluster, watch, ledger }, hosts));
        if (!forged) await watch.assertEspOnly({ from, atLeast: 10 });
        await watch.stop();
        assert(await ledger.close() > 0, "there were keys");
      } finally {
        // Harmless when it is closed already; what went wrong before is what is told.
        await ledger.close().catch(() => {});
      }
    });
  }

  /** The same scene, of which only the first hosts play. */
  first(count: number): EncryptedScene {
    return new EncryptedScene(this, this.hosts.slice(0, count));
  }

  get manager(): ClusterHost {
    return this.cluster.manager;
  }

  /** Makes an encrypted network with a workload on each of these hosts, all pairs of which talk. */
  async add(
    name: string,
    hosts: readonly ClusterHost[] = this.hosts,
    more: Partial<NetworkRequest> = {},
  ): Promise<EncryptedNetwork> {
    const made = await this.manager.createNetwork(name, { encrypted: true, ...more });
    const workloads = await Promise.all(
      hosts.map((host) => host.addWorkload(`${name}-${host.name}`, [name])),
    );
    await acquaint(workloads);
    const view = await this.view(name);
    const { encryption } = view;
    assert(encryption !== null && made.encrypted);
    for (const [near, far] of pairs(workloads)) {
      using talk = new Talk(near, far);
      await talk.getsThrough();
    }
    return { view, encryption, workloads };
  }

  view(name: string): Promise<NetworkView> {
    return this.manager.socket.get<NetworkView>(`/v1/networks/${name}`);
  }

  /** Epochs that live, newest first. */
  async epochs(name: string): Promise<readonly number[]> {
    return (await this.view(name)).encryption?.epochs.map(({ epoch }) => epoch) ?? [];
  }

  /** Begins an epoch, and does not wait for anything; its number. */
  async rotate(name: string): Promise<number> {
    const view = await this.manager.socket.post<NetworkView>(`/v1/networks/${name}/rotate`, {});
    return view.encryption?.epochs[0]?.epoch ?? assert.fail("a network that rotates has epochs");
  }

  /** Waits until nobody needs any epoch but the newest. */
  async settled(name: string): Promise<void> {
    await waitFor(`all members of ${name} to be with its newest epoch`, async () => {
      return (await this.epochs(name)).length === 1;
    });
  }

  /** Waits until a host's kernel has what it should. */
  async repaired(host: ClusterHost): Promise<void> {
    await waitFor(`nothing to be left to do on ${host.name}`, async () => {
      const plan = await host.plan();
      if (plan.length > 0) throw new Error(plan.join("\n"));
      return true;
    });
  }

  /** The agents stand still: what is done to their kernels now, they see later. */
  async whileStopped(hosts: readonly ClusterHost[], action: () => Promise<void>): Promise<void> {
    const signal = (name: string) =>
      Promise.all(hosts.map((host) => host.lab.exec("kill", `-${name}`, `${host.agentPid()}`)));
    await signal("STOP");
    try {
      await action();
    } finally {
      await signal("CONT");
    }
  }
}

/**
 * Tells each workload the hardware addresses of the others: so it goes on sending whatever becomes of the
 * network, where it would fall silent over an ARP request that nobody answers.
 */
export async function acquaint(workloads: readonly Workload[]): Promise<void> {
  await Promise.all(workloads.map((own) => {
    const others = workloads.filter((other) => other !== own);
    if (others.length === 0) return;
    const entries = others.map(({ ip, mac }) =>
      `neigh replace ${ip} lladdr ${mac} dev eth0 nud permanent`
    );
    return own.sh(`ip -batch - <<BATCH\n${entries.join("\n")}\nBATCH`);
  }));
}

/** Every ordered pair. */
export function* pairs<T>(items: readonly T[]): Generator<readonly [T, T]> {
  for (const from of items) for (const to of items) if (from !== to) yield [from, to];
}

/** The item at this place, which there is. */
export function at<T>(items: readonly T[], index: number): T {
  return items[index] ?? assert.fail(`there is an item ${index}`);
}
