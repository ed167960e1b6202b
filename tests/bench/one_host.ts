import { Watcher } from "../../src/sys/mod.ts";
import { run } from "../integration/overlay_lab.ts";
import { OWN_ADDRESS, UNDERLAY_PREFIX_LENGTH } from "./crowd.ts";
import { RecordingHost } from "./netlink_recording.ts";

/** The machine is idle when a loop takes no longer than ever, so many times in a row. */
const IDLE_LOOKS = 5;
const IDLE_LATENESS = 1.1;
const LOOKS_MAX = 200;
const LOOP_STEPS = 10_000_000;

let hosts = 0;

/** A host of namespaces that has never had a network: its kernel state is empty. */
export class OneHost {
  readonly name: string;
  readonly prefix: string;
  readonly workload: string;
  readonly watcher = new Watcher();

  private constructor() {
    this.name = `crowd${hosts++}`;
    this.prefix = `${this.name}-`;
    this.workload = `${this.prefix}work`;
  }

  static async make(): Promise<OneHost> {
    const host = new OneHost();
    const { name, workload } = host;
    await run(`
      ip netns add ${workload}
      ip netns add ${name}
      ip -n ${name} link set lo up
      ip link add under0 netns ${name} type veth peer name other0 netns ${workload}
      ip -n ${workload} link set other0 up
      ip -n ${name} address add ${OWN_ADDRESS}/${UNDERLAY_PREFIX_LENGTH} dev under0
      ip -n ${name} link set under0 up`);
    await idle();
    return host;
  }

  get workloadPath(): string {
    return `/run/netns/${this.workload}`;
  }

  /** The machine, for a reconciler. */
  open(): RecordingHost {
    return new RecordingHost(`/run/netns/${this.name}`, this.prefix, this.watcher);
  }

  /** How many objects of each kind its kernel has. */
  async count(sandboxes: readonly string[]): Promise<Readonly<Record<string, number>>> {
    const lines = async (command: string) => Number(await run(`${command} | wc -l`));
    const counts = { sas: 0, policies: 0, neighbours: 0, fdbEntries: 0 };
    counts.sas = await lines(`ip -n ${this.name} xfrm state count | tr -dc '0-9\\n' | xargs seq`);
    counts.policies = await lines(
      `ip -n ${this.name} xfrm policy | grep '^src' | grep -v 'src 0.0.0.0/0'`,
    );
    for (const sandbox of sandboxes) {
      const box = this.prefix + sandbox;
      counts.neighbours += await lines(`ip -n ${box} neigh show nud permanent`);
      counts.fdbEntries += await lines(
        `bridge -n ${box} fdb show dev vxlan0 | grep -E ' dst | static$'`,
      );
    }
    return counts;
  }

  /** Takes all of it away, and waits until the kernel has done so. */
  async end(): Promise<void> {
    await this.watcher.close();
    await run(`
      ip -n ${this.name} xfrm policy flush
      ip -n ${this.name} xfrm state flush
      for name in $(ip netns | cut -d ' ' -f 1 | grep -e '^${this.prefix}' -e '^${this.name}$'); do
        ip netns delete $name
      done`);
    await idle();
  }
}

let shortestMs = Infinity;

/** Waits until the kernel does nothing any more for what was taken away. */
async function idle(): Promise<void> {
  let idleLooks = 0;
  for (let look = 0; look < LOOKS_MAX && idleLooks < IDLE_LOOKS; look++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const ms = loopMs();
    idleLooks = ms < shortestMs * IDLE_LATENESS ? idleLooks + 1 : 0;
    shortestMs = Math.min(shortestMs, ms);
  }
}

function loopMs(): number {
  const startMs = performance.now();
  let sum = 0;
  for (let step = 0; step < LOOP_STEPS; step++) sum = (sum + step) | 0;
  const ms = performance.now() - startMs;
  // Used, lest the loop be left out.
  return sum === 1 ? Infinity : ms;
}
