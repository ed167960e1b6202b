import type { Decide } from "./decision.ts";
import { reject, rejectValue, requireRevision } from "./rejected.ts";
import type { Token } from "./types.ts";

/** How long a token that has expired is still known as such, to whoever tries it. */
const EXPIRED_KEPT_MS = 7 * 24 * 60 * 60 * 1000;

export const createToken: Decide<"token.create"> = (tables, body) => {
  if (tables.tokens.has(body.id)) rejectValue("/id", "A token has this id already");
  if (tables.tokenBySecret.has(body.secretHash)) {
    rejectValue("/secretHash", "A token has this secret already");
  }
  return {
    commit: (revision) => {
      for (const old of tables.tokens.values()) {
        if (old.expiresAtMs + EXPIRED_KEPT_MS < tables.timeMs) tables.deleteToken(old);
      }
      const token: Token = {
        id: body.id,
        secretHash: body.secretHash,
        role: body.role,
        createdAtMs: tables.timeMs,
        expiresAtMs: tables.timeMs + body.lifetimeMs,
        usesLeft: body.uses,
        revision,
      };
      tables.putToken(token);
      return { value: token, touched: {} };
    },
  };
};

export const deleteToken: Decide<"token.delete"> = (tables, body) => {
  const token = tables.tokens.get(body.id);
  if (token === undefined) {
    reject("not-found", `There is no token ${body.id}`, { field: "/id" });
  }
  requireRevision(token.revision, body.ifRevision);
  return {
    commit: () => {
      tables.deleteToken(token);
      return { value: { id: token.id }, touched: {} };
    },
  };
};
