import type { Token } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import {
  type ClusterContext,
  clusterRoute,
  Found,
  idFromPath,
  notFound,
  originOf,
  sameFields,
  submit,
} from "./context.ts";
import { pageOf } from "./page.ts";
import { ApiProblem, problemOfRejection } from "./problem.ts";
import type { Route } from "./route.ts";
import { tokenCreated, tokenRequest, tokenView } from "./schema/cluster.ts";
import { noQuery, nothing, pageOf as pageSchema, pageQuery } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { TokenView } from "./types.ts";

const DEFAULT_LIFETIME_MS = 24 * 3_600_000;
const IN_PATH = { in: "path", field: "token" } as const;

const createToken = clusterRoute({
  method: "POST",
  path: "/v1/tokens",
  operationId: "createToken",
  summary: "Make a join token; its text is shown in this answer only",
  access: "operator",
  status: 201,
  problems: ["token-already-shown"],
  body: tokenRequest,
  query: noQuery,
  reply: tokenCreated,
  handle: async (call) => {
    const { control } = call.context;
    const { role, lifetimeMs, uses } = call.body;
    const { outcome, text } = await control.createToken({
      ...originOf(call),
      token: {
        id: control.newId(),
        role: role ?? "worker",
        lifetimeMs: lifetimeMs ?? DEFAULT_LIFETIME_MS,
        uses: uses ?? 1,
      },
    });
    if (!outcome.ok) throw problemOfRejection(outcome.rejection, sameFields);
    const token = valueOf("token.create", outcome.value);
    if (text === null) {
      throw new ApiProblem(
        "token-already-shown",
        `The token ${token.id} was made by this request before, and its text was shown then. ` +
          "Delete it and make another",
        { details: { token: token.id } },
      );
    }
    return {
      body: { ...viewOf(token), token: text },
      revision: token.revision,
      location: `/v1/tokens/${token.id}`,
    };
  },
});

const listTokens = clusterRoute({
  method: "GET",
  path: "/v1/tokens",
  operationId: "listTokens",
  summary: "Join tokens, ordered by id, without their texts",
  access: "operator",
  status: 200,
  problems: [],
  body: nothing,
  query: pageQuery,
  reply: pageSchema(tokenView),
  handle: async ({ context, query }) => {
    const { state } = await context.control.read();
    return { body: pageOf(state.tokens.values(), query, viewOf) };
  },
});

const getToken = clusterRoute({
  method: "GET",
  path: "/v1/tokens/{token}",
  operationId: "getToken",
  summary: "One join token, without its text",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: tokenView,
  handle: async ({ context, param }) => {
    const { state } = await context.control.read();
    const token = state.tokens.get(param);
    if (token === undefined) throw notFound("token", param, IN_PATH);
    return { body: viewOf(token), revision: token.revision };
  },
});

const deleteToken = clusterRoute({
  method: "DELETE",
  path: "/v1/tokens/{token}",
  operationId: "deleteToken",
  summary: "Delete a join token: nobody joins with it any more",
  access: "operator",
  status: 204,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch"],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const { id } = found.byId("token", view.state.tokens, call.param);
    await submit(call, {
      kind: "token.delete",
      body: { id, ...found.revisionAsked() },
    }, { found, fieldOf: idFromPath });
    return { body: undefined };
  },
});

/** `/v1/tokens`. */
export const tokenRoutes: readonly Route<ClusterContext>[] = [
  createToken,
  listTokens,
  getToken,
  deleteToken,
];

/** Without the hash of the secret: it is for no client. */
function viewOf(token: Token): TokenView {
  const { id, role, usesLeft, createdAtMs, expiresAtMs, revision } = token;
  return {
    id,
    role,
    usesLeft,
    createdAt: formatTime(createdAtMs),
    expiresAt: formatTime(expiresAtMs),
    revision,
  };
}
