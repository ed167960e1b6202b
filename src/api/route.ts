import * as z from "zod";
import type { AccessRule } from "./access.ts";
import { formatEtag, parseIfMatch } from "./conditional.ts";
import { parseRequestMark, type RequestMark } from "./idempotency.ts";
import { checkBody, checkQuery, MAX_BODY_BYTES, readJson } from "./input.ts";
import type { ProblemCode } from "./problem.ts";

/** Methods of the routes; HEAD and OPTIONS are answered for all of them. */
export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** One request that has passed every check that needs no state. */
export interface Call<Context, Body, Query> {
  readonly context: Context;
  /** The path's one parameter; empty when it has none. */
  readonly param: string;
  readonly body: Body;
  readonly query: Query;
  readonly request: Request;
  readonly mark: RequestMark;
  /** What `If-Match` demands. */
  readonly ifRevision: number | null;
}

/** What a handler answers: a body that the reply's schema describes, or a response of its own. */
export interface Answer<Reply> {
  readonly body: Reply;
  /** Of the object: becomes its `ETag`. */
  readonly revision?: number;
  /** Path of the object that was made. */
  readonly location?: string;
}

/** What a route is, apart from what it does. All of it is in the OpenAPI document. */
export interface RouteFacts {
  readonly method: Method;
  /** `/v1/networks/{network}`: at most one parameter. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly access: AccessRule | "local-root";
  readonly status: 200 | 201 | 204;
  /** Whether `If-Match` is heeded. */
  readonly conditional?: "if-match";
  /**
   * How a second try of a write is known to be one: by how the request is named, unless its
   * content tells by itself.
   */
  readonly repeats?: "by-content";
  /** Whether a log line says who did it; by default for all but `GET`. */
  readonly audit?: "never";
  /** Answered as a stream of this type, so it cannot be asked with HEAD. */
  readonly streamType?: string;
  readonly bodyLimitBytes?: number;
  /** The refusals that are this route's own. */
  readonly problems: readonly ProblemCode[];
}

/** A route's description with its types. */
export interface RouteSpec<Context, Body, Query, Reply> extends RouteFacts {
  readonly body: z.ZodType<Body>;
  readonly query: z.ZodType<Query>;
  readonly reply: z.ZodType<Reply>;
  handle(
    call: Call<Context, Body, Query>,
  ): Answer<Reply> | Response | Promise<Answer<Reply> | Response>;
}

/** A route whose types are shut in: what the apps, the document and the tests work with. */
export interface Route<Context> extends RouteFacts {
  readonly body: z.ZodType;
  readonly query: z.ZodType;
  readonly reply: z.ZodType;
  /** Reads, checks, handles and answers. @throws {PortError} */
  run(input: RouteInput<Context>): Promise<Response>;
}

/** A request as the router gives it. */
export interface RouteInput<Context> {
  readonly context: Context;
  readonly request: Request;
  readonly url: URL;
  readonly param: string;
}

/** Makes a route of its description. */
export function defineRoute<Context, Body, Query, Reply>(
  spec: RouteSpec<Context, Body, Query, Reply>,
): Route<Context> {
  return {
    ...spec,
    run: async ({ context, request, url, param }) => {
      const ifRevision = spec.conditional === undefined ? null : parseIfMatch(request.headers);
      const query = checkQuery(spec.query, url.searchParams);
      // A route that wants no body is not asked with one, and reads none.
      const json = spec.body instanceof z.ZodUndefined
        ? null
        : await readJson(request, spec.bodyLimitBytes ?? MAX_BODY_BYTES);
      const body = checkBody(spec.body, json ?? undefined);
      const mark = parseRequestMark(request, url.pathname, json);
      const answer = await spec.handle({ context, param, body, query, request, mark, ifRevision });
      return answer instanceof Response ? answer : answerResponse(spec.status, answer);
    },
  };
}

function answerResponse<Reply>(status: number, answer: Answer<Reply>): Response {
  const headers = new Headers({ "cache-control": "no-store" });
  if (answer.revision !== undefined) headers.set("etag", formatEtag(answer.revision));
  if (answer.location !== undefined) headers.set("location", answer.location);
  if (status === 204) return new Response(null, { status, headers });
  headers.set("content-type", "application/json");
  return new Response(`${JSON.stringify(answer.body)}\n`, { status, headers });
}
