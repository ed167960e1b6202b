import type { Id, MacText } from "../base/mod.ts";
import type { FdbEntry, InterfaceAddress, Link } from "../netlink/mod.ts";
import { BRIDGE, LINK_GROUP, networkOfAlias, VXLAN } from "./names.ts";

/** What a sandbox holds, as far as it matters to us. */
export interface Sandbox {
  /** By ifindex. */
  readonly links: ReadonlyMap<number, Link>;
  /** Id that the host's namespace has in this one; null when it has none. */
  readonly hostNamespaceId: number | null;
  /** By name, below `/proc/sys`; settings that the kernel does not have are left out. */
  readonly settings: ReadonlyMap<string, string>;
  /** The bridge's; the permanent ones are addresses of the bridge itself and of its ports. */
  readonly bridgeEntries: ReadonlyMap<MacText, BridgeEntry>;
  /** The VXLAN device's own. */
  readonly vxlanEntries: ReadonlyMap<MacText, VxlanEntry>;
  /** Permanent neighbours of the VXLAN device: MAC address by IP address. */
  readonly neighbours: ReadonlyMap<string, MacText>;
}

/** Where a bridge sends frames for a MAC address. */
export interface BridgeEntry {
  /** Ifindex of the port. */
  readonly port: number;
  readonly state: FdbEntry["state"];
}

/** Where a VXLAN device sends frames for a MAC address. */
export interface VxlanEntry {
  /** Null: not to a VTEP. */
  readonly vtepAddress: string | null;
  readonly state: FdbEntry["state"];
}

/** What a workload's namespace holds, as far as it matters to us. */
export interface Workload {
  /** Id that it has in the sandbox; null when it has none, so that nothing of it leads there. */
  readonly namespaceId: number | null;
  /** By ifindex. */
  readonly links: ReadonlyMap<number, Link>;
  readonly addresses: readonly InterfaceAddress[];
}

/** What there is at an endpoint's target. */
export type TargetState =
  | { readonly kind: "here"; readonly workload: Workload }
  /** The path stands for no namespace, or the process has ended. */
  | { readonly kind: "absent" };

/** A sandbox just made: only `lo`, and the kernel's defaults. */
export const EMPTY_SANDBOX: Sandbox = {
  links: new Map(),
  hostNamespaceId: null,
  settings: new Map(),
  bridgeEntries: new Map(),
  vxlanEntries: new Map(),
  neighbours: new Map(),
};

/**
 * The network whose sandbox this is: what the alias of `lo` says, and where somebody took that away,
 * those of the bridge and the VXLAN device. Null when it is none of ours.
 */
export function networkOf(sandbox: Sandbox): Id | null {
  let found: Id | null = null;
  for (const link of sandbox.links.values()) {
    const id = networkOfAlias(link.alias);
    if (id !== null && link.loopback) return id;
    if (id !== null && (link.name === BRIDGE || link.name === VXLAN)) found = id;
  }
  return found;
}

/** Whether we made the link. Either mark is enough, so that the other can be put back. */
export function isOurs(link: Link, alias: string): boolean {
  return link.alias === alias || link.group === LINK_GROUP;
}

/** The link of this name, or null. */
export function linkNamed(links: ReadonlyMap<number, Link>, name: string): Link | null {
  for (const link of links.values()) {
    if (link.name === name) return link;
  }
  return null;
}

/** The lowest ifindex above all that are there, and above `lo`'s. */
export function freeIndex(links: ReadonlyMap<number, Link>): number {
  return Math.max(1, ...links.keys()) + 1;
}

/** What is left when a link has been deleted: the entries that lead to it go too. */
export function withoutLink(sandbox: Sandbox, index: number): Sandbox {
  const links = new Map(sandbox.links);
  links.delete(index);
  const deleted = sandbox.links.get(index);
  const isBridge = deleted?.info?.kind === "bridge";
  const isVxlan = deleted?.info?.kind === "vxlan";
  const bridgeEntries = [...sandbox.bridgeEntries].filter(([, { port }]) =>
    !isBridge && port !== index
  );
  return {
    ...sandbox,
    links,
    bridgeEntries: new Map(bridgeEntries),
    vxlanEntries: isVxlan ? new Map() : sandbox.vxlanEntries,
    neighbours: isVxlan ? new Map() : sandbox.neighbours,
  };
}
