// A client for the tests that holds every answer to what its route says.
import assert from "node:assert/strict";
import * as z from "zod";
import type { Json, LogFields, Logger, Principal } from "../base/mod.ts";
import { type ClusterApp, clusterAppRoutes, createClusterApp } from "./app.ts";
import { type Described, openApiDocument } from "./document.ts";
import { PROBLEMS } from "./problem.ts";
import { TestControl } from "./testing_control.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export function testLogger(lines: LogLine[], base: LogFields = {}): Logger {
  const line = (level: string) => (message: string, fields: LogFields = {}) =>
    void lines.push({ level, message, fields: { ...base, ...fields } });
  return {
    error: line("error"),
    warn: line("warn"),
    info: line("info"),
    debug: line("debug"),
    with: (fields) => testLogger(lines, { ...base, ...fields }),
  };
}

export interface Asked {
  readonly body?: Json | undefined;
  readonly rawBody?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly as?: Principal;
}

/** An answer whose body was read and found to be as its route says. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // Tests read members of many types and compare each.
  // deno-lint-ignore no-explicit-any
  readonly json: any;
  readonly text: string;
}

const problem = z.strictObject({
  type: z.string().startsWith("urn:agent:problem:"),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  code: z.enum(Object.keys(PROBLEMS)),
  field: z.string().optional(),
  in: z.enum(["path", "query", "header"]).optional(),
  details: z.record(z.string(), z.json()).optional(),
});

export const CLUSTER_ROUTES = clusterAppRoutes("0.0.0");

/** The cluster app over a {@linkcode TestControl}; calls come from its manager by default. */
export class TestClient {
  readonly control = new TestControl();
  readonly lines: LogLine[] = [];
  readonly app: ClusterApp;

  constructor(options: { readonly maxInFlight?: number } = {}) {
    const logger = testLogger(this.lines);
    this.app = createClusterApp(this.control, { logger, agentVersion: "0.0.0", ...options });
  }

  get manager(): Principal {
    return { kind: "node", id: this.control.managerId, role: "manager" };
  }

  get worker(): Principal {
    return { kind: "node", id: this.control.workerId, role: "worker" };
  }

  async ask(method: string, path: string, asked: Asked = {}): Promise<Answered> {
    const request = requestOf(method, path, asked);
    const peer = { principal: asked.as ?? this.manager, address: "192.0.2.99" };
    return await checkAnswer(await this.app.fetch(request, peer), CLUSTER_ROUTES, method, path);
  }
}

export function requestOf(method: string, path: string, asked: Asked): Request {
  const headers = new Headers(asked.headers);
  if (asked.body !== undefined && !headers.has("content-type")) {
    headers.set("content-type", "application/json");
  }
  const body = asked.rawBody ?? (asked.body === undefined ? null : JSON.stringify(asked.body));
  return new Request(`https://manager${path}`, { method, headers, body });
}

/** Reads an answer and holds it to its route's schema, or to that of problems. */
export async function checkAnswer(
  response: Response,
  routes: readonly Described[],
  method: string,
  path: string,
): Promise<Answered> {
  const { status, headers } = response;
  const route = routes.find((one) => one.method === method && matches(one.path, path));
  const streams = route?.streamType !== undefined && status === 200;
  const text = streams ? "" : await response.text();
  if (streams) await response.body?.cancel();
  const json: unknown = text === "" ? undefined : JSON.parse(text);
  if (method === "HEAD") {
    assert.equal(text, "");
  } else if (status >= 400) {
    assert.equal(headers.get("content-type"), "application/problem+json");
    const { code } = problem.parse(json);
    assert.equal(PROBLEMS[code as keyof typeof PROBLEMS].status, status);
    if (route !== undefined) assertDocumented(route, status, code);
  } else if (route !== undefined && !streams) {
    assert.equal(status, route.status, text);
    route.reply.parse(json);
  }
  return { status, headers, json, text };
}

function matches(pattern: string, path: string): boolean {
  const source = pattern.replaceAll(".", "\\.").replace(/\{\w+\}/, "[^/?]+");
  return new RegExp(`^${source}(\\?.*)?$`).test(path);
}

/** Every refusal that a test meets is one that the document tells of. */
function assertDocumented(route: Described, status: number, code: string): void {
  const info = { title: "", version: "" };
  const document = JSON.parse(JSON.stringify(openApiDocument([route], info)));
  const described = document.paths[route.path][route.method.toLowerCase()].responses[status];
  assert.ok(
    described?.description.split(", ").includes(code),
    `${route.method} ${route.path} answered ${status} ${code}, and the document does not say so`,
  );
}
