import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { Endpoint } from "./address.ts";
import type { ConnectionTable } from "./connection_table.ts";
import type { Deadline } from "./deadline.ts";
import { closedError, REQUEST_TIMEOUT, requestTimeoutError, TlsDialError } from "./dial_error.ts";
import { headersOf } from "./dial_exchange.ts";
import type { UpgradeRequest } from "./dialer.ts";
import { asksFor, ByteStream } from "./upgrade.ts";
import type { Link, VerifiedAgent } from "./verified_agent.ts";

/** Asks to leave HTTP behind, and waits until the manager has agreed. */
export function exchangeUpgrade(
  request: UpgradeRequest,
  { host, port }: Endpoint,
  servername: string,
  agent: VerifiedAgent,
  links: ConnectionTable<Link>,
  deadline: Deadline,
): Promise<ByteStream> {
  const { address, path, protocol } = request;
  const given = { ...request.headers };
  return new Promise((resolve, reject) => {
    const headers = { ...given, host: servername, connection: "Upgrade", upgrade: protocol };
    const sent = httpsRequest({ agent, host, port, method: "GET", path, headers });
    deadline.onEnd((error) => {
      sent.destroy(error);
      reject(error);
    });
    sent.on("error", reject);
    sent.once("response", (message) => {
      const { statusCode = 0 } = message;
      message.destroy();
      reject(
        statusCode === REQUEST_TIMEOUT
          ? requestTimeoutError(address)
          : refusedError(address, protocol, statusCode),
      );
    });
    sent.once("upgrade", (message: IncomingMessage, socket: unknown, head: Uint8Array) => {
      const link = socket instanceof TLSSocket ? links.get(socket) : undefined;
      if (link === undefined) return reject(closedError(address));
      if (!asksFor(message, protocol)) {
        link.socket.destroy();
        return reject(refusedError(address, protocol, message.statusCode ?? 0));
      }
      resolve(
        new ByteStream(link.socket, head, {
          peer: link.peer,
          headers: headersOf(message.headers),
          address,
        }),
      );
    });
    sent.once("close", () => reject(closedError(address)));
    sent.end();
  });
}

function refusedError(address: string, protocol: string, status: number): TlsDialError {
  const why = status === 403
    ? "it does not take this host for a manager: was it removed, or demoted?"
    : "it runs another version of the agent, or is stopping";
  return new TlsDialError(
    "protocol",
    address,
    `Cannot speak ${protocol} with ${address}: it answered ${status}, so ${why}`,
  );
}
