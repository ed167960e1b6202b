import type { Id, Principal } from "../base/mod.ts";
import { assert } from "../base/mod.ts";
import { type ClusterContext, clusterRoute } from "./context.ts";
import type { NodePrincipal } from "./ports.ts";
import type { Route } from "./route.ts";
import { checkReport } from "./schema/check.ts";
import { certifyReply, certifyRequest, nodeReport, reportReply } from "./schema/node.ts";
import { noQuery, nothing } from "./schema/parts.ts";

/** A report names every endpoint of its host: 30,000 of them fit. */
const MAX_REPORT_BYTES = 1024 * 1024;
/** Frames, see the protocol of the node stream. */
const STREAM_TYPE = "application/vnd.agent.frames";

const openStream = clusterRoute({
  method: "GET",
  path: "/v1/self/projection",
  operationId: "openProjectionStream",
  summary: "The stream of what the calling node should have",
  access: "node",
  status: 200,
  streamType: STREAM_TYPE,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async ({ context, request }) => {
    const stream = await context.control.openStream(nodeOf(context.principal).id, request.signal);
    return new Response(stream, {
      headers: { "content-type": STREAM_TYPE, "cache-control": "no-store" },
    });
  },
});

const report = clusterRoute({
  method: "POST",
  path: "/v1/self/report",
  operationId: "report",
  repeats: "by-content",
  summary: "What the calling node has and how it is",
  access: "node",
  status: 200,
  // Every node reports every few seconds.
  audit: "never",
  bodyLimitBytes: MAX_REPORT_BYTES,
  problems: [],
  body: nodeReport,
  query: noQuery,
  reply: reportReply,
  handle: async ({ context, body }) => ({
    body: await context.control.report(nodeOf(context.principal).id, body),
  }),
});

const check = clusterRoute({
  method: "POST",
  path: "/v1/self/check",
  operationId: "reportCheck",
  repeats: "by-content",
  summary: "What the calling node has found in a check that the leader ordered",
  access: "node",
  status: 204,
  audit: "never",
  bodyLimitBytes: MAX_REPORT_BYTES,
  problems: [],
  body: checkReport,
  query: noQuery,
  reply: nothing,
  handle: async ({ context, body }) => {
    await context.control.checked(nodeOf(context.principal).id, body);
    return { body: undefined };
  },
});

const certify = clusterRoute({
  method: "POST",
  path: "/v1/self/certificate",
  operationId: "certify",
  repeats: "by-content",
  summary: "A new certificate for the calling node, for a new key",
  access: "renewal",
  status: 200,
  problems: ["not-found", "csr-rejected", "recovering-too-often"],
  body: certifyRequest,
  query: noQuery,
  reply: certifyReply,
  handle: async ({ context, body }) => ({
    body: await context.control.certify(nodeOf(context.principal), body),
  }),
});

/** `/v1/self`: what a node asks with its own certificate. */
export const selfRoutes: readonly Route<ClusterContext>[] = [openStream, report, check, certify];

/** The routes' access rules let in nobody else. */
function nodeOf(principal: Principal): NodePrincipal & { readonly id: Id } {
  assert(
    principal.kind === "node" || principal.kind === "recovering",
    "a route under /v1/self is for nodes",
  );
  return principal;
}
