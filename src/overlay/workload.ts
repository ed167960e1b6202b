import { Connection, dumpAddresses, dumpLinks, getNamespaceId } from "../netlink/mod.ts";
import type { Host, Namespace, Target } from "./host.ts";
import type { TargetState } from "./model.ts";

/**
 * Looks into a workload's namespace. It is closed again at once: an open descriptor would keep the
 * namespace alive, and the end of the workload would not be seen.
 *
 * @param sandbox a connection in the sandbox that may have a port to it; null when there is none
 */
export function lookAtTarget(
  host: Host,
  sandbox: Connection | null,
  target: Target,
): TargetState {
  const found = inTarget(host, target, (connection, namespace): TargetState => {
    const namespaceId = sandbox?.get(getNamespaceId({ fd: namespace.fd })) ?? null;
    const links = connection.dump(dumpLinks());
    const addresses = connection.dump(dumpAddresses({ family: 4 }));
    const workload = {
      namespaceId,
      links: new Map(links.map((link) => [link.index, link])),
      addresses,
    };
    return { kind: "here", workload };
  });
  return found ?? { kind: "absent" };
}

/** Runs `action` with a connection in a workload's namespace; null when there is none. */
export function inTarget<T>(
  host: Host,
  target: Target,
  action: (connection: Connection, namespace: Namespace) => T,
): T | null {
  const namespace = host.openTarget(target);
  if (namespace === null) return null;
  try {
    const connection = new Connection(host.openTransport(namespace));
    try {
      return action(connection, namespace);
    } finally {
      connection.close();
    }
  } finally {
    namespace.close();
  }
}
