import { encodeUtf8 } from "../base/mod.ts";
import { type HostContext, hostRoute } from "./host_context.ts";
import type { Lease } from "./ports.ts";
import type { Route } from "./route.ts";
import { attachment, attachmentRequest, attachments } from "./schema/host.ts";
import { noQuery, nothing } from "./schema/parts.ts";
import type { Attachment } from "./host_types.ts";

const createAttachment = hostRoute({
  method: "POST",
  path: "/v1/attachments",
  operationId: "createAttachment",
  summary: "Attach a workload of this host to networks, all or none; with lease: true the open " +
    "answer is the lease",
  access: "local-root",
  status: 201,
  problems: [
    "not-found",
    "node-not-allowed",
    "name-taken",
    "address-taken",
    "address-outside-subnet",
    "subnet-exhausted",
    "netns-not-found",
    "process-not-found",
    "already-attached",
    "interface-taken",
    "kernel-refused",
  ],
  body: attachmentRequest,
  query: noQuery,
  reply: attachment,
  handle: async ({ context, body, mark, request }) => {
    const { host } = context;
    const made = await host.attach({
      request: body,
      requestId: mark.requestId ?? host.newId(),
      origin: mark.by === "client" ? "client" : "drawn",
      bodyHash: mark.bodyHash,
      signal: request.signal,
    });
    const location = `/v1/attachments/${made.id}`;
    if (body.lease !== true) return { body: made, location };
    return leaseResponse(made, host.openLease(made.id), location);
  },
});

const listAttachments = hostRoute({
  method: "GET",
  path: "/v1/attachments",
  operationId: "listAttachments",
  summary: "All attachments of this host",
  access: "local-root",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: attachments,
  handle: ({ context }) => ({ body: { items: context.host.attachments() } }),
});

const deleteAttachment = hostRoute({
  method: "DELETE",
  path: "/v1/attachments/{attachment}",
  operationId: "deleteAttachment",
  repeats: "by-content",
  summary: "Take a workload off its networks and delete its endpoints",
  access: "local-root",
  status: 204,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async ({ context, param }) => {
    await context.host.detach(param);
    return { body: undefined };
  },
});

/** `/v1/attachments`. */
export const attachmentRoutes: readonly Route<HostContext>[] = [
  createAttachment,
  listAttachments,
  deleteAttachment,
];

/**
 * The attachment on one line, then silence until either side ends it. The body is cancelled when
 * the client goes, also when it was gone before there was an answer; the request's signal is of no
 * use here, for the runtime may abort it after every answer.
 */
function leaseResponse(made: Attachment, lease: Lease, location: string): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(encodeUtf8(`${JSON.stringify(made)}\n`));
      lease.ended.then(() => controller.close()).catch(() => {
        // The client had closed it before.
      });
    },
    cancel: () => lease.close(),
  });
  return new Response(body, {
    status: 201,
    headers: { "content-type": "application/json", "cache-control": "no-store", location },
  });
}
