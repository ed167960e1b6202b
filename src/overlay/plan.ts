import { IpAddress } from "../base/mod.ts";
import type { Link, VxlanInfo } from "../netlink/mod.ts";
import type { DesiredEndpoint, DesiredNetwork } from "./desired.ts";
import { EMPTY_SANDBOX, freeIndex, isOurs, linkNamed, networkOf } from "./model.ts";
import { type Sandbox, withoutLink } from "./model.ts";
import {
  BRIDGE,
  endpointOfAlias,
  LINK_GROUP,
  maybePortName,
  networkAlias,
  portName,
  VXLAN,
  VXLAN_INDEX,
} from "./names.ts";
import type { Device, DeviceChanges, Operation } from "./operation.ts";
import { planEntries, type SettledEntries } from "./plan_entries.ts";

/**
 * What to do in a sandbox, in the order of the fields. Each step has to be acknowledged before the
 * next begins: no entry may lead to a device that is not as it should be.
 */
export interface SandboxPlan {
  /** Why the network cannot be had on this host; then nothing is done. */
  readonly refusal: string | null;
  /** The bridge that there will be; null when there will be none. */
  readonly bridge: Device | null;
  readonly removals: readonly Operation[];
  readonly devices: readonly Operation[];
  readonly entries: readonly Operation[];
}

/**
 * Settings of a sandbox. A new namespace takes IPv4 forwarding over from the host's; forwarding
 * would join networks, and IPv6 would give the bridge an address.
 */
export const SETTINGS: readonly (readonly [string, string])[] = [
  ["net/ipv4/ip_forward", "0"],
  ["net/ipv6/conf/all/disable_ipv6", "1"],
];

/** Names of the settings that a plan has to know. */
export const SETTING_NAMES: readonly string[] = SETTINGS.map(([name]) => name);

/**
 * Compares a network's sandbox with what it should be. Pure.
 *
 * @param network null when this host should not have it (any more)
 * @param endpoints those of this network on this host
 * @param found null when there is no namespace of its name
 * @param settled what its entries are known to be right for
 */
export function planSandbox(
  network: DesiredNetwork | null,
  endpoints: readonly DesiredEndpoint[],
  found: Sandbox | null,
  settled: SettledEntries | null = null,
): SandboxPlan {
  const owner = found === null ? null : networkOf(found);
  if (found !== null && (owner === null || isElsewhere(found))) {
    return network === null ? NOTHING : refuse(
      `its namespace's name is taken by a namespace that is not ours: rename or delete that one`,
    );
  }
  if (network === null) {
    return found === null ? NOTHING : { ...NOTHING, removals: planEnd(found) };
  }
  const planner = new Planner(network);
  // A network of the same name that was deleted while we were away.
  if (found === null || owner !== network.id) planner.replaceSandbox(found);
  else planner.keepSandbox(found);
  return planner.plan(endpoints, settled);
}

/** Of an encrypted network nothing leads to peers any more before its device goes. */
function planEnd(found: Sandbox): readonly Operation[] {
  const vxlan = linkNamed(found.links, VXLAN);
  const entries = vxlan === null || encryptedPort(found) === null ? [] : [
    ...found.vxlanEntries.keys(),
  ].map((mac): Operation => ({ kind: "delete-vxlan-entry", mac, device: deviceOf(vxlan) }));
  return [...entries, { kind: "remove-sandbox" }];
}

/** The port of a sandbox's VXLAN device, if it is that of an encrypted network: it sends from it too. */
export function encryptedPort({ links }: Sandbox): number | null {
  const info = linkNamed(links, VXLAN)?.info;
  if (info?.kind !== "vxlan") return null;
  const { sourcePorts: { low, high }, port } = info;
  return low === port && high === port + 1 ? port : null;
}

const NOTHING: SandboxPlan = {
  refusal: null,
  bridge: null,
  removals: [],
  devices: [],
  entries: [],
};

function refuse(refusal: string): SandboxPlan {
  return { ...NOTHING, refusal };
}

/** Whether it belongs to the agent of another host: the underlay of its VXLAN device is not ours. */
export function isElsewhere(sandbox: Sandbox): boolean {
  const vxlan = linkNamed(sandbox.links, VXLAN);
  return vxlan?.info?.kind === "vxlan" && vxlan.linkNamespaceId !== sandbox.hostNamespaceId;
}

/** Collects operations and keeps up what they will have made of the sandbox. */
class Planner {
  readonly #network: DesiredNetwork;
  readonly #alias: string;
  readonly #removals: Operation[] = [];
  readonly #devices: Operation[] = [];
  #sandbox = EMPTY_SANDBOX;
  #nextIndex = 2;

  constructor(network: DesiredNetwork) {
    this.#network = network;
    this.#alias = networkAlias(network.id);
  }

  replaceSandbox(found: Sandbox | null): void {
    if (found !== null) this.#removals.push({ kind: "remove-sandbox" });
    this.#devices.push({ kind: "make-sandbox" });
  }

  keepSandbox(found: Sandbox): void {
    this.#sandbox = found;
    this.#nextIndex = freeIndex(found.links);
    const loopback = linkNamed(found.links, "lo");
    if (loopback !== null && loopback.alias !== this.#alias) {
      this.#setLink(loopback, { alias: this.#alias });
    }
    for (const [name, value] of SETTINGS) {
      const now = found.settings.get(name);
      if (now !== undefined && now !== value) {
        this.#devices.push({ kind: "set-setting", name, value });
      }
    }
  }

  plan(endpoints: readonly DesiredEndpoint[], settled: SettledEntries | null): SandboxPlan {
    this.#removeStalePorts(endpoints);
    for (const name of [BRIDGE, VXLAN]) {
      const link = linkNamed(this.#sandbox.links, name);
      if (link !== null && !isOurs(link, this.#alias)) {
        return refuse(`its namespace has a link ${name} that is not ours: rename or delete it`);
      }
    }
    const bridge = this.#planBridge();
    const vxlan = this.#planVxlan(bridge);
    const untouched = this.#devices.length === 0 && this.#removals.length === 0;
    const known = untouched ? settled : null;
    const entries = planEntries(this.#network, endpoints, this.#sandbox, vxlan, known);
    return {
      refusal: null,
      bridge: deviceOf(bridge),
      removals: [...this.#removals, ...entries.removals],
      devices: this.#devices,
      entries: entries.additions,
    };
  }

  #removeStalePorts(endpoints: readonly DesiredEndpoint[]): void {
    const wanted = new Set(endpoints.map(({ id }) => portName(id)));
    for (const link of [...this.#sandbox.links.values()]) {
      const ours = endpointOfAlias(link.alias) !== null ||
        (link.group === LINK_GROUP && maybePortName(link.name));
      if (ours && !wanted.has(link.name)) this.#delete(link);
    }
  }

  #planBridge(): Device {
    const { mtuBytes } = this.#network;
    const found = linkNamed(this.#sandbox.links, BRIDGE);
    if (found !== null && isRightBridge(found)) {
      this.#setLink(found, this.#changes(found, mtuBytes));
      return found;
    }
    if (found !== null) this.#delete(found);
    const device = { index: this.#nextIndex++, name: BRIDGE };
    this.#devices.push({ kind: "make-bridge", device, mtuBytes });
    return device;
  }

  /** The device goes up last: before that nothing comes in. */
  #planVxlan(bridge: Device): Device {
    const { vni, port, vtepAddress: local, mtuBytes, encryption } = this.#network;
    const found = linkNamed(this.#sandbox.links, VXLAN);
    if (found !== null && isRightVxlan(found, this.#network)) {
      const { up, ...changes } = this.#changes(found, mtuBytes);
      this.#setLink(
        found,
        found.master === bridge.index ? changes : { ...changes, master: bridge },
      );
      if (found.master !== bridge.index || !isRightPort(found)) this.#setPort(found);
      if (up === true) this.#setLink(found, { up });
      return found;
    }
    if (found !== null) this.#delete(found);
    const device = { index: VXLAN_INDEX, name: VXLAN };
    const encrypted = encryption !== null;
    this.#devices.push({ kind: "make-vxlan", device, vni, port, local, mtuBytes, encrypted });
    this.#setLink(device, { alias: this.#alias, master: bridge });
    this.#setPort(device);
    this.#setLink(device, { up: true });
    return device;
  }

  #changes(link: Link, mtuBytes: number): DeviceChanges {
    return linkChanges(link, { alias: this.#alias, mtuBytes });
  }

  #setLink(link: Device, changes: DeviceChanges): void {
    if (Object.keys(changes).length === 0) return;
    this.#devices.push({ kind: "set-link", device: deviceOf(link), changes });
  }

  #setPort(link: Device): void {
    this.#devices.push({ kind: "set-port", device: deviceOf(link) });
  }

  #delete(link: Link): void {
    this.#removals.push({ kind: "delete-link", device: deviceOf(link) });
    this.#sandbox = withoutLink(this.#sandbox, link.index);
  }
}

/** Name and index of a link. */
export function deviceOf({ index, name }: Device): Device {
  return { index, name };
}

/** What to change of a link of ours so that it is marked, up, and of this size. */
export function linkChanges(
  link: Link,
  { alias, mtuBytes }: { readonly alias: string; readonly mtuBytes: number },
): DeviceChanges {
  return {
    ...(link.alias === alias ? {} : { alias }),
    ...(link.group === LINK_GROUP ? {} : { group: LINK_GROUP }),
    ...(link.mtuBytes === mtuBytes ? {} : { mtuBytes }),
    ...(link.up ? {} : { up: true }),
  };
}

/** Whether a bridge's port is as {@linkcode Operation} `set-port` makes it. */
export function isRightPort({ bridgePort }: Link): boolean {
  return bridgePort !== null && !bridgePort.learning && !bridgePort.unicastFlood &&
    !bridgePort.multicastFlood && bridgePort.broadcastFlood &&
    !bridgePort.neighbourSuppression && !bridgePort.isolated;
}

function isRightBridge({ info }: Link): boolean {
  return info?.kind === "bridge" && !info.stp && !info.vlanFiltering && !info.multicastSnooping;
}

/** Another VTEP address needs another device too: newer kernels bind the UDP socket to it. */
function isRightVxlan({ info }: Link, network: DesiredNetwork): boolean {
  return info?.kind === "vxlan" && info.vni === network.vni && info.port === network.port &&
    info.local !== null && info.local.equals(IpAddress.parse(network.vtepAddress)) &&
    info.remote === null && info.underlayIndex === null && !info.learning && info.proxy &&
    (network.encryption === null || isRightEncryptedVxlan(info));
}

function isRightEncryptedVxlan({ sourcePorts, port, udpChecksum }: VxlanInfo): boolean {
  return sourcePorts.low === port && sourcePorts.high === port + 1 && !udpChecksum;
}
