import { formatPrincipal, type Id, type Principal } from "../base/mod.ts";
import { ApiProblem } from "./problem.ts";

/** Kinds of principal, as far as rights go. */
export type Caller = "anonymous" | "worker" | "manager" | "admin" | "recovering";

/**
 * Who may call what: every route has one of these rules. A rule with `own` lets a worker do to its
 * own node and endpoints what it may not do to others'; the handler knows whose they are and asks
 * {@linkcode assertOwn}. A worker that someone has taken over must not become the cluster.
 */
export const ACCESS = {
  anyone: { callers: ["anonymous", "worker", "manager", "admin"], who: "everyone" },
  member: { callers: ["worker", "manager", "admin"], who: "members and administrators" },
  operator: { callers: ["manager", "admin"], who: "managers and administrators" },
  /** What nobody may have but those who have it anyhow: the authority's key is in it. */
  manager: { callers: ["manager"], who: "root on a manager" },
  operatorOrOwn: {
    callers: ["worker", "manager", "admin"],
    who: "managers, administrators, and workers for themselves",
  },
  node: { callers: ["worker", "manager"], who: "nodes, for themselves" },
  renewal: {
    callers: ["worker", "manager", "recovering"],
    who: "nodes, for themselves, also when their certificate does not count any more",
  },
} as const satisfies Readonly<
  Record<string, { readonly callers: readonly Caller[]; readonly who: string }>
>;

/** Name of a rule about who may call a route. */
export type AccessRule = keyof typeof ACCESS;

/** What a principal is, as far as rights go. */
export function callerOf(principal: Principal): Caller {
  return principal.kind === "node" ? principal.role : principal.kind;
}

/**
 * Holds a rule.
 *
 * @throws {ApiProblem} 401 for one we do not know, 403 for one we do
 */
export function assertAccess(rule: AccessRule, principal: Principal, operation: string): void {
  const callers: readonly Caller[] = ACCESS[rule].callers;
  if (callers.includes(callerOf(principal))) return;
  const detail = `${formatPrincipal(principal)} may not ${operation}: it is for ${
    ACCESS[rule].who
  }`;
  if (principal.kind !== "anonymous") throw new ApiProblem("not-permitted", detail);
  throw new ApiProblem("not-authenticated", `${detail}. Show a certificate of this cluster`, {
    // RFC 9110 section 11.6.1 asks for a challenge; there is no registered scheme for mutual TLS.
    headers: { "www-authenticate": 'Certificate realm="agent"' },
  });
}

/**
 * Holds the second half of a rule with `own`: a worker acts on its own node alone.
 *
 * @throws {ApiProblem} 403
 */
export function assertOwn(principal: Principal, nodeId: Id, operation: string): void {
  if (callerOf(principal) !== "worker") return;
  if (principal.kind === "node" && principal.id === nodeId) return;
  throw new ApiProblem(
    "not-permitted",
    `${
      formatPrincipal(principal)
    } may not ${operation} of node ${nodeId}: a worker acts on itself ` +
      "only. Ask a manager",
  );
}
