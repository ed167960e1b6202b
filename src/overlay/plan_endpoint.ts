import type { Link } from "../netlink/mod.ts";
import type { DesiredEndpoint } from "./desired.ts";
import { freeIndex, isOurs, linkNamed } from "./model.ts";
import type { Sandbox, TargetState, Workload } from "./model.ts";
import { endpointAlias, endpointOfAlias, portName } from "./names.ts";
import { type Device, type DeviceChanges, formatTarget, type Operation } from "./operation.ts";
import { deviceOf, isRightPort, linkChanges } from "./plan.ts";
import { planBridgeEntry } from "./plan_entries.ts";

/** What to do for one endpoint, and what it will be then. */
export type EndpointPlan =
  | { readonly kind: "attached"; readonly operations: readonly Operation[] }
  /** There is nothing to attach it to: not yet, or no longer. */
  | { readonly kind: "waiting" | "gone" }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Compares an endpoint with its port on the bridge and its interface in the workload. Pure.
 *
 * The interface's name is chosen once: a workload may give it another.
 *
 * @param bridge that of its network's sandbox, be it still to be made
 * @param seen whether it was attached before, in this agent's life
 */
export function planEndpoint(
  endpoint: DesiredEndpoint,
  sandbox: Sandbox,
  bridge: Device,
  target: TargetState,
  seen: "seen" | "unseen",
): EndpointPlan {
  const port = linkNamed(sandbox.links, portName(endpoint.id));
  if (port !== null && !isPortOf(port, endpoint)) {
    const reason = `its network's namespace has a link ${port.name} that is not its own: delete it`;
    return { kind: "refused", reason };
  }
  if (target.kind === "absent") {
    // The veth is there, so its workload is: it has outlived the process or the path we know.
    if (port !== null) return attached(planPort(endpoint, sandbox, port, bridge));
    // A path can come back, as after a reboot; a process cannot.
    return { kind: endpoint.target.kind === "pid" || seen === "seen" ? "gone" : "waiting" };
  }
  const { workload } = target;
  const inside = port === null ? null : peerOf(port, workload);
  if (port !== null && inside !== null) {
    return attached([
      ...planPort(endpoint, sandbox, port, bridge),
      ...planInterface(endpoint, workload, inside),
    ]);
  }
  const interfaceName = endpoint.interfaceName ?? firstFreeName(workload);
  if (linkNamed(workload.links, interfaceName) !== null) {
    const where = formatTarget(endpoint.target);
    return {
      kind: "refused",
      reason: `there is an interface ${interfaceName} in ${where} already: choose another name`,
    };
  }
  const { id: endpointId, ip, prefixLength, mac, mtuBytes } = endpoint;
  const attach: Operation = {
    kind: "attach",
    endpointId,
    port: { index: freeIndex(sandbox.links), name: portName(endpointId) },
    bridge,
    target: endpoint.target,
    interfaceName,
    ip,
    prefixLength,
    mac,
    mtuBytes,
  };
  // It leads into another namespace than the target is now.
  if (port === null) return attached([attach]);
  return attached([{ kind: "delete-link", device: deviceOf(port) }, attach]);
}

/** By its alias, or, where somebody took that away, by the group of all that is ours. */
function isPortOf(port: Link, endpoint: DesiredEndpoint): boolean {
  const other = endpointOfAlias(port.alias);
  return other === null ? isOurs(port, endpointAlias(endpoint.id)) : other === endpoint.id;
}

function attached(operations: readonly Operation[]): EndpointPlan {
  return { kind: "attached", operations };
}

/** The other end of the port's veth, if it is in this workload. */
function peerOf(port: Link, workload: Workload): Link | null {
  const { linkIndex, linkNamespaceId } = port;
  if (port.info?.kind !== "veth" || linkIndex === null || linkNamespaceId === null) return null;
  if (linkNamespaceId !== workload.namespaceId) return null;
  return workload.links.get(linkIndex) ?? null;
}

function planPort(
  endpoint: DesiredEndpoint,
  sandbox: Sandbox,
  port: Link,
  bridge: Device,
): Operation[] {
  const device = deviceOf(port);
  const operations: Operation[] = [];
  const wrongMaster = port.master !== bridge.index;
  const changes: DeviceChanges = {
    ...linkChanges(port, { alias: endpointAlias(endpoint.id), mtuBytes: endpoint.mtuBytes }),
    ...(wrongMaster ? { master: bridge } : {}),
  };
  if (Object.keys(changes).length > 0) operations.push({ kind: "set-link", device, changes });
  if (wrongMaster || !isRightPort(port)) operations.push({ kind: "set-port", device });
  operations.push(...planBridgeEntry(endpoint.mac, sandbox, device));
  return operations;
}

function planInterface(endpoint: DesiredEndpoint, workload: Workload, inside: Link): Operation[] {
  const { target, ip, prefixLength, mac } = endpoint;
  const device = deviceOf(inside);
  const operations: Operation[] = [];
  // The group is the workload's business: it is no mark of ours there.
  const { group: _, ...changes } = linkChanges(inside, {
    alias: endpointAlias(endpoint.id),
    mtuBytes: endpoint.mtuBytes,
  });
  const all: DeviceChanges = inside.address === mac ? changes : { ...changes, address: mac };
  if (Object.keys(all).length > 0) {
    operations.push({ kind: "set-interface", target, device, changes: all });
  }
  const has = workload.addresses.some((one) =>
    one.index === inside.index && one.prefixLength === prefixLength && `${one.address}` === ip
  );
  if (!has) operations.push({ kind: "add-address", target, device, ip, prefixLength });
  return operations;
}

function firstFreeName(workload: Workload): string {
  const taken = new Set([...workload.links.values()].map(({ name }) => name));
  for (let number = 0;; number++) {
    if (!taken.has(`eth${number}`)) return `eth${number}`;
  }
}
