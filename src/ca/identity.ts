import { type Id, isId, type Role } from "../base/mod.ts";

/** Who a certificate says its holder is. */
export interface Member {
  /** Of which cluster. */
  readonly clusterId: Id;
  /** What it may be. */
  readonly role: Role;
  /** Node or administrator. */
  readonly id: Id;
}

const URI = /^agent:\/\/([a-z2-7]{26})\/(manager|worker|admin)\/([a-z2-7]{26})$/;

/** `agent://<cluster>/<role>/<id>`: the one name of a certificate that is identity. */
export function formatMemberUri(member: Member): string {
  return `agent://${member.clusterId}/${member.role}/${member.id}`;
}

/** The member that a URI names, or null when it is not exactly of the form written here. */
export function parseMemberUri(uri: string): Member | null {
  const [, clusterId, role, id] = URI.exec(uri) ?? [];
  if (clusterId === undefined || id === undefined || !isId(clusterId) || !isId(id)) return null;
  if (role !== "manager" && role !== "worker" && role !== "admin") return null;
  return { clusterId, role, id };
}

/** The DNS domain under which the root may name servers: its name constraint. */
export function clusterDomain(clusterId: Id): string {
  return `${clusterId}.agent.internal`;
}

/** The server name of every manager, whatever its address: `manager.<cluster>.agent.internal`. */
export function managerServerName(clusterId: Id): string {
  return `manager.${clusterDomain(clusterId)}`;
}
