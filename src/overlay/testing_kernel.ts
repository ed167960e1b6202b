import { assert, type Id, IpAddress } from "../base/mod.ts";
import type { BridgePort, InterfaceAddress, Link, VxlanInfo } from "../netlink/mod.ts";
import type { Target } from "./host.ts";
import type { BridgeEntry, Sandbox, TargetState, VxlanEntry } from "./model.ts";
import { endpointAlias, LINK_GROUP, networkAlias } from "./names.ts";
import type { Device, DeviceChanges, Operation } from "./operation.ts";

/** The least of the kernel that operations need, for tests: one sandbox and the workloads beside it. */
export class SimulatedKernel {
  readonly #networkId: Id;
  #sandbox: MutableSandbox | null = null;
  readonly #workloads = new Map<string, MutableWorkload>();

  constructor(networkId: Id) {
    this.#networkId = networkId;
  }

  get sandbox(): Sandbox | null {
    return this.#sandbox;
  }

  /** For a test that breaks something. */
  get broken(): MutableSandbox {
    assert(this.#sandbox !== null, "there is a sandbox");
    return this.#sandbox;
  }

  /** There is no workload until this is called. */
  workload(path: string): MutableWorkload {
    const found = this.#workloads.get(path);
    if (found !== undefined) return found;
    const made = { namespaceId: 10 + this.#workloads.size, links: new Map(), addresses: [] };
    this.#workloads.set(path, made);
    return made;
  }

  look(target: Target): TargetState {
    const workload = this.#workloads.get(pathOf(target));
    return workload === undefined ? { kind: "absent" } : { kind: "here", workload };
  }

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) this.#apply(operation);
  }

  /** A link of somebody else's in the sandbox. */
  addForeign(index: number, name: string): void {
    this.broken.links.set(index, { ...LINK, index, name });
  }

  #apply(operation: Operation): void {
    switch (operation.kind) {
      case "make-sandbox":
        assert(this.#sandbox === null, "the name is free");
        this.#sandbox = {
          links: new Map([[1, loopback(this.#networkId)]]),
          hostNamespaceId: 0,
          settings: new Map(),
          bridgeEntries: new Map(),
          vxlanEntries: new Map(),
          neighbours: new Map(),
        };
        return;
      case "remove-sandbox":
        this.#sandbox = null;
        return;
      case "set-interface": {
        const { links } = this.workload(pathOf(operation.target));
        return change(links, operation.device, operation.changes);
      }
      case "add-address":
        this.workload(pathOf(operation.target)).addresses.push({
          ...ADDRESS,
          index: operation.device.index,
          address: IpAddress.parse(operation.ip),
          prefixLength: operation.prefixLength,
        });
        return;
      default:
        this.#applyInside(this.broken, operation);
    }
  }

  #applyInside(box: MutableSandbox, operation: Operation): void {
    switch (operation.kind) {
      case "set-setting":
        box.settings.set(operation.name, operation.value);
        return;
      case "make-bridge": {
        const link = { ...LINK, ...operation.device, mtuBytes: operation.mtuBytes };
        this.#addLink(box, {
          ...link,
          alias: networkAlias(this.#networkId),
          up: true,
          info: BRIDGE,
        });
        return;
      }
      case "make-vxlan": {
        const { device, vni, port, mtuBytes, encrypted } = operation;
        const sourcePorts = encrypted ? { low: port, high: port + 1 } : VXLAN.sourcePorts;
        const local = IpAddress.parse(operation.local);
        const info = { ...VXLAN, vni, port, local, sourcePorts };
        this.#addLink(box, { ...LINK, ...device, mtuBytes, info, linkNamespaceId: 0 });
        return;
      }
      case "set-link":
        if (operation.changes.master !== undefined) forgetPort(box, operation.device.index);
        return change(box.links, operation.device, operation.changes);
      case "set-port":
        assert(present(box, operation.device).master !== null, "it is a port");
        box.links.set(operation.device.index, {
          ...present(box, operation.device),
          bridgePort: { ...PORT, learning: false, unicastFlood: false, multicastFlood: false },
        });
        return;
      case "delete-link":
        return this.#deleteLink(box, operation.device);
      case "attach":
        return this.#attach(box, operation);
      default:
        return applyEntry(box, operation);
    }
  }

  #addLink(box: MutableSandbox, link: Link): void {
    assert(!box.links.has(link.index), "the ifindex is free");
    assert([...box.links.values()].every(({ name }) => name !== link.name), "the name is free");
    box.links.set(link.index, { ...link, group: LINK_GROUP });
  }

  #deleteLink(box: MutableSandbox, device: Device): void {
    const link = present(box, device);
    box.links.delete(device.index);
    forgetPort(box, device.index);
    if (link.info?.kind === "vxlan") {
      box.vxlanEntries.clear();
      box.neighbours.clear();
    }
    for (const port of [...box.links.values()].filter(({ master }) => master === device.index)) {
      forgetPort(box, port.index);
      box.links.set(port.index, { ...port, master: null, bridgePort: null });
    }
    for (const { namespaceId, links } of this.#workloads.values()) {
      if (link.linkNamespaceId === namespaceId) links.delete(link.linkIndex ?? 0);
    }
  }

  #attach(box: MutableSandbox, operation: Extract<Operation, { kind: "attach" }>): void {
    const { endpointId, interfaceName, mac, mtuBytes, port, bridge } = operation;
    const workload = this.#workloads.get(pathOf(operation.target));
    assert(workload !== undefined, "the workload is there");
    assert(box.links.get(bridge.index)?.info?.kind === "bridge", "the bridge is there");
    const alias = endpointAlias(endpointId);
    const inside = Math.max(1, ...workload.links.keys()) + 1;
    this.#addLink(box, {
      ...{ ...LINK, ...port, alias, mtuBytes, master: bridge.index, up: true, info: VETH },
      ...{ linkIndex: inside, linkNamespaceId: workload.namespaceId },
      bridgePort: { ...PORT, learning: false, unicastFlood: false, multicastFlood: false },
    });
    const link = { ...LINK, index: inside, name: interfaceName, address: mac, mtuBytes, alias };
    workload.links.set(inside, { ...link, up: true, info: VETH });
    this.#apply({ ...operation, kind: "add-address", device: { index: inside, name: "" } });
    this.#apply({ kind: "replace-bridge-entry", mac, device: port });
  }
}

/** A sandbox that can change. */
export interface MutableSandbox extends Sandbox {
  readonly links: Map<number, Link>;
  readonly settings: Map<string, string>;
  readonly bridgeEntries: Map<string, BridgeEntry>;
  readonly vxlanEntries: Map<string, VxlanEntry>;
  readonly neighbours: Map<string, string>;
}

/** A workload that can change. */
export interface MutableWorkload {
  readonly namespaceId: number;
  readonly links: Map<number, Link>;
  readonly addresses: InterfaceAddress[];
}

/** What a new port of a bridge does by default. */
export const PORT: BridgePort = {
  learning: true,
  unicastFlood: true,
  multicastFlood: true,
  broadcastFlood: true,
  neighbourSuppression: false,
  isolated: false,
};

const LINK: Link = {
  index: 0,
  name: "",
  deviceType: 1,
  flags: 0,
  up: false,
  lowerUp: false,
  loopback: false,
  address: null,
  mtuBytes: 1500,
  master: null,
  group: 0,
  alias: null,
  linkIndex: null,
  linkNamespaceId: null,
  info: null,
  bridgePort: null,
  statistics: null,
};

const VETH = { kind: "veth" } as const;

const BRIDGE = {
  kind: "bridge",
  ageingCentiseconds: 30_000,
  stp: false,
  vlanFiltering: false,
  multicastSnooping: false,
  vlanDefaultPvid: 0,
} as const;

const VXLAN: VxlanInfo = {
  kind: "vxlan",
  vni: 0,
  local: null,
  remote: null,
  underlayIndex: null,
  port: 0,
  sourcePorts: { low: 0, high: 0 },
  ttl: 0,
  learning: false,
  ageingSeconds: 300,
  proxy: true,
  udpChecksum: false,
  udpZeroChecksum6Transmit: false,
  udpZeroChecksum6Receive: false,
};

const ADDRESS = { peer: null, scope: 0, permanent: true, tentative: false, duplicate: false };

function loopback(networkId: Id): Link {
  return { ...LINK, index: 1, name: "lo", loopback: true, alias: networkAlias(networkId) };
}

function pathOf(target: Target): string {
  return target.kind === "path" ? target.path : String(target.pid);
}

function present(box: MutableSandbox, device: Device): Link {
  const link = box.links.get(device.index);
  assert(link?.name === device.name, `there is a link ${device.name} at ${device.index}`);
  return link;
}

function forgetPort(box: MutableSandbox, index: number): void {
  for (const [mac, entry] of box.bridgeEntries) {
    if (entry.port === index) box.bridgeEntries.delete(mac);
  }
}

function change(links: Map<number, Link>, device: Device, changes: DeviceChanges): void {
  const link = links.get(device.index);
  assert(link !== undefined, `there is a link ${device.name}`);
  const { master, ...others } = changes;
  const joined = master === undefined ? {} : { master: master.index, bridgePort: PORT };
  links.set(device.index, { ...link, ...others, ...joined });
}

function applyEntry(box: MutableSandbox, operation: Operation): void {
  switch (operation.kind) {
    case "replace-bridge-entry":
      assert(present(box, operation.device).master !== null, "it is a port");
      box.bridgeEntries.set(operation.mac, { port: operation.device.index, state: "static" });
      return;
    case "delete-bridge-entry":
      box.bridgeEntries.delete(operation.mac);
      return;
    case "replace-vxlan-entry":
      present(box, operation.device);
      box.vxlanEntries.set(operation.mac, {
        vtepAddress: operation.vtepAddress,
        state: "permanent",
      });
      return;
    case "delete-vxlan-entry":
      box.vxlanEntries.delete(operation.mac);
      return;
    case "replace-neighbour":
      present(box, operation.device);
      box.neighbours.set(operation.ip, operation.mac);
      return;
    case "delete-neighbour":
      box.neighbours.delete(operation.ip);
      return;
    default:
      assert(false, `${operation.kind} is known`);
  }
}
