import type { Workload } from "../e2e/cluster.ts";

/** What kernels have counted of packets that they did not pass on, by where that was. */
export type Drops = ReadonlyMap<string, number>;

/**
 * Counts what was dropped on the way between workloads: by IPsec, by a device (those of the network's sandbox
 * included), by UDP, and in the processor's own queue of received packets, which all hosts share.
 */
export async function countDrops(workloads: readonly Workload[], network: string): Promise<Drops> {
  const drops = new Map<string, number>();
  const take = (where: string, count: number) => {
    drops.set(where, count + (drops.get(where) ?? 0));
  };
  for (const line of Deno.readTextFileSync("/proc/net/softnet_stat").trim().split("\n")) {
    const [, dropped = "0"] = line.split(" ");
    take("receive queue of a processor", Number(`0x${dropped}`));
  }
  for (const { host, name } of workloads) {
    const read = `cat /proc/net/xfrm_stat; ip netns exec ${name} cat /proc/net/snmp /proc/net/dev
      ip netns exec agent-${network} cat /proc/net/dev; cat /proc/net/dev`;
    for (const line of (await host.sh(read)).split("\n")) {
      const [first = "", ...fields] = line.trim().split(/\s+/);
      if (first.startsWith("Xfrm")) take(`${host.name} ${first}`, Number(fields[0]));
      else if (first === "Udp:" && /^\d/.test(fields[0] ?? "")) {
        const [, noPorts, inErrors, , receiveBuffer, sendBuffer] = fields;
        take(`${host.name} UDP without a port`, Number(noPorts));
        take(`${host.name} UDP in errors`, Number(inErrors));
        take(`${host.name} UDP receive buffer full`, Number(receiveBuffer));
        take(`${host.name} UDP send buffer full`, Number(sendBuffer));
      } else if (first.endsWith(":") && fields.length === 16) {
        // Of a device: bytes, packets, errors and drops in, and after eight of these, out.
        const sum = [2, 3, 10, 11].reduce((total, place) => total + Number(fields[place]), 0);
        take(`${host.name} ${first.slice(0, -1)}`, sum);
      }
    }
  }
  return drops;
}

/** What has come to it meanwhile, one line for each place. */
export function addedDrops(before: Drops, after: Drops): readonly string[] {
  return [...after].flatMap(([where, count]) => {
    const added = count - (before.get(where) ?? 0);
    return added === 0 ? [] : [`${where}: ${added}`];
  });
}
