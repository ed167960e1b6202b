import type { MacText } from "../base/mod.ts";
import type { DesiredEndpoint, DesiredNetwork } from "./desired.ts";
import { isOurs, type Sandbox } from "./model.ts";
import { endpointOfAlias, networkAlias, portName } from "./names.ts";
import type { Device, Operation } from "./operation.ts";

/** Changes of forwarding entries and neighbours. */
export interface EntryPlan {
  readonly removals: readonly Operation[];
  readonly additions: readonly Operation[];
}

/**
 * Forwarding entries and neighbours for a network's remote endpoints, and the end of all that lead
 * where nothing of ours is any more. Those of local endpoints come with their ports. Pure.
 *
 * ARP for a remote address is a broadcast, so it comes to the VXLAN device, which answers from its
 * neighbours and, having no default entry, sends none of it on.
 *
 * @param vxlan the device of the network, be it one that is still to be made
 */
export function planEntries(
  network: DesiredNetwork,
  endpoints: readonly DesiredEndpoint[],
  sandbox: Sandbox,
  vxlan: Device,
): EntryPlan {
  const remotes = new Map(network.remotes.map((remote) => [remote.mac, remote]));
  const locals = new Map(endpoints.map(({ mac, id }) => [mac, portName(id)]));
  const removals: Operation[] = [];
  for (const [mac, { port, state }] of sandbox.bridgeEntries) {
    if (state === "permanent") continue;
    const link = sandbox.links.get(port);
    const ours = link !== undefined &&
      (isOurs(link, networkAlias(network.id)) || endpointOfAlias(link.alias) !== null);
    if (!ours || remotes.has(mac) || locals.get(mac) === link.name) continue;
    removals.push({ kind: "delete-bridge-entry", mac, device: { index: port, name: link.name } });
  }
  for (const mac of sandbox.vxlanEntries.keys()) {
    if (!remotes.has(mac)) removals.push({ kind: "delete-vxlan-entry", mac, device: vxlan });
  }
  const wantedNeighbours = new Set(network.remotes.map(({ ip }) => ip));
  for (const ip of sandbox.neighbours.keys()) {
    if (!wantedNeighbours.has(ip)) removals.push({ kind: "delete-neighbour", ip, device: vxlan });
  }
  return { removals, additions: planRemotes(network, sandbox, vxlan) };
}

function planRemotes(network: DesiredNetwork, sandbox: Sandbox, vxlan: Device): Operation[] {
  const device = { index: vxlan.index, name: vxlan.name };
  const additions: Operation[] = [];
  for (const { ip, mac, vtepAddress } of network.remotes) {
    const entry = sandbox.vxlanEntries.get(mac);
    if (entry?.vtepAddress !== vtepAddress || entry.state !== "permanent") {
      additions.push({ kind: "replace-vxlan-entry", mac, vtepAddress, device });
    }
    if (sandbox.neighbours.get(ip) !== mac) {
      additions.push({ kind: "replace-neighbour", ip, mac, device });
    }
    additions.push(...planBridgeEntry(mac, sandbox, device));
  }
  return additions;
}

/** What it takes that the bridge sends frames for a MAC address out at one port only. */
export function planBridgeEntry(mac: MacText, sandbox: Sandbox, device: Device): Operation[] {
  const entry = sandbox.bridgeEntries.get(mac);
  if (entry?.port === device.index && entry.state === "static") return [];
  return [{ kind: "replace-bridge-entry", mac, device }];
}
