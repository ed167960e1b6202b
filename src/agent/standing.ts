import type { Id, Principal } from "../base/mod.ts";
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
    if (node === undefined || isOnRecord !== true) return { kind: "anonymous" };
    // Promoted or demoted: its certificate is good for one thing, to get the one of its new role.
    return node.role === identity.role
      ? { kind: "node", id: node.id, role: node.role }
      : { kind: "recovering", id: node.id };
  }
  const known = presentedSpkiHash === null ? undefined : state.nodeBySpki(presentedSpkiHash);
  return known === undefined ? { kind: "anonymous" } : { kind: "recovering", id: known.id };
}

/**
 * Whether a peer that the state does not vouch for has to be listened to as a manager all the same. Who
 * hears no leader has an old state: the new leader, or its newest key, may not be in it, and without the
 * leader's words it never would be. It is answered nothing but Raft's own messages, which are safe
 * whoever sends them; and who was a manager once has the authority's key, with which it could be anyone.
 *
 * The leader that it hears is listened to as well, when it connects once more: the state may come by a
 * snapshot, which has a connection of its own, and until it has come there is nobody in the state.
 */
export function mayBeNewerManager(
  { identity }: PeerInfo,
  { leaderId }: { readonly leaderId: Id | null },
): boolean {
  return identity?.role === "manager" && (leaderId === null || leaderId === identity.id);
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
