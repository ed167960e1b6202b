import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Logger } from "../base/mod.ts";
import type { Guest } from "./guest.ts";
import { problem } from "./problem.ts";

/** What {@linkcode serveExchange} needs of the listener. */
export interface ExchangeOptions {
  readonly logger: Logger;
  handle(request: Request, guest: Guest): Response | Promise<Response>;
}

const MAX_DISCARDED_BYTES = 8 * 1024 * 1024;

/** A request under way: who asks, and the answer if that is decided before any handler sees it. */
interface Exchange {
  readonly guest: Guest;
  readonly refusal: Response | null;
}

type ServeExchange = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  guest: Guest,
  bodyLimitBytes: number,
) => Promise<void>;

/**
 * Makes the function that reads one request, whole and within its limit, and answers it. The body
 * is read before the handler runs, for TLS here delivers it regardless of whether anyone reads.
 */
export function createExchange(options: ExchangeOptions): ServeExchange {
  const exchanges = new WeakMap<object, Exchange>();
  const respond = getRequestListener(
    (request, { incoming }) => {
      const exchange = exchanges.get(incoming);
      if (exchange === undefined) return problem("internal", "The request got lost.");
      return exchange.refusal ?? answer(options, request, exchange.guest);
    },
    // What is left of a body that was refused is watched here.
    { overrideGlobalObjects: false, autoCleanupIncoming: false, errorHandler: refuseBadRequest },
  );
  return async (incoming, outgoing, guest, bodyLimitBytes) => {
    let refusal: Response | null = null;
    if (guest.standing === "refused") {
      refusal = forbidden(guest);
      discardRest(incoming);
    } else if (incoming.headersDistinct.host?.length !== 1) {
      // RFC 9112 section 3.2; the runtime takes the first of several.
      refusal = problem("invalid-parameter", "There must be exactly one Host header.");
      discardRest(incoming);
    } else {
      const body = await readBody(incoming, bodyLimitBytes);
      if (body === "gone") return;
      if (body === "too-large") {
        refusal = tooLarge(bodyLimitBytes);
        discardRest(incoming);
      } // Where @hono/node-server looks for a body that has been read already.
      else Object.assign(incoming, { rawBody: body });
    }
    exchanges.set(incoming, { guest, refusal });
    await respond(incoming, outgoing);
  };
}

async function answer(options: ExchangeOptions, request: Request, guest: Guest): Promise<Response> {
  try {
    const response = await options.handle(request, guest);
    if (response.body === null) return response;
    return new Response(endingWith(response.body, guest, options.logger), response);
  } catch (error) {
    const { pathname } = new URL(request.url);
    options.logger.error(`Cannot answer ${request.method} ${pathname}: the handler failed`, {
      peer: guest.peer.address,
      error: String(error),
    });
    return problem("internal", "The request failed; the agent's log on this manager says why.");
  }
}

/**
 * The body, but when its source fails the connection ends with it: a chunked body that just
 * stopped would look complete to the client.
 */
function endingWith(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  guest: Guest,
  logger: Logger,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let cancelled = false;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        // The client went while the next piece was waited for: nobody takes it any more.
        if (cancelled) return;
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        logger.warn("A response ended early: its source failed", {
          peer: guest.peer.address,
          error: String(error),
        });
        guest.socket.destroy();
      }
    },
    cancel: (reason) => {
      cancelled = true;
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/** Reads the body whole; nothing of it is kept beyond the limit. */
function readBody(
  incoming: IncomingMessage,
  limitBytes: number,
): Promise<Buffer | "too-large" | "gone"> {
  if (Number(incoming.headers["content-length"] ?? 0) > limitBytes) {
    return Promise.resolve("too-large");
  }
  return new Promise((resolve) => {
    const parts: Uint8Array[] = [];
    let length = 0;
    const finish = (result: Buffer | "too-large" | "gone") => {
      incoming.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      resolve(result);
    };
    const onData = (part: Uint8Array) => {
      length += part.length;
      if (length > limitBytes) finish("too-large");
      else parts.push(part);
    };
    const onEnd = () => finish(Buffer.concat(parts));
    const onGone = () => finish("gone");
    incoming.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}

/**
 * Lets a refused body pass by for a while: ending the connection at once would often destroy the
 * answer before the client has read it. The request's time limit applies all the same.
 */
function discardRest(incoming: IncomingMessage): void {
  let length = 0;
  incoming.on("data", (part: Uint8Array) => {
    length += part.length;
    if (length > MAX_DISCARDED_BYTES) incoming.socket.destroy();
  });
}

function forbidden(guest: Guest): Response {
  const identity = guest.peer.identity;
  const who = identity === null ? "This connection" : `${identity.role} ${identity.id}`;
  return problem(
    "not-permitted",
    `${who} is not a member of this cluster any more, or not in that role.`,
  );
}

function tooLarge(limitBytes: number): Response {
  return problem(
    "body-too-large",
    `The request's body is longer than ${limitBytes} bytes: send less.`,
  );
}

function refuseBadRequest(error: unknown): Response {
  const detail = error instanceof RequestError ? error.message : "The request cannot be read.";
  return problem("invalid-parameter", detail);
}
