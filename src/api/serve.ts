import { type Context as HonoContext, Hono } from "hono";
import type { Logger } from "../base/mod.ts";
import { InFlightLimit } from "./limit.ts";
import {
  ApiProblem,
  isPortError,
  type PortError,
  type ProblemCode,
  problemResponse,
  PROBLEMS,
} from "./problem.ts";
import type { Route, RouteFacts, RouteInput } from "./route.ts";

/** What both apps need to know. */
export interface AppOptions {
  /** Gets a line for each write, each denial and each defect. */
  readonly logger: Logger;
  /** Of this agent, for the OpenAPI document. */
  readonly agentVersion: string;
  /** How many requests are answered at once, the rest get 429; 256 by default. */
  readonly maxInFlight?: number;
}

/** What an app has counted since it was made. */
export interface AppCounters {
  /** Requests being answered now; open streams and leases are not among them. */
  readonly inFlight: number;
  /** Requests that were answered 429 because there were too many. */
  readonly busy: number;
  /** Requests that were answered 401 or 403. */
  readonly denied: number;
  /** Requests that met a defect of the agent. */
  readonly failed: number;
}

/** What makes one app differ from the other. */
export interface Door<Context> {
  readonly routes: readonly Route<Context>[];
  /** Whether the caller may call the route. @throws {PortError} when not */
  admit(route: Route<Context>, context: Context): void | Promise<void>;
  /** Who calls, for log lines. */
  callerOf(context: Context): { readonly principal: string; readonly peer: string };
  /** Answers for a path that no route has. */
  otherwise(request: Request, context: Context): Promise<Response>;
}

const DEFAULT_MAX_IN_FLIGHT = 256;
const MAX_LOGGED_TARGET = 64;

/** The Hono app of a {@linkcode Door}, its limit, its log lines and its counters. */
export class Served<Context extends object> {
  readonly #door: Door<Context>;
  readonly #options: AppOptions;
  readonly #limit: InFlightLimit;
  readonly #hono: Hono<{ Bindings: { context: Context } }>;
  #denied = 0;
  #failed = 0;

  constructor(door: Door<Context>, options: AppOptions) {
    this.#door = door;
    this.#options = options;
    this.#limit = new InFlightLimit(options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT);
    this.#hono = this.#assemble();
  }

  /** Counters as they are now. */
  get counters(): AppCounters {
    return {
      inFlight: this.#limit.count,
      busy: this.#limit.refused,
      denied: this.#denied,
      failed: this.#failed,
    };
  }

  /** Answers a request; never rejects. */
  async fetch(request: Request, context: Context): Promise<Response> {
    if (!this.#limit.enter()) {
      const detail = "More requests are in flight than this agent takes: try again in a second";
      return problemResponse(new ApiProblem("busy", detail));
    }
    try {
      return await this.#hono.fetch(request, { context });
    } finally {
      this.#limit.leave();
    }
  }

  #assemble(): Hono<{ Bindings: { context: Context } }> {
    const hono = new Hono<{ Bindings: { context: Context } }>();
    const byPath = Map.groupBy(this.#door.routes, (route) => route.path);
    for (const [path, routes] of byPath) {
      const pattern = path.replace(/\{(\w+)\}/, ":$1");
      const [, parameter] = /\{(\w+)\}/.exec(path) ?? [];
      for (const route of routes) {
        hono.on(route.method, pattern, (c) =>
          this.#serve(route, {
            context: c.env.context,
            request: c.req.raw,
            url: new URL(c.req.url),
            param: parameter === undefined ? "" : c.req.param(parameter) ?? "",
          }));
      }
      hono.all(pattern, (c) => otherMethod(c.req.raw, path, routes));
    }
    hono.notFound(async (c: HonoContext<{ Bindings: { context: Context } }>) => {
      try {
        return await this.#door.otherwise(c.req.raw, c.env.context);
      } catch (error) {
        return problemResponse(this.#problemOf(error, "A request that no route here has"));
      }
    });
    return hono;
  }

  async #serve(route: Route<Context>, input: RouteInput<Context>): Promise<Response> {
    try {
      if (input.request.method === "HEAD" && route.streamType !== undefined) {
        throw methodNotAllowed(route.path, [route], "HEAD would open a stream");
      }
      await this.#door.admit(route, input.context);
      const response = await route.run(input);
      this.#log(route, input, { status: response.status });
      return response;
    } catch (error) {
      const problem = this.#problemOf(error, operationOf(route));
      this.#log(route, input, { status: PROBLEMS[problem.code].status, code: problem.code });
      return problemResponse(problem);
    }
  }

  #log(
    route: Route<Context>,
    input: RouteInput<Context>,
    answer: { readonly status: number; readonly code?: ProblemCode },
  ): void {
    const fields = {
      ...this.#door.callerOf(input.context),
      route: operationOf(route),
      target: input.param.slice(0, MAX_LOGGED_TARGET),
      ...answer,
    };
    if (answer.status === 401 || answer.status === 403) {
      this.#denied++;
      this.#options.logger.warn("A request was refused", fields);
    } else if (route.method !== "GET" && route.audit !== "never") {
      this.#options.logger.info("A request for a change was answered", fields);
    }
  }

  #problemOf(error: unknown, operation: string): PortError {
    if (isPortError(error)) return error;
    this.#failed++;
    this.#options.logger.error("A request met a defect of the agent", {
      operation,
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
    return new ApiProblem(
      "internal",
      `${operation} met a defect of the agent. What was asked may have been done: look. The ` +
        "agent's log says more",
    );
  }
}

function operationOf(route: RouteFacts): string {
  return `${route.method} ${route.path}`;
}

/** Answers OPTIONS, and refuses the methods that no route of this path has. */
function otherMethod(request: Request, path: string, routes: readonly RouteFacts[]): Response {
  if (request.method === "OPTIONS") {
    return new Response(null, { status: 204, headers: { allow: allowedOf(routes) } });
  }
  return problemResponse(methodNotAllowed(path, routes, "No other method is known there"));
}

function methodNotAllowed(
  path: string,
  routes: readonly RouteFacts[],
  why: string,
): ApiProblem {
  const allow = allowedOf(routes);
  return new ApiProblem("method-not-allowed", `${path} takes ${allow}. ${why}`, {
    headers: { allow },
  });
}

function allowedOf(routes: readonly RouteFacts[]): string {
  const methods: string[] = routes.map(({ method }) => method);
  if (routes.some(({ method, streamType }) => method === "GET" && streamType === undefined)) {
    methods.push("HEAD");
  }
  return [...methods, "OPTIONS"].join(", ");
}
