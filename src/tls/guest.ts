import type { TLSSocket } from "node:tls";
import type { Bytes } from "../base/mod.ts";
import { PeerRejectedError, type PeerVerifier, spkiHashOf } from "../ca/mod.ts";
import { endpointOf } from "./admission.ts";
import type { Connection } from "./connection_table.ts";
import type { PeerInfo, Standing } from "./peer.ts";

/** A connection to the listener. */
export interface Guest extends Connection {
  readonly evidence: Evidence;
  readonly peer: PeerInfo;
  readonly standing: Standing;
  requestsUnderWay: number;
  requestsServed: number;
}

/** What the other end of a connection has shown. It never changes while the connection lives. */
export interface Evidence {
  readonly address: string;
  /** DER, or `null` when it showed none. */
  readonly certificate: Bytes | null;
  /** Whether the handshake continued an earlier session, so proved the key only back then. */
  readonly resumed: boolean;
}

/** What evidence comes to now, and why it is less than it claims to be. */
export interface Assessment {
  readonly peer: PeerInfo;
  readonly reason: string | null;
}

export function evidenceOf(socket: TLSSocket): Evidence {
  return {
    address: endpointOf(socket),
    certificate: presentedCertificate(socket),
    resumed: socket.isSessionReused(),
  };
}

/** The certificate that the other end showed, as DER. */
export function presentedCertificate(socket: TLSSocket): Bytes | null {
  // Without a certificate the runtime gives an empty object, whatever the type says.
  const shown: { raw?: Uint8Array } | null = socket.getPeerCertificate();
  return shown?.raw === undefined ? null : new Uint8Array(shown.raw);
}

/** Verifies what was shown. `socket.authorized` has no part in it. */
export function assess(evidence: Evidence, verifier: PeerVerifier, nowMs: number): Assessment {
  const { address, certificate } = evidence;
  if (certificate === null) {
    return { peer: { address, identity: null, presentedSpkiHash: null }, reason: null };
  }
  try {
    const identity = verifier.verify(certificate, nowMs);
    return { peer: { address, identity, presentedSpkiHash: identity.spkiHash }, reason: null };
  } catch (error) {
    if (!(error instanceof PeerRejectedError)) throw error;
    const presentedSpkiHash = readSpkiHash(certificate);
    return { peer: { address, identity: null, presentedSpkiHash }, reason: error.message };
  }
}

/**
 * What the caller grants, as far as the evidence can carry it: nobody is a member without a
 * certificate that verified, or recovers on a session that proved no key, and who shows a bad
 * certificate is not treated as if there were none.
 */
export function standingOf(evidence: Evidence, peer: PeerInfo, granted: Standing): Standing {
  switch (granted) {
    case "member":
      return peer.identity !== null ? "member" : "refused";
    case "recovering":
      return peer.presentedSpkiHash !== null && !evidence.resumed ? "recovering" : "refused";
    case "stranger":
      return peer.identity !== null || evidence.certificate === null ? "stranger" : "refused";
    case "refused":
      return "refused";
  }
}

function readSpkiHash(certificate: Bytes): string | null {
  try {
    return spkiHashOf(certificate);
  } catch {
    return null;
  }
}
