import {
  addressBits,
  Cidr,
  type Id,
  IpAddress,
  type IpFamily,
  unreachable,
} from "../../base/mod.ts";
import { slotReqid } from "../../esp/mod.ts";
import { type FilterHook, formatSpi, type Selector } from "../../netlink/mod.ts";
import type { Device } from "../operation.ts";

/** UDP, among the IP protocols. */
export const IPPROTO_UDP = 17;

/** A policy of any address that drops what is about a network's port and not in ESP. */
export interface Block {
  readonly family: IpFamily;
  readonly slot: number;
  readonly port: number;
  readonly direction: "in" | "out";
  /** Packets to the port, or from it. */
  readonly end: "to" | "from";
}

/** A policy that lets a network's packets to or from one peer pass, in ESP. */
export interface PeerPolicy {
  readonly slot: number;
  readonly port: number;
  readonly direction: "in" | "out";
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** What outbound packets are sent with; null for inbound ones, where every SA of the network will do. */
  readonly spi: number | null;
}

/** A policy that has our reqid, or the mark of our blocks, and is neither of the above. */
export interface StrayPolicy {
  readonly direction: "in" | "out" | "fwd";
  /** The kernel's name for it. */
  readonly index: number;
}

/** Where an SA is. */
export interface SaPlace {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: number;
}

/** An SA to make. Its key is derived when it is, and stands nowhere here. */
export interface SaToMake extends SaPlace {
  readonly slot: number;
  readonly port: number;
  readonly epoch: number;
  readonly peer: Id;
  readonly direction: "in" | "out";
}

/** One change of the host's IPsec state, or of the guard on the wire's side of it. */
export type IpsecOperation =
  | { readonly kind: "set-block"; readonly block: Block }
  | { readonly kind: "delete-block"; readonly block: Block }
  | { readonly kind: "set-policy"; readonly policy: PeerPolicy }
  | { readonly kind: "delete-policy"; readonly policy: PeerPolicy }
  | { readonly kind: "delete-stray"; readonly policy: StrayPolicy }
  | { readonly kind: "add-sa" | "fill-sa"; readonly sa: SaToMake }
  | { readonly kind: "delete-sa"; readonly slot: number; readonly place: SaPlace }
  | { readonly kind: "set-host-setting"; readonly name: string; readonly value: string }
  | GuardOperation;

/** A filter of the guard: UDP packets to a network's port, or from it, at one side of a device. */
export interface GuardFilter {
  readonly family: IpFamily;
  readonly slot: number;
  readonly port: number;
  readonly hook: FilterHook;
  readonly end: "to" | "from";
}

/** A change of the guard. */
export type GuardOperation =
  | { readonly kind: "add-clsact" | "delete-clsact"; readonly device: Device }
  | {
    readonly kind: "set-filter" | "delete-filter";
    readonly device: Device;
    readonly filter: GuardFilter;
  };

/** The blocks of one network. */
export function blocksOf(family: IpFamily, slot: number, port: number): readonly Block[] {
  return [
    { family, slot, port, direction: "out", end: "to" },
    { family, slot, port, direction: "in", end: "to" },
    { family, slot, port, direction: "out", end: "from" },
  ];
}

/** The packets that a block is for. */
export function blockSelector({ family, port, end }: Block): Selector {
  const any = new Cidr(new IpAddress(family, 0n), 0);
  return {
    source: any,
    destination: any,
    protocol: IPPROTO_UDP,
    sourcePort: end === "from" ? port : null,
    destinationPort: end === "to" ? port : null,
    index: null,
  };
}

/** The packets of a network from one host to another: what its SA and its policies are for. */
export function pairSelector(source: IpAddress, destination: IpAddress, port: number): Selector {
  return {
    source: new Cidr(source, addressBits(source.family)),
    destination: new Cidr(destination, addressBits(destination.family)),
    protocol: IPPROTO_UDP,
    sourcePort: port,
    destinationPort: port,
    index: null,
  };
}

/** One line, in the words of iproute2. There are no keys in it. */
export function formatIpsecOperation(operation: IpsecOperation): string {
  switch (operation.kind) {
    case "set-block":
      return `xfrm policy update ${formatBlock(operation.block)} action block`;
    case "delete-block":
      return `xfrm policy delete ${formatBlock(operation.block)}`;
    case "set-policy": {
      const { policy } = operation;
      const spi = policy.spi === null ? "" : ` spi ${formatSpi(policy.spi)}`;
      return `xfrm policy update ${formatPolicy(policy)} tmpl proto esp${spi} reqid ${
        formatSpi(slotReqid(policy.slot))
      }`;
    }
    case "delete-policy":
      return `xfrm policy delete ${formatPolicy(operation.policy)}`;
    case "delete-stray":
      return `xfrm policy delete dir ${operation.policy.direction} index ${operation.policy.index}`;
    case "add-sa":
    case "fill-sa": {
      const { sa, kind } = operation;
      const verb = kind === "add-sa" ? "add" : "update";
      return `xfrm state ${verb} ${formatPlace(sa)} epoch ${sa.epoch}`;
    }
    case "delete-sa":
      return `xfrm state delete ${formatPlace(operation.place)}`;
    case "set-host-setting":
      return `sysctl ${operation.name}=${operation.value}`;
    case "add-clsact":
      return `tc qdisc add dev ${operation.device.name} clsact`;
    case "delete-clsact":
      return `tc qdisc delete dev ${operation.device.name} clsact`;
    case "set-filter":
      return `tc filter replace ${formatFilter(operation)} action drop`;
    case "delete-filter":
      return `tc filter delete ${formatFilter(operation)}`;
    default:
      return unreachable(operation);
  }
}

function formatBlock({ family, direction, end, port }: Block): string {
  const which = end === "to" ? "dport" : "sport";
  return `dir ${direction} ${family === 4 ? "" : "ipv6 "}proto udp ${which} ${port}`;
}

function formatPolicy({ direction, source, destination, port }: PeerPolicy): string {
  return `dir ${direction} src ${source} dst ${destination} proto udp port ${port}`;
}

function formatPlace({ source, destination, spi }: SaPlace): string {
  return `src ${source} dst ${destination} spi ${formatSpi(spi)}`;
}

function formatFilter(
  { device, filter }: { readonly device: Device; readonly filter: GuardFilter },
): string {
  const which = filter.end === "to" ? "dst_port" : "src_port";
  return `dev ${device.name} ${filter.hook} flower ip_proto udp ${which} ${filter.port}`;
}
