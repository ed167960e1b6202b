import type { Principal } from "../base/mod.ts";
import type { ClusterState } from "../state/mod.ts";
import type { PeerInfo, Standing } from "../tls/mod.ts";

/**
 * Who a connection is, by its certificate AND the state: either alone is not enough. A certificate
 * counts while the state knows the node, gives it the same role, and has this very key on record.
 */
export function principalOf(state: ClusterState, peer: PeerInfo): Principal {
  const { identity, presentedSpkiHash } = peer;
  if (identity !== null) {
    if (identity.role === "admin") return { kind: "admin", id: identity.id };
    const node = state.nodes.get(identity.id);
    const isOnRecord = node?.certificates.some(({ spkiHash }) => spkiHash === identity.spkiHash);
    if (node === undefined || node.role !== identity.role || isOnRecord !== true) {
      return { kind: "anonymous" };
    }
    return { kind: "node", id: node.id, role: node.role };
  }
  const known = presentedSpkiHash === null ? undefined : state.nodeBySpki(presentedSpkiHash);
  return known === undefined ? { kind: "anonymous" } : { kind: "recovering", id: known.id };
}

/** What the listener gives such a connection. */
export function standingOf(principal: Principal, peer: PeerInfo): Standing {
  switch (principal.kind) {
    case "node":
    case "admin":
      return "member";
    case "recovering":
      return "recovering";
    case "anonymous":
      return peer.presentedSpkiHash === null ? "stranger" : "refused";
  }
}
