import { isId, type Json, jsonDigest } from "../base/mod.ts";
import { ApiProblem } from "./problem.ts";

/** The client's own name for a request, as in the IETF's draft of that name. */
const KEY_HEADER = "idempotency-key";
/** `<id>;from=<ms>`: from a node that forwards a request. */
const REQUEST_HEADER = "agent-request";

/** What makes a second try the same request. */
export interface RequestMark {
  /** Who has named the request, and so may send it again. */
  readonly by: "client" | "forwarder" | "nobody";
  readonly requestId: string | null;
  /** State time at which a forwarder has drawn the id. */
  readonly from: number | null;
  readonly bodyHash: string;
}

/**
 * Reads how a request is named.
 *
 * @throws {ApiProblem} 400 when a header is malformed
 */
export function parseRequestMark(request: Request, path: string, body: Json): RequestMark {
  const bodyHash = jsonDigest({ method: request.method, path, body });
  const key = request.headers.get(KEY_HEADER);
  if (key !== null) {
    if (!/^[\x21-\x7e]{1,64}$/.test(key)) {
      throw new ApiProblem(
        "invalid-parameter",
        "An Idempotency-Key is 1 to 64 visible ASCII characters",
        { in: "header", field: "Idempotency-Key" },
      );
    }
    return { by: "client", requestId: key, from: null, bodyHash };
  }
  const drawn = request.headers.get(REQUEST_HEADER);
  if (drawn === null) return { by: "nobody", requestId: null, from: null, bodyHash };
  const match = /^([a-z2-7]{26});from=(0|[1-9][0-9]{0,14})$/.exec(drawn);
  const [, requestId, from] = match ?? [];
  if (requestId === undefined || from === undefined || !isId(requestId)) {
    throw new ApiProblem(
      "invalid-parameter",
      "Agent-Request is an id of 26 characters and a time: <id>;from=<ms>",
      { in: "header", field: "Agent-Request" },
    );
  }
  return { by: "forwarder", requestId, from: Number(from), bodyHash };
}
