import type { IpFamily } from "../../base/mod.ts";
import { SLOTS } from "../../esp/mod.ts";
import type { Filter, FilterHook } from "../../netlink/mod.ts";
import type { Device } from "../operation.ts";
import { type GuardFilter, type GuardOperation, IPPROTO_UDP } from "./operation.ts";
import { GUARD_PREFERENCE, guardHandle } from "./requests.ts";

/** What a device has of traffic control, as far as it matters to the guard. */
export interface DevicePicture {
  readonly device: Device;
  /** Who made its clsact qdisc; null: it has none. */
  readonly clsact: "ours" | "foreign" | null;
  /** Our filters, by {@linkcode filterKey}. */
  readonly filters: ReadonlyMap<string, PictureFilter>;
  /** How many filters of others hang on it. */
  readonly others: number;
}

/** A filter with our preference and one of our handles. */
export interface PictureFilter {
  readonly filter: GuardFilter;
  /** It drops, and drops no less than it should. */
  readonly right: boolean;
}

/** A network's port that is guarded. */
export interface GuardedPort {
  readonly slot: number;
  readonly port: number;
  readonly family: IpFamily;
}

const HOOKS: readonly FilterHook[] = ["ingress", "egress"];
const ENDS = ["to", "from"] as const;

/** Tells the filters of a device apart, as the kernel does. */
export function filterKey({ hook, family, slot, end }: GuardFilter): string {
  return `${hook} ${family} ${guardHandle({ slot, end })}`;
}

/** The guard's own filter, or null when it is somebody else's. */
export function readGuardFilter(filter: Filter): PictureFilter | null {
  const { preference, kind, handle, hook, flower, actions, chain } = filter;
  const slot = Math.floor((handle - 1) / 2);
  if (preference !== GUARD_PREFERENCE || kind !== "flower" || slot < 0 || slot >= SLOTS) {
    return null;
  }
  const end = handle % 2 === 1 ? "to" : "from";
  const port = end === "to" ? flower?.udpDestinationPort : flower?.udpSourcePort;
  const other = end === "to" ? flower?.udpSourcePort : flower?.udpDestinationPort;
  const right = flower?.complete === true && flower.protocol === IPPROTO_UDP && other === null &&
    actions[0]?.drops === true && chain === 0;
  const family = filter.etherType === ETH_P_IPV6 ? 6 : 4;
  return { filter: { family, slot, port: port ?? 0, hook, end }, right };
}

const ETH_P_IPV6 = 0x86dd;

/** All that one port has on one device. */
export function guardFilters({ family, slot, port }: GuardedPort): readonly GuardFilter[] {
  return HOOKS.flatMap((hook) => ENDS.map((end) => ({ family, slot, port, hook, end })));
}

/** What the guard lacks on a device. Pure. */
export function planGuard(
  device: Device,
  ports: readonly GuardedPort[],
  found: DevicePicture | null,
): readonly GuardOperation[] {
  const operations: GuardOperation[] = [];
  if (ports.length > 0 && (found?.clsact ?? null) === null) {
    operations.push({ kind: "add-clsact", device });
  }
  for (const filter of ports.flatMap(guardFilters)) {
    const there = found?.filters.get(filterKey(filter));
    if (there?.right === true && there.filter.port === filter.port) continue;
    operations.push({ kind: "set-filter", device, filter });
  }
  return operations;
}

/**
 * What of the guard is not needed on a device any more; the clsact qdisc goes with its last filter, if it
 * is ours and nobody else uses it. Pure.
 */
export function planGuardSweep(
  ports: readonly GuardedPort[],
  found: DevicePicture,
): readonly GuardOperation[] {
  const { device, filters, others, clsact } = found;
  // With the qdisc all that hangs on it goes.
  if (ports.length === 0 && others === 0 && clsact === "ours") {
    return [{ kind: "delete-clsact", device }];
  }
  const wanted = new Set(ports.flatMap(guardFilters).map(filterKey));
  const operations: GuardOperation[] = [];
  for (const [key, { filter }] of filters) {
    if (!wanted.has(key)) operations.push({ kind: "delete-filter", device, filter });
  }
  return operations;
}
