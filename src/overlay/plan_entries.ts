import type { Id, MacText } from "../base/mod.ts";
import type { DesiredEndpoint, DesiredNetwork, RemoteEndpoint } from "./desired.ts";
import { isOurs, type Sandbox } from "./model.ts";
import { endpointOfAlias, networkAlias, portName } from "./names.ts";
import type { Device, Operation } from "./operation.ts";

/** Changes of forwarding entries and neighbours. */
export interface EntryPlan {
  readonly removals: readonly Operation[];
  readonly additions: readonly Operation[];
}

/** What all entries of a sandbox were right for when it was last seen to. */
export interface SettledEntries {
  /** In their order. */
  readonly remotes: readonly RemoteEndpoint[];
  /** By id. */
  readonly endpoints: ReadonlySet<Id>;
}

/**
 * Forwarding entries and neighbours for a network's remote endpoints, and the end of all that lead
 * where nothing of ours is any more. Those of local endpoints come with their ports. Pure.
 *
 * ARP for a remote address is a broadcast, so it comes to the VXLAN device, which answers from its
 * neighbours and, having no default entry, sends none of it on.
 *
 * @param vxlan the device of the network, be it one that is still to be made
 * @param settled when nothing else has changed since: then only what is new is looked at
 */
export function planEntries(
  network: DesiredNetwork,
  endpoints: readonly DesiredEndpoint[],
  sandbox: Sandbox,
  vxlan: Device,
  settled: SettledEntries | null,
): EntryPlan {
  const added = settled === null ? null : addedSince(settled, network, endpoints);
  if (added !== null) return { removals: [], additions: planRemotes(added, sandbox, vxlan) };
  const remotes = new Set<MacText>();
  for (const { mac } of network.remotes) remotes.add(mac);
  const removals: Operation[] = [];
  const ports = ourPorts(network, sandbox);
  const locals = new Map(endpoints.map(({ mac, id }) => [mac, portName(id)]));
  for (const [mac, { port, state }] of sandbox.bridgeEntries) {
    if (state === "permanent" || remotes.has(mac)) continue;
    const name = ports.get(port);
    if (name === undefined || locals.get(mac) === name) continue;
    removals.push({ kind: "delete-bridge-entry", mac, device: { index: port, name } });
  }
  for (const mac of sandbox.vxlanEntries.keys()) {
    if (!remotes.has(mac)) removals.push({ kind: "delete-vxlan-entry", mac, device: vxlan });
  }
  const wantedNeighbours = new Set<string>();
  for (const { ip } of network.remotes) wantedNeighbours.add(ip);
  for (const ip of sandbox.neighbours.keys()) {
    if (!wantedNeighbours.has(ip)) removals.push({ kind: "delete-neighbour", ip, device: vxlan });
  }
  return { removals, additions: planRemotes(network.remotes, sandbox, vxlan) };
}

/** Names of the links that entries of ours may lead to, by ifindex. */
function ourPorts({ id }: DesiredNetwork, { links }: Sandbox): ReadonlyMap<number, string> {
  const alias = networkAlias(id);
  const ports = new Map<number, string>();
  for (const link of links.values()) {
    if (isOurs(link, alias) || endpointOfAlias(link.alias) !== null) {
      ports.set(link.index, link.name);
    }
  }
  return ports;
}

/**
 * Remote endpoints that were not there before; null when something has gone, too. Those that stay are the
 * same objects in the same order, so one walk along both lists tells.
 */
function addedSince(
  settled: SettledEntries,
  { remotes }: DesiredNetwork,
  endpoints: readonly DesiredEndpoint[],
): readonly RemoteEndpoint[] | null {
  const added: RemoteEndpoint[] = [];
  let kept = 0;
  for (const remote of remotes) {
    if (remote === settled.remotes[kept]) kept++;
    else added.push(remote);
  }
  const sameEndpoints = endpoints.length === settled.endpoints.size &&
    endpoints.every(({ id }) => settled.endpoints.has(id));
  return sameEndpoints && kept === settled.remotes.length ? added : null;
}

function planRemotes(
  remotes: readonly RemoteEndpoint[],
  sandbox: Sandbox,
  vxlan: Device,
): Operation[] {
  const device = { index: vxlan.index, name: vxlan.name };
  const additions: Operation[] = [];
  for (const { ip, mac, vtepAddress } of remotes) {
    const entry = sandbox.vxlanEntries.get(mac);
    if (entry?.vtepAddress !== vtepAddress || entry.state !== "permanent") {
      additions.push({ kind: "replace-vxlan-entry", mac, vtepAddress, device });
    }
    if (sandbox.neighbours.get(ip) !== mac) {
      additions.push({ kind: "replace-neighbour", ip, mac, device });
    }
    if (!isBridgeEntryRight(mac, sandbox, device)) {
      additions.push({ kind: "replace-bridge-entry", mac, device });
    }
  }
  return additions;
}

/** What it takes that the bridge sends frames for a MAC address out at one port only. */
export function planBridgeEntry(mac: MacText, sandbox: Sandbox, device: Device): Operation[] {
  return isBridgeEntryRight(mac, sandbox, device)
    ? []
    : [{ kind: "replace-bridge-entry", mac, device }];
}

function isBridgeEntryRight(mac: MacText, sandbox: Sandbox, device: Device): boolean {
  const entry = sandbox.bridgeEntries.get(mac);
  return entry?.port === device.index && entry.state === "static";
}
