import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { encodeBase32, encodeBase64url, type Id, SecretBytes } from "../../src/base/mod.ts";
import {
  type BootKeyPair,
  bootKeyPair,
  type Installation,
  Journal,
  slotPort,
} from "../../src/esp/mod.ts";
import {
  buildDesired,
  type Desired,
  type KeyRing,
  type LocalAttachment,
  Reconciler,
  type Target,
} from "../../src/overlay/mod.ts";
import type { ProjectedEncryption, Projection } from "../../src/state/mod.ts";
import { createLogger, systemClock, Watcher } from "../../src/sys/mod.ts";
import { TestHost } from "./overlay_host.ts";

/** A network of the lab, with endpoints by name: `a1` is on host 1. */
export interface LabNetwork {
  readonly name: string;
  readonly vni?: number;
  readonly mtuBytes?: number;
  readonly port?: number;
  /** Its packets are ESP between hosts. */
  readonly encryption?: LabEncryption;
  readonly endpoints: readonly LabEndpoint[];
}

/** How a network of the lab is encrypted; its port is that of the slot. */
export interface LabEncryption {
  readonly slot: number;
  /** Live epochs, newest first. */
  readonly epochs: readonly number[];
  /** What each host has told that it can receive; a host that is left out, all of the epochs above. */
  readonly receives?: ReadonlyMap<number, readonly number[]>;
  /** Hosts that have no endpoint any more, and of which there may be SAs. */
  readonly left?: readonly number[];
}

/** Port of slot 0. */
export const FIRST_PORT = 20_000;

/** An endpoint of the lab. */
export interface LabEndpoint {
  readonly host: number;
  /** Last byte of its address. */
  readonly number: number;
  /** Workload it is attached to, or where it will be; left out: to nothing. */
  readonly workload?: string;
  readonly target?: Target;
  readonly interfaceName?: string;
}

/** An id that the text stands for. */
export function id(text: string): Id {
  return encodeBase32(createHash("sha256").update(text).digest().subarray(0, 16));
}

/** The node on a host. */
export function nodeOf(host: number): Id {
  return id(`node ${host}`);
}

function digest(text: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(text).digest());
}

/** A boot key and its journal, in memory. */
export class LabKeyRing implements KeyRing {
  pair: BootKeyPair | null;
  /** What the managers have committed. */
  committed: Uint8Array;
  journal = new Journal();
  revision = 1;
  readonly recorded: Installation[] = [];
  readonly compacted: [Id, number][] = [];

  constructor(seed: string) {
    this.pair = bootKeyPair(new SecretBytes(digest(`boot key ${seed}`)));
    this.committed = this.pair.publicKey;
  }

  /** As after a reboot, or when `/run` was lost. */
  renew(seed: string): void {
    this.pair = bootKeyPair(new SecretBytes(digest(`boot key ${seed}`)));
    this.committed = this.pair.publicKey;
    this.journal = new Journal();
    this.revision++;
  }

  record(installations: readonly Installation[]): void {
    this.recorded.push(...installations);
    for (const installation of installations) this.journal.add(installation);
  }

  compact(retired: ReadonlyMap<Id, number>): void {
    this.compacted.push(...retired);
  }
}

let labs = 0;

/**
 * Hosts as network namespaces, joined by an underlay bridge of their own, with workloads beside them.
 * All names begin with the lab's prefix, so labs and runs do not meet.
 */
export class Lab {
  readonly prefix = `ov${Deno.pid % 100_000}${String.fromCharCode(97 + labs++ % 26)}`;
  readonly watcher = new Watcher();
  readonly hosts: number[] = [];
  readonly #reconcilers = new Map<number, Reconciler>();
  readonly #rings = new Map<number, LabKeyRing>();

  /** Makes the hosts, runs the test, and takes everything away whatever happens. */
  static async run(hosts: number, test: (lab: Lab) => Promise<void>): Promise<void> {
    const lab = new Lab();
    for (let host = 1; host <= hosts; host++) lab.hosts.push(host);
    try {
      await lab.#build(hosts);
      await test(lab);
    } finally {
      await lab.#tearDown();
    }
  }

  host(number: number): string {
    return `${this.prefix}-host${number}`;
  }

  workload(name: string): string {
    return `${this.prefix}-${name}`;
  }

  path(workload: string): string {
    return `/run/netns/${this.workload(workload)}`;
  }

  sandbox(host: number, network: string): string {
    return `${this.prefix}-${host}-agent-${network}`;
  }

  /** Whether there is a namespace of this name. */
  has(namespace: string): boolean {
    return [...Deno.readDirSync("/run/netns")].some(({ name }) => name === namespace);
  }

  async addWorkload(name: string): Promise<void> {
    await run(`ip netns add ${this.workload(name)}`);
  }

  /** What this host has in `/run`; it outlives reconcilers. */
  ring(host: number): LabKeyRing {
    const found = this.#rings.get(host) ?? new LabKeyRing(`${host}`);
    this.#rings.set(host, found);
    return found;
  }

  /** A reconciler on a host; an earlier one there is forgotten, not closed. */
  start(host: number, testHost: TestHost = this.testHost(host)): Reconciler {
    const reconciler = new Reconciler({
      host: testHost,
      keys: this.ring(host),
      clock: systemClock,
      logger: createLogger({ level: "error", write: () => {} }),
    });
    this.#reconcilers.set(host, reconciler);
    return reconciler;
  }

  reconciler(host: number): Reconciler {
    return this.#reconcilers.get(host) ?? this.start(host);
  }

  testHost(host: number): TestHost {
    return new TestHost(`/run/netns/${this.host(host)}`, `${this.prefix}-${host}-`, this.watcher);
  }

  /** What one host should have of these networks. */
  desired(host: number, networks: readonly LabNetwork[]): Desired {
    const attachments: LocalAttachment[] = [];
    const projected = networks.map((network, place) => {
      const networkId = id(`network ${network.name}`);
      const subnet = `10.64.${place}`;
      const endpoints = network.endpoints.map((endpoint) => {
        const endpointId = id(`${network.name} ${endpoint.number}`);
        const target = endpoint.target ??
          (endpoint.workload === undefined
            ? null
            : { kind: "path" as const, path: this.path(endpoint.workload) });
        if (endpoint.host === host && target !== null) {
          const interfaceName = endpoint.interfaceName ?? null;
          attachments.push({ endpointId, networkId, target, interfaceName });
        }
        return {
          id: endpointId,
          name: null,
          ip: `${subnet}.${endpoint.number}`,
          mac: `02:00:0a:40:0${place}:${endpoint.number.toString(16).padStart(2, "0")}`,
          nodeId: nodeOf(endpoint.host),
          vtepAddress: `192.0.2.${endpoint.host}`,
        };
      });
      return {
        id: networkId,
        name: network.name,
        vni: network.vni ?? 4096 + place,
        subnet: `${subnet}.0/24`,
        mtuBytes: network.mtuBytes ?? 1450,
        port: network.encryption === undefined
          ? network.port ?? 19_999
          : slotPort(network.encryption.slot, FIRST_PORT),
        encryption: this.#encryption(network),
        endpoints,
      };
    });
    const here = projected.filter(({ endpoints }) =>
      endpoints.some(({ nodeId }) => nodeId === nodeOf(host))
    );
    const retained = projected.flatMap(({ id, port, encryption, endpoints }) => {
      const left = encryption?.holders.find(({ nodeId, state }) =>
        nodeId === nodeOf(host) && state === "left"
      );
      if (encryption === null || left === undefined || endpoints === undefined) return [];
      const peers = encryption.holders.filter((holder) => holder !== left);
      const epochs = encryption.epochs.map(({ epoch }) => epoch);
      return [{ id, slot: encryption.slot, port, epochs, peers }];
    });
    const installed = networks.flatMap(({ name, encryption }) =>
      encryption === undefined ? [] : this.hosts.map((number) => ({
        networkId: id(`network ${name}`),
        nodeId: nodeOf(number),
        epochs: encryption.receives?.get(number) ?? encryption.epochs,
        upTo: 1_000,
      }))
    );
    const projection: Projection = {
      v: 1,
      clusterId: id("cluster"),
      incarnation: id("incarnation"),
      generation: 0,
      node: {
        id: nodeOf(host),
        index: host,
        vtepAddress: `192.0.2.${host}`,
        bootKey: encodeBase64url(this.ring(host).committed),
      },
      networks: here,
      retained,
      installed,
      goneUpTo: 0,
      digest: "",
    };
    return buildDesired(projection, attachments);
  }

  #encryption({ name, encryption, endpoints }: LabNetwork): ProjectedEncryption | null {
    if (encryption === undefined) return null;
    const { slot, epochs, left = [] } = encryption;
    const attached = new Set(endpoints.map(({ host }) => host));
    const holders = [...new Set([...attached, ...left])].sort().map((host) => ({
      nodeId: nodeOf(host),
      index: host,
      vtepAddress: `192.0.2.${host}`,
      bootKey: encodeBase64url(this.ring(host).committed),
      revision: this.ring(host).revision,
      state: attached.has(host) ? "attached" as const : "left" as const,
    }));
    return {
      slot,
      holders,
      epochs: epochs.map((epoch) => ({
        epoch,
        secret: encodeBase64url(digest(`secret ${name} ${epoch}`)),
      })),
    };
  }

  /** Brings these networks about on hosts 1 … n. */
  async apply(hosts: readonly number[], networks: readonly LabNetwork[]): Promise<void> {
    for (const host of hosts) {
      const reconciler = this.reconciler(host);
      reconciler.setDesired(this.desired(host, networks));
      const { problems } = await reconciler.settled();
      assert.deepEqual(problems, []);
    }
  }

  /** Runs a command in a workload, a host or a sandbox. */
  in(namespace: string, command: string): Promise<string> {
    return run(`ip netns exec ${namespace} ${command}`);
  }

  async reaches(workload: string, address: string): Promise<boolean> {
    const ping = `ping -q -c 1 -W 1 ${address}`;
    return (await attempt(`ip netns exec ${this.workload(workload)} ${ping}`)).success;
  }

  /**
   * Captures on a host's underlay while `action` runs, and until a line that matches `last` has come:
   * so nothing that was sent before that one is missing.
   */
  async capture(
    host: number,
    filter: string,
    last: RegExp,
    action: () => Promise<void>,
  ): Promise<string> {
    // The port is not IANA's, so tcpdump has to be told.
    const tcpdump = "tcpdump --immediate-mode -l -n -i under0 -T vxlan";
    const process = new Deno.Command("ip", {
      args: ["netns", "exec", this.host(host), ...tcpdump.split(" "), filter],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [errors, packets] = [process.stderr, process.stdout].map((stream) => stream.getReader());
    assert.ok(errors !== undefined && packets !== undefined);
    try {
      await readUntil(errors, /listening on/);
      await action();
      return await readUntil(packets, last);
    } finally {
      process.kill("SIGKILL");
      await Promise.all([errors.cancel(), packets.cancel(), process.status]);
    }
  }

  async #build(hosts: number): Promise<void> {
    const underlay = `${this.prefix}-underlay`;
    // A bridge that snoops has something of its own to say to routers, and that would be on the wire.
    const bridge = "bridge0 up type bridge mcast_snooping 0";
    await run(`ip netns add ${underlay}; ip -n ${underlay} link add ${bridge}`);
    for (let number = 1; number <= hosts; number++) {
      const host = this.host(number);
      await run(
        `ip netns add ${host}; ip -n ${host} link set lo up
        ip link add under0 netns ${host} type veth peer name port${number} netns ${underlay}
        ip -n ${underlay} link set port${number} master bridge0 up
        ip -n ${host} address add 192.0.2.${number}/24 dev under0
        ip -n ${host} link set under0 up`,
      );
    }
  }

  async #tearDown(): Promise<void> {
    for (const reconciler of this.#reconcilers.values()) await reconciler.close();
    await this.watcher.close();
    await run(
      `for name in $(ip netns | cut -d ' ' -f 1 | grep '^${this.prefix}-'); do
        ip netns delete $name
      done`,
    );
  }
}

/** Runs a shell script. @throws when it fails */
export async function run(script: string): Promise<string> {
  const { success, output } = await attempt(script);
  assert.ok(success, `${script}: ${output}`);
  return output;
}

/** Runs a shell script; `output` is what it said on both outputs. */
export async function attempt(script: string): Promise<{ success: boolean; output: string }> {
  const command = new Deno.Command("sh", { args: ["-ec", script], stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Waits for a condition. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await condition()) {
    assert.ok(performance.now() < end, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  last: RegExp,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!last.test(text)) {
    const { value } = await reader.read();
    assert.ok(value, `tcpdump ended too soon: ${text}`);
    text += decoder.decode(value);
  }
  return text;
}

/** Needs: root, the kernel's vxlan, bridge and veth, and `ip`, `bridge`, `ping`. */
export function overlayTest(name: string, hosts: number, test: (lab: Lab) => Promise<void>): void {
  Deno.test({
    name: `overlay: ${name}`,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: () => Lab.run(hosts, test),
  });
}

/** A network with two workloads on the first host and one on the second. */
export const SHOP: LabNetwork = {
  name: "shop",
  endpoints: [
    { host: 1, number: 2, workload: "web" },
    { host: 1, number: 3, workload: "cart" },
    { host: 2, number: 4, workload: "store" },
  ],
};

/** Makes {@linkcode SHOP} and its workloads. */
export async function startShop(lab: Lab): Promise<void> {
  for (const workload of ["web", "cart", "store"]) await lab.addWorkload(workload);
  await lab.apply([1, 2], [SHOP]);
}
