import { connect } from "node:tls";
import type { Bytes, Clock } from "../base/mod.ts";
import type { PeerVerifier } from "../ca/mod.ts";
import type { Endpoint } from "./address.ts";
import { connectionError, protocolError, TlsDialError } from "./dial_error.ts";
import { presentedCertificate } from "./guest.ts";
import { verifyManager } from "./verified_agent.ts";

const DIAGNOSIS_TIMEOUT_MS = 3_000;

/**
 * Turns what the runtime says about a failed connection into what a person can act on. Expired, not
 * yet valid, foreign and self-signed certificates are one error to the runtime, so the server is
 * asked once more for its certificate; nothing is sent to it.
 */
export async function diagnose(
  endpoint: Endpoint,
  servername: string,
  verifier: PeerVerifier,
  clock: Clock,
  cause: unknown,
): Promise<TlsDialError> {
  const { address } = endpoint;
  const known = connectionError(address, cause);
  if (known !== null) return known;
  const certificate = await fetchCertificate(endpoint, servername, clock);
  if (certificate === null) return protocolError(address, cause);
  const verdict = verifyManager(address, certificate, verifier, clock.nowMs());
  if (verdict instanceof Error) return verdict;
  return new TlsDialError(
    "peer-rejected",
    address,
    `Cannot trust ${address}: the TLS library refuses its certificate`,
    { cause },
  );
}

/** The certificate a server shows, or `null` when it shows none: no verdict about it. */
function fetchCertificate(
  { host, port }: Endpoint,
  servername: string,
  clock: Clock,
): Promise<Bytes | null> {
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port,
      servername,
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    });
    const finish = (certificate: Bytes | null) => {
      cancel();
      socket.destroy();
      resolve(certificate);
    };
    const cancel = clock.schedule(DIAGNOSIS_TIMEOUT_MS, () => finish(null));
    socket.once("secureConnect", () => finish(presentedCertificate(socket)));
    socket.on("error", () => finish(null));
    socket.once("close", () => finish(null));
  });
}
