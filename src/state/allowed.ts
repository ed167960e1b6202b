import type { AllowedNodes, Endpoint, Labels, Node } from "./types.ts";
import { type Id, present } from "../base/mod.ts";
import { reject } from "./rejected.ts";
import type { Tables } from "./tables.ts";

/** How many ids a rejection lists. */
const MAX_LISTED = 100;

/** A node may attach when it is listed, or has all labels where labels are asked for. */
export function isAllowed(
  allowed: AllowedNodes,
  node: { readonly id: Id; readonly labels: Labels },
): boolean {
  if (allowed === "any" || allowed.ids.includes(node.id)) return true;
  const wanted = Object.entries(allowed.labels);
  return wanted.length > 0 && wanted.every(([key, value]) => node.labels[key] === value);
}

/** Listed nodes must be members: a list of strangers is a mistake. */
export function requireMembers(tables: Tables, allowed: AllowedNodes): void {
  if (allowed === "any") return;
  for (const id of allowed.ids) {
    if (!tables.nodes.has(id)) {
      reject("not-found", `There is no node ${id}`, { field: "/allowedNodes/ids" });
    }
  }
}

/** Rejects because these endpoints, ordered by id, are in the way; lists the first of them. */
export function rejectInUse(endpoints: readonly Endpoint[], message: string): never {
  const ids = endpoints.map((endpoint) => endpoint.id);
  reject("in-use", message, {
    details: { endpoints: ids.slice(0, MAX_LISTED), endpointCount: ids.length },
  });
}

/** Endpoints of the network on nodes that would no longer be allowed. */
export function endpointsNotAllowed(
  tables: Tables,
  networkId: Id,
  allowed: AllowedNodes,
): Endpoint[] {
  const index = tables.networkIndex(networkId);
  const denied = new Set<Id>();
  for (const nodeId of index.nodes.keys()) {
    const node: Node = present(tables.nodes.get(nodeId), "The node of an endpoint");
    if (!isAllowed(allowed, node)) denied.add(nodeId);
  }
  return index.endpoints.ordered().filter((endpoint) => denied.has(endpoint.nodeId));
}
