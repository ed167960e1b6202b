import type { Described } from "./document.ts";
import { defineRoute, type Route } from "./route.ts";
import { jsonObject, noQuery, nothing } from "./schema/parts.ts";

/**
 * `GET /openapi.json` for the routes that `routes` gives when it is asked. What writes the document
 * is loaded then: most agents are never asked for it.
 */
export function documentRoute<Context>(
  options: {
    readonly access: Route<Context>["access"];
    readonly title: string;
    readonly version: string;
    readonly routes: () => Promise<readonly Described[]>;
  },
): Route<Context> {
  const { access, title, version, routes } = options;
  return defineRoute({
    method: "GET",
    path: "/openapi.json",
    operationId: "getOpenApiDocument",
    summary: "This document",
    access,
    status: 200,
    problems: [],
    body: nothing,
    query: noQuery,
    reply: jsonObject,
    handle: async () => {
      const { openApiDocument } = await import("./document.ts");
      return { body: openApiDocument(await routes(), { title, version }) };
    },
  });
}
