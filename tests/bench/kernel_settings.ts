import type { TestHost } from "../lab/hosts.ts";

/** Where a network's devices are. */
export interface Place {
  readonly host: TestHost;
  /** Namespace of the bridge and the VXLAN device. */
  readonly sandbox: string;
  /** Namespace of the workload. */
  readonly workload: string;
}

/** Which device it is, where it stands, and what changes by itself. */
const identity =
  /^(if|link_index|link_netnsid|address|master|group|id$|local|port|operstate|root|bridge_id|group_addr|designated|no$|topology|.*timer)/;

/**
 * What of two networks' devices and sysctls in the kernel is not the same: MTU, offloads' limits,
 * queues and queueing disciplines, settings of bridge, ports and VXLAN device, everything below
 * /proc/sys/net. Lines for people: `vxlan0 mtu: 1450 / 1500`.
 */
export async function differences(left: Place, right: Place): Promise<string[]> {
  const [ours, theirs] = await Promise.all([settings(left), settings(right)]);
  return [...new Set([...ours.keys(), ...theirs.keys()])].sort()
    .filter((key) => ours.get(key) !== theirs.get(key))
    .map((key) => `${key}: ${ours.get(key)} / ${theirs.get(key)}`);
}

async function settings({ host, sandbox, workload }: Place): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [place, netns] of [["sandbox", sandbox], ["workload", workload]] as const) {
    const links: Record<string, unknown>[] = JSON.parse(
      await host.exec("ip", "-n", netns, "-d", "-j", "link", "show"),
    );
    let port = "";
    for (const link of links) {
      const name = String(link.ifname);
      const isPort = place === "sandbox" && !["lo", "bridge0", "vxlan0"].includes(name);
      if (isPort) port = name;
      flatten(found, `${isPort ? "port" : name}`, link);
    }
    const files = await host.output(
      ["ip", "netns", "exec", netns, "sh", "-c", "cd /proc/sys/net && grep -rs . ."],
    );
    for (const line of files.stdout.split("\n")) {
      const end = line.indexOf(":");
      if (end < 0) continue;
      const name = port === "" ? line.slice(2, end) : line.slice(2, end).replace(port, "port");
      found.set(`${place} ${name}`, line.slice(end + 1));
    }
  }
  return found;
}

function flatten(found: Map<string, string>, prefix: string, value: object): void {
  for (const [key, inner] of Object.entries(value)) {
    if (identity.test(key)) continue;
    if (inner !== null && typeof inner === "object" && !Array.isArray(inner)) {
      flatten(found, key.startsWith("linkinfo") ? prefix : `${prefix} ${key}`, inner);
    } else found.set(`${prefix} ${key}`, JSON.stringify(inner));
  }
}
