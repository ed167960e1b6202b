import type { EndpointView, NetworkView, NodeView } from "../../api/mod.ts";

/** Above {@linkcode endpointRow}. */
export const ENDPOINT_HEADINGS = ["ID", "NETWORK", "NAME", "IP", "MAC", "NODE", "STATE"] as const;

/** Names of networks and nodes by id. */
export type Names = ReadonlyMap<string, string>;

/** Collects names. */
export function namesOf(networks: readonly NetworkView[], nodes: readonly NodeView[]): Names {
  return new Map([
    ...networks.map(({ id, name }) => [id, name] as const),
    ...nodes.map(({ id, hostname }) => [id, hostname] as const),
  ]);
}

/** One line of a table of endpoints. */
export function endpointRow(endpoint: EndpointView, names: Names): readonly string[] {
  const { id, networkId, name, ip, mac, nodeId, attachment } = endpoint;
  return [
    id,
    names.get(networkId) ?? networkId,
    name ?? "-",
    ip,
    mac,
    names.get(nodeId) ?? nodeId,
    attachment,
  ];
}
