import { Buffer } from "node:buffer";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { Bytes, Clock } from "../base/mod.ts";
import { parseEndpoint } from "./address.ts";
import { Deadline } from "./deadline.ts";
import { closedError, connectionError, protocolError, tooLargeError } from "./dial_error.ts";
import { presentedCertificate } from "./guest.ts";

/** Where and how {@linkcode fetchRootUnverified} asks. */
export interface RootFetchOptions {
  /** `192.0.2.1:7443` or `[2001:db8::1]:7443`. */
  readonly address: string;
  /** Until the answer is complete. */
  readonly timeoutMs: number;
  /** For the timeout. */
  readonly clock: Clock;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/** What a server nobody has verified said. */
export interface UnverifiedRoot {
  /** Of its answer. */
  readonly status: number;
  /** The body of its answer, at most 64 KiB. */
  readonly body: Bytes;
  /** The DER of the certificate it showed. */
  readonly serverCertificate: Bytes;
}

const MAX_BODY_BYTES = 64 * 1024;

/**
 * Asks a server for its root certificate, believing nothing: it is sent `GET /v1/ca` and no
 * secret. What it answers counts only after its hash has been compared with the pin of a token.
 *
 * @throws {TlsDialError} when there is no complete answer; the signal's reason when it aborts
 */
export function fetchRootUnverified(options: RootFetchOptions): Promise<UnverifiedRoot> {
  const { address } = options;
  const { host, port } = parseEndpoint(address);
  const deadline = new Deadline(options);
  return new Promise<UnverifiedRoot>((resolve, reject) => {
    const sent = httpsRequest({
      host,
      port,
      method: "GET",
      path: "/v1/ca",
      agent: false,
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
      // No name is known yet; an IP address is not sent as one (RFC 6066 section 3).
      servername: "",
    });
    deadline.onEnd((error) => {
      sent.destroy(error);
      reject(error);
    });
    sent.on("error", (cause) => {
      reject(connectionError(address, cause) ?? protocolError(address, cause));
    });
    sent.once("response", (message) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      const { socket } = message;
      const certificate = socket instanceof TLSSocket ? presentedCertificate(socket) : null;
      message.on("data", (part: Uint8Array) => {
        parts.push(part);
        length += part.length;
        if (length <= MAX_BODY_BYTES) return;
        reject(tooLargeError(address, MAX_BODY_BYTES));
        sent.destroy();
      });
      message.on("error", (cause) => reject(closedError(address, cause)));
      message.once("end", () => {
        if (certificate === null) return reject(closedError(address));
        const body = new Uint8Array(Buffer.concat(parts));
        resolve({ status: message.statusCode ?? 0, body, serverCertificate: certificate });
      });
    });
    sent.once("close", () => reject(closedError(address)));
    sent.end();
  }).finally(() => deadline.cancel());
}
