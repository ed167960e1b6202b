import { IpAddress } from "../base/mod.ts";
import {
  createLink,
  deleteFdbEntry,
  deleteNeighbour,
  type LinkChanges,
  type NewLink,
  replaceFdbEntry,
  replaceNeighbour,
  type Request,
  setBridgePort,
  setLink,
} from "../netlink/mod.ts";
import { endpointAlias, LINK_GROUP } from "./names.ts";
import type { AttachOperation, DeviceChanges, Operation } from "./operation.ts";

/** An operation that is done by requests to the sandbox's own connection alone. */
export type SandboxRequestOperation = Extract<
  Operation,
  {
    kind:
      | "make-bridge"
      | "set-link"
      | "set-port"
      | "replace-bridge-entry"
      | "delete-bridge-entry"
      | "replace-vxlan-entry"
      | "delete-vxlan-entry"
      | "replace-neighbour"
      | "delete-neighbour";
  }
>;

/** The requests of an operation; null when it takes more than that. */
export function sandboxRequests(operation: Operation, alias: string): readonly Request[] | null {
  switch (operation.kind) {
    case "make-bridge":
      return bridgeRequests(operation, alias);
    case "set-link":
      return [setLink(operation.device.index, linkChangesOf(operation.changes))];
    case "set-port":
      return [portRequest(operation.device.index)];
    case "replace-bridge-entry":
    case "delete-bridge-entry":
    case "replace-vxlan-entry":
    case "delete-vxlan-entry":
    case "replace-neighbour":
    case "delete-neighbour":
      return [entryRequest(operation)];
    default:
      return null;
  }
}

/**
 * A bridge that forwards by our static entries alone. Without a VLAN of its own each entry is there
 * once; without snooping it asks nobody for multicast groups; without a delay, which has no use here,
 * no timer tells of each port once more 15 seconds after it is up (`br_forward_delay_timer_expired`).
 */
function bridgeRequests(
  { device, mtuBytes }: Extract<Operation, { kind: "make-bridge" }>,
  alias: string,
): Request[] {
  const kind = {
    kind: "bridge",
    forwardDelayCentiseconds: 0,
    vlanDefaultPvid: 0,
    multicastSnooping: false,
  } as const;
  const { name, index } = device;
  const link: NewLink = { name, index, mtuBytes, group: LINK_GROUP, up: true, kind };
  return [createLink(link), setLink(index, { alias })];
}

/**
 * The VXLAN device, made from the host's namespace into the sandbox: its UDP socket stays where it
 * was made, so its underlay is the host's. (Moving it there later would hold the kernel 16 ms.)
 */
export function vxlanRequest(
  { device, vni, port, local, mtuBytes, encrypted }: Extract<Operation, { kind: "make-vxlan" }>,
  sandboxFd: number,
): Request {
  return createLink({
    name: device.name,
    index: device.index,
    mtuBytes,
    group: LINK_GROUP,
    namespaceFd: sandboxFd,
    kind: {
      kind: "vxlan",
      vni,
      port,
      local: IpAddress.parse(local),
      learning: false,
      proxy: true,
      // RFC 7348 section 5: the checksum should be zero. What is encrypted has a better one.
      udpChecksum: false,
      ...(encrypted
        ? {
          sourcePorts: { low: port, high: port + 1 },
          udpZeroChecksum6Transmit: true,
          udpZeroChecksum6Receive: true,
        }
        : {}),
    },
  });
}

/**
 * The sandbox's half of an attachment. The port goes up last: until then its bridge would learn and
 * flood as bridges do by default.
 */
export function attachRequests(operation: AttachOperation, workloadFd: number): Request[] {
  const { port, bridge, endpointId, interfaceName, mac, mtuBytes } = operation;
  const peer = { name: interfaceName, namespaceFd: workloadFd, address: mac, mtuBytes };
  return [
    createLink({
      name: port.name,
      index: port.index,
      mtuBytes,
      master: bridge.index,
      group: LINK_GROUP,
      kind: { kind: "veth", peer },
    }),
    setLink(port.index, { alias: endpointAlias(endpointId) }),
    portRequest(port.index),
    replaceFdbEntry({ index: port.index, table: "master", mac, state: "static" }),
    setLink(port.index, { up: true }),
  ];
}

/** Changes as netlink takes them. */
export function linkChangesOf({ master, ...changes }: DeviceChanges): LinkChanges {
  return master === undefined ? changes : { ...changes, master: master.index };
}

/**
 * A port that learns nothing, so that no workload can take another's address, and to which only
 * broadcasts are flooded: ARP needs them. Multicast is not: it could not cross hosts.
 */
function portRequest(index: number): Request {
  return setBridgePort(index, {
    learning: false,
    unicastFlood: false,
    multicastFlood: false,
    broadcastFlood: true,
    neighbourSuppression: false,
    isolated: false,
  });
}

function entryRequest(
  operation: Exclude<SandboxRequestOperation, { kind: "make-bridge" | "set-link" | "set-port" }>,
): Request {
  const { index } = operation.device;
  switch (operation.kind) {
    case "replace-bridge-entry":
      return replaceFdbEntry({ index, table: "master", mac: operation.mac, state: "static" });
    case "delete-bridge-entry":
      return deleteFdbEntry({ index, table: "master", mac: operation.mac });
    case "replace-vxlan-entry": {
      const destination = IpAddress.parse(operation.vtepAddress);
      return replaceFdbEntry({
        index,
        table: "self",
        mac: operation.mac,
        destination,
        state: "permanent",
      });
    }
    case "delete-vxlan-entry":
      return deleteFdbEntry({ index, table: "self", mac: operation.mac });
    case "replace-neighbour": {
      const address = IpAddress.parse(operation.ip);
      return replaceNeighbour({ index, address, mac: operation.mac, state: "permanent" });
    }
    case "delete-neighbour":
      return deleteNeighbour({ index, address: IpAddress.parse(operation.ip) });
  }
}
