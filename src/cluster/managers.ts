import type { ClusterState, ManagerAddress } from "../state/mod.ts";

/** Where the managers of the cluster listen. */
export function managerAddresses(state: ClusterState): ManagerAddress[] {
  return [...state.nodes.values()]
    .filter((node) => node.role === "manager")
    .map((node) => ({ id: node.id, address: node.facts.controlAddress }));
}
