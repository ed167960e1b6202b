import type { Id } from "../base/mod.ts";

/** Name of a sandbox's bridge. */
export const BRIDGE = "bridge0";

/** Name of a sandbox's VXLAN device. */
export const VXLAN = "vxlan0";

/** All our links are in this group (`IFLA_GROUP`), so that one request deletes those of a sandbox. */
export const LINK_GROUP = 0x41474e54;

/**
 * Ifindex of a sandbox's VXLAN device. It is made from the host's namespace, where the kernel takes an
 * ifindex that a link has there for that link, and refuses with EEXIST: so it is one that no link has.
 */
export const VXLAN_INDEX = 0x41474e54;

const SANDBOX_PREFIX = "agent-";

/** Name of the namespace that holds a network's bridge and VXLAN device. */
export function sandboxName(networkName: string): string {
  return SANDBOX_PREFIX + networkName;
}

/** Whether a namespace of this name may be a sandbox of ours; its mark says whether it is. */
export function maybeSandboxName(name: string): boolean {
  return name.startsWith(SANDBOX_PREFIX);
}

/**
 * Alias of everything in a sandbox that belongs to the network, and of the sandbox's `lo`: by that
 * the namespace itself is known as ours.
 */
export function networkAlias(networkId: Id): string {
  return `agent network ${networkId}`;
}

/** Alias of both ends of an endpoint's veth. */
export function endpointAlias(endpointId: Id): string {
  return `agent endpoint ${endpointId}`;
}

/** The network of an alias that {@linkcode networkAlias} made, or null. */
export function networkOfAlias(alias: string | null): Id | null {
  return /^agent network ([a-z2-7]{26})$/.exec(alias ?? "")?.[1] ?? null;
}

/** The endpoint of an alias that {@linkcode endpointAlias} made, or null. */
export function endpointOfAlias(alias: string | null): Id | null {
  return /^agent endpoint ([a-z2-7]{26})$/.exec(alias ?? "")?.[1] ?? null;
}

/**
 * Name of an endpoint's port on the bridge. A link's name has at most 15 bytes (`IFNAMSIZ` less the
 * final zero), so 65 random bits of the id have to do.
 */
export function portName(endpointId: Id): string {
  return `ep${endpointId.slice(0, 13)}`;
}

/** Whether a link of this name may be a port of ours; its alias says whether it is. */
export function maybePortName(name: string): boolean {
  return /^ep[a-z2-7]{13}$/.test(name);
}
