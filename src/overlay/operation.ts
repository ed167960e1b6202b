import { type Id, type MacText, unreachable } from "../base/mod.ts";
import type { Target } from "./host.ts";

/** A link of a sandbox. The index may be one that an earlier operation of the plan chooses. */
export interface Device {
  readonly index: number;
  readonly name: string;
}

/** Changes of a link; what is left out stays. */
export interface DeviceChanges {
  readonly alias?: string;
  readonly group?: number;
  readonly mtuBytes?: number;
  readonly address?: MacText;
  /** The bridge. */
  readonly master?: Device;
  readonly up?: true;
}

/** One change of the kernel's state within one sandbox, or in the workload of an endpoint. */
export type Operation =
  | { readonly kind: "make-sandbox" }
  /** Deletes our links in it, then its name. */
  | { readonly kind: "remove-sandbox" }
  | { readonly kind: "set-setting"; readonly name: string; readonly value: string }
  | { readonly kind: "make-bridge"; readonly device: Device; readonly mtuBytes: number }
  | {
    readonly kind: "make-vxlan";
    readonly device: Device;
    readonly vni: number;
    readonly port: number;
    readonly local: string;
    readonly mtuBytes: number;
    /** Sends from that port alone, so that policies can tell its packets. */
    readonly encrypted: boolean;
  }
  | { readonly kind: "set-link"; readonly device: Device; readonly changes: DeviceChanges }
  /** What our bridges do at their ports. */
  | { readonly kind: "set-port"; readonly device: Device }
  | { readonly kind: "delete-link"; readonly device: Device }
  | { readonly kind: "replace-bridge-entry"; readonly mac: MacText; readonly device: Device }
  | { readonly kind: "delete-bridge-entry"; readonly mac: MacText; readonly device: Device }
  | {
    readonly kind: "replace-vxlan-entry";
    readonly mac: MacText;
    readonly vtepAddress: string;
    readonly device: Device;
  }
  | { readonly kind: "delete-vxlan-entry"; readonly mac: MacText; readonly device: Device }
  | {
    readonly kind: "replace-neighbour";
    readonly ip: string;
    readonly mac: MacText;
    readonly device: Device;
  }
  | { readonly kind: "delete-neighbour"; readonly ip: string; readonly device: Device }
  | AttachOperation
  /** The workload's end of a veth. */
  | {
    readonly kind: "set-interface";
    readonly target: Target;
    readonly device: Device;
    readonly changes: DeviceChanges;
  }
  | {
    readonly kind: "add-address";
    readonly target: Target;
    readonly device: Device;
    readonly ip: string;
    readonly prefixLength: number;
  };

/** Makes a veth from the bridge into a workload: all of it, or nothing. */
export interface AttachOperation {
  readonly kind: "attach";
  readonly endpointId: Id;
  readonly port: Device;
  readonly bridge: Device;
  readonly target: Target;
  readonly interfaceName: string;
  readonly ip: string;
  readonly prefixLength: number;
  readonly mac: MacText;
  readonly mtuBytes: number;
}

/** A path, or `pid 4711`. */
export function formatTarget(target: Target): string {
  return target.kind === "path" ? target.path : `pid ${target.pid}`;
}

/** One line, in the words of iproute2 where it has some. */
export function formatOperation(operation: Operation): string {
  switch (operation.kind) {
    case "make-sandbox":
      return "netns add";
    case "remove-sandbox":
      return "netns delete";
    case "set-setting":
      return `sysctl ${operation.name}=${operation.value}`;
    case "make-bridge":
      return `link add ${operation.device.name} type bridge mtu ${operation.mtuBytes}`;
    case "make-vxlan": {
      const { device, vni, local, port, mtuBytes, encrypted } = operation;
      const sourcePort = encrypted ? ` srcport ${port} ${port + 1}` : "";
      return `link add ${device.name} type vxlan id ${vni} local ${local} dstport ${port}${sourcePort} ` +
        `mtu ${mtuBytes}`;
    }
    case "set-link":
      return `link set ${operation.device.name} ${formatChanges(operation.changes)}`;
    case "set-port":
      return `bridge link set ${operation.device.name} learning off flood off mcast_flood off`;
    case "delete-link":
      return `link delete ${operation.device.name}`;
    case "replace-bridge-entry":
      return `fdb replace ${operation.mac} dev ${operation.device.name} master static`;
    case "delete-bridge-entry":
      return `fdb delete ${operation.mac} dev ${operation.device.name} master`;
    case "replace-vxlan-entry":
      return `fdb replace ${operation.mac} dev ${operation.device.name} self dst ${operation.vtepAddress}`;
    case "delete-vxlan-entry":
      return `fdb delete ${operation.mac} dev ${operation.device.name} self`;
    case "replace-neighbour":
      return `neigh replace ${operation.ip} lladdr ${operation.mac} dev ${operation.device.name}`;
    case "delete-neighbour":
      return `neigh delete ${operation.ip} dev ${operation.device.name}`;
    case "attach":
      return formatAttach(operation);
    case "set-interface":
      return `link set ${operation.device.name} ${formatChanges(operation.changes)} in ${
        formatTarget(operation.target)
      }`;
    case "add-address":
      return `address add ${operation.ip}/${operation.prefixLength} dev ${operation.device.name} in ${
        formatTarget(operation.target)
      }`;
    default:
      return unreachable(operation);
  }
}

function formatAttach(operation: AttachOperation): string {
  const { port, target, interfaceName, ip, prefixLength, mac, mtuBytes } = operation;
  return `attach ${port.name} to ${formatTarget(target)} as ${interfaceName} ` +
    `${ip}/${prefixLength} address ${mac} mtu ${mtuBytes}`;
}

function formatChanges(changes: DeviceChanges): string {
  const words: string[] = [];
  if (changes.alias !== undefined) words.push(`alias "${changes.alias}"`);
  if (changes.group !== undefined) words.push(`group ${changes.group}`);
  if (changes.address !== undefined) words.push(`address ${changes.address}`);
  if (changes.mtuBytes !== undefined) words.push(`mtu ${changes.mtuBytes}`);
  if (changes.master !== undefined) words.push(`master ${changes.master.name}`);
  if (changes.up !== undefined) words.push("up");
  return words.join(" ");
}
