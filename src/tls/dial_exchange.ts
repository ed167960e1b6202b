import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { Bytes } from "../base/mod.ts";
import type { PeerIdentity } from "../ca/mod.ts";
import type { Endpoint } from "./address.ts";
import type { ConnectionTable } from "./connection_table.ts";
import type { Deadline } from "./deadline.ts";
import { closedError, REQUEST_TIMEOUT, requestTimeoutError, tooLargeError } from "./dial_error.ts";
import type { DialRequest } from "./dialer.ts";
import type { Link, VerifiedAgent } from "./verified_agent.ts";

/** An answer of which only the headers have been read, and from whom it comes. */
export interface Begun {
  readonly message: IncomingMessage;
  readonly peer: PeerIdentity;
}

/** Sends all of a request and waits for the headers of its answer. */
export function exchangeHeaders(
  request: DialRequest,
  { host, port }: Endpoint,
  servername: string,
  agent: VerifiedAgent,
  links: ConnectionTable<Link>,
  deadline: Deadline,
): Promise<Begun> {
  const { method, path, body } = request;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    const headers = { ...request.headers, ...length, host: servername };
    const sent = httpsRequest({ agent, host, port, method, path, headers });
    deadline.onEnd((error) => {
      sent.destroy(error);
      reject(error);
    });
    sent.on("error", reject);
    sent.once("response", (message) => {
      const { socket } = message;
      const link = socket instanceof TLSSocket ? links.get(socket) : undefined;
      if (link === undefined) return reject(closedError(request.address));
      if (message.statusCode === REQUEST_TIMEOUT) {
        link.socket.destroy();
        return reject(requestTimeoutError(request.address));
      }
      resolve({ message, peer: link.peer });
    });
    sent.once("close", () => reject(closedError(request.address)));
    sent.end(body);
  });
}

/** Reads the rest of an answer, up to the limit. */
export function readBody(
  message: IncomingMessage,
  limitBytes: number,
  address: string,
  deadline: Deadline,
): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = [];
    let length = 0;
    if (message.destroyed) reject(closedError(address));
    deadline.onEnd((error) => {
      message.destroy();
      reject(error);
    });
    message.on("data", (part: Uint8Array) => {
      length += part.length;
      parts.push(part);
      if (length <= limitBytes) return;
      message.destroy();
      reject(tooLargeError(address, limitBytes));
    });
    message.once("end", () => resolve(new Uint8Array(Buffer.concat(parts))));
    message.on("error", (cause) => reject(closedError(address, cause)));
    message.once("close", () => reject(closedError(address)));
  });
}

/** The headers as `fetch` would give them. */
export function headersOf(incoming: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  }
  return headers;
}
