import type { Id } from "./id.ts";

/** What a certificate says its holder may be. */
export type Role = "manager" | "worker" | "admin";

/**
 * Who asks. It is a fact about a connection, never a header:
 *
 * - `anonymous`: nobody we know;
 * - `node`: a member, with the role that certificate and state both give it. Calls of the local
 *   root on that host come with the node's own connection, so they are the node's;
 * - `admin`: a remote operator;
 * - `recovering`: a member whose key is on record, but whose certificate no longer counts: it may
 *   ask for a new certificate and nothing else.
 */
export type Principal =
  | { readonly kind: "anonymous" }
  | { readonly kind: "node"; readonly id: Id; readonly role: "manager" | "worker" }
  | { readonly kind: "admin"; readonly id: Id }
  | { readonly kind: "recovering"; readonly id: Id };

/** `anonymous`, `worker:<id>`, `manager:<id>`, `admin:<id>` or `recovering:<id>`. */
export function formatPrincipal(principal: Principal): string {
  switch (principal.kind) {
    case "anonymous":
      return "anonymous";
    case "node":
      return `${principal.role}:${principal.id}`;
    default:
      return `${principal.kind}:${principal.id}`;
  }
}
