import { parseXfrmStat } from "../../src/netlink/mod.ts";
import { readProcNet } from "./sockets.ts";

/** What IPsec has refused in a namespace, by the kernel's names. */
export function xfrmCounters(netns: string): ReadonlyMap<string, number> {
  return parseXfrmStat(readProcNet(netns, "xfrm_stat"));
}

/** Counters that have grown, and by how much. */
export async function xfrmChanges(
  netns: string,
  during: () => unknown,
): Promise<Record<string, number>> {
  const before = xfrmCounters(netns);
  await during();
  const changes: Record<string, number> = {};
  for (const [name, value] of xfrmCounters(netns)) {
    const more = value - (before.get(name) ?? 0);
    if (more !== 0) changes[name] = more;
  }
  return changes;
}
