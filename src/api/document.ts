import * as z from "zod";
import type { JsonObject } from "../base/mod.ts";
import { ACCESS } from "./access.ts";
import { type ProblemCode, PROBLEMS } from "./problem.ts";
import { MAX_BODY_BYTES } from "./input.ts";
import type { Route, RouteFacts } from "./route.ts";
import { noQuery, nothing, schemaNames } from "./schema/parts.ts";

/** What every route may answer, beside its own problems. */
const COMMON_PROBLEMS: readonly ProblemCode[] = ["busy", "not-leader", "unavailable", "internal"];
const BODY_PROBLEMS: readonly ProblemCode[] = [
  "malformed-json",
  "unsupported-media-type",
  "body-too-large",
  "invalid-value",
];
const WRITE_PROBLEMS: readonly ProblemCode[] = [
  "request-expired",
  "request-reused",
  "too-many-requests",
];

/** What a route's schemas are, for the document. */
export type Described = RouteFacts & Pick<Route<never>, "body" | "query" | "reply">;

/**
 * The OpenAPI 3.1 document of some routes. Its schemas are JSON Schema 2020-12, as zod writes them
 * of the very schemas that bodies are held to. It is made when somebody asks, and not kept.
 */
export function openApiDocument(
  routes: readonly Described[],
  info: { readonly title: string; readonly version: string },
): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  const schemas: Schemas = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route, schemas);
  }
  return {
    openapi: "3.1.0",
    info,
    paths,
    components: { schemas: { Problem: problemSchema(), ...schemas } },
  };
}

/** Schemas that have a name, by it. */
type Schemas = Record<string, JsonObject>;

function operationOf(route: Described, schemas: Schemas): JsonObject {
  const hasBody = route.body !== nothing;
  return {
    operationId: route.operationId,
    summary: route.summary,
    description: route.access === "local-root"
      ? "On the host's own socket, for its root."
      : `For ${ACCESS[route.access].who}.`,
    parameters: parametersOf(route),
    ...(hasBody
      ? {
        requestBody: {
          required: true,
          description: `At most ${route.bodyLimitBytes ?? MAX_BODY_BYTES} bytes.`,
          content: {
            [route.method === "PATCH" ? "application/merge-patch+json" : "application/json"]: {
              schema: schemaOf(route.body, "input", schemas),
            },
          },
        },
      }
      : {}),
    responses: responsesOf(route, schemas),
  };
}

function parametersOf(route: Described): JsonObject[] {
  const parameters: JsonObject[] = [];
  const [, parameter] = /\{(\w+)\}/.exec(route.path) ?? [];
  if (parameter !== undefined) {
    parameters.push({ name: parameter, in: "path", required: true, schema: { type: "string" } });
  }
  const { properties } = z.toJSONSchema(route.query, { io: "output" });
  for (const [name, schema] of Object.entries(properties ?? {})) {
    parameters.push({ name, in: "query", schema: plain(schema) });
  }
  if (route.conditional !== undefined) {
    parameters.push({
      name: "If-Match",
      in: "header",
      description: 'Revision that the object must have, as `ETag` gives it: `"42"`.',
      schema: { type: "string" },
    });
  }
  if (hasNamedRequests(route)) {
    parameters.push({
      name: "Idempotency-Key",
      in: "header",
      description: "The same key with the same request a second time, within a day: the same " +
        "answer, and nothing is done again.",
      schema: { type: "string", pattern: "^[!-~]{1,64}$" },
    });
  }
  return parameters;
}

/** Whether `Idempotency-Key` is heeded. */
function hasNamedRequests({ method, repeats }: Described): boolean {
  return method !== "GET" && repeats === undefined;
}

function responsesOf(route: Described, schemas: Schemas): JsonObject {
  const responses: Record<string, JsonObject> = {};
  responses[route.status] = {
    description: route.summary,
    ...(route.status === 204 ? {} : {
      content: route.streamType === undefined
        ? { "application/json": { schema: schemaOf(route.reply, "output", schemas) } }
        : { [route.streamType]: {} },
    }),
  };
  const codes = new Set([
    ...route.problems,
    ...COMMON_PROBLEMS,
    ...(route.access === "local-root" ? [] : ["not-permitted"] as const),
    ...(route.access === "local-root" || route.access === "anyone"
      ? []
      : ["not-authenticated"] as const),
    ...(route.body === nothing ? [] : BODY_PROBLEMS),
    ...(hasNamedRequests(route) ? WRITE_PROBLEMS : []),
    ...(route.method === "GET" && route.query === noQuery ? [] : ["invalid-parameter"] as const),
  ]);
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  for (const [status, ofStatus] of byStatus) {
    responses[status] = {
      description: ofStatus.join(", "),
      content: {
        "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
      },
    };
  }
  return responses;
}

function problemSchema(): JsonObject {
  return {
    type: "object",
    description: "RFC 9457 problem details.",
    required: ["type", "title", "status", "detail", "code"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string" },
      code: { type: "string", enum: Object.keys(PROBLEMS) },
      field: { type: "string", description: "JSON pointer, or the parameter's name." },
      in: { type: "string", enum: ["path", "query", "header"] },
      details: { type: "object" },
    },
  };
}

/** The schema of a body; the named ones in it go to `schemas`. */
function schemaOf(schema: z.ZodType, io: "input" | "output", schemas: Schemas): JsonObject {
  const { $schema: _dialect, $defs, ...rest } = z.toJSONSchema(schema, {
    io,
    metadata: schemaNames,
  });
  for (const [name, one] of Object.entries($defs ?? {})) schemas[name] = plain(one);
  return plain(rest);
}

/** zod's own type of a schema says less than that it is JSON, and refers to where it puts names. */
function plain(schema: unknown): JsonObject {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'));
}
