import { type Connection, dumpLinks } from "../netlink/mod.ts";
import type { Host } from "./host.ts";

/**
 * Says who holds a UDP port that a VXLAN device could not bind.
 *
 * @param connection one in the host's namespace
 */
export function describePortHolder(host: Host, connection: Connection, port: number): string {
  const holders: string[] = [];
  for (const name of ["udp", "udp6"]) {
    for (const inode of socketInodes(host.readHostNetFile(name) ?? "", port)) {
      // The kernel's own sockets have no inode.
      if (inode === 0) holders.push(...vxlanDevices(connection, port));
      else {
        for (const { pid, command } of host.processesWithSocket(inode)) {
          holders.push(`process ${pid} (${command})`);
        }
      }
    }
  }
  const who = holders.length > 0 ? [...new Set(holders)].join(", ") : "someone unknown";
  return `UDP port ${port} is held by ${who}: stop that, or choose another port for the cluster`;
}

/** Says who has a VNI already on a UDP port, as far as it can be seen from the host's namespace. */
export function describeVniHolder(connection: Connection, vni: number, port: number): string {
  const names = connection.dump(dumpLinks({ kind: "vxlan" })).flatMap(({ name, info }) =>
    info?.kind === "vxlan" && info.vni === vni && info.port === port ? [name] : []
  );
  const who = names.length > 0
    ? `the device ${names.join(", ")} of this host`
    : "a device in another namespace (ip -all netns exec ip -d link show type vxlan)";
  return `VNI ${vni} on UDP port ${port} is taken by ${who}: delete that`;
}

function vxlanDevices(connection: Connection, port: number): string[] {
  const names = connection.dump(dumpLinks({ kind: "vxlan" })).flatMap(({ name, info }) =>
    info?.kind === "vxlan" && info.port === port ? [`the VXLAN device ${name}`] : []
  );
  return names.length > 0 ? names : ["a tunnel device of the kernel's"];
}

/**
 * Inodes of the sockets that are bound to a port, of proc_net(5): after a heading, lines of
 * `slot: address:port remote:port state queues timer retransmits uid timeout inode …`, the
 * addresses in hexadecimal.
 */
export function socketInodes(text: string, port: number): number[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes: number[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) === true) inodes.push(Number(fields[9]));
  }
  return inodes;
}
