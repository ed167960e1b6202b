import type { PeerIdentity } from "../ca/mod.ts";

/** Who is at the other end of a connection. It belongs to the connection, never to a header. */
export interface PeerInfo {
  /** `192.0.2.1:40000` or `[2001:db8::1]:40000`: for logs and limits, never an identity. */
  readonly address: string;
  /** What the certificate says, when it verified; `null` without one, or when it did not. */
  readonly identity: PeerIdentity | null;
  /**
   * SHA-256 of the public key of whatever certificate was shown, verified or not: the other end
   * has proved that it holds the private key. `null` when it showed none. This is what a member
   * whose certificate has run out is recognised by.
   */
  readonly presentedSpkiHash: string | null;
}

/**
 * What a peer may have of the listener:
 *
 * - `member`: its certificate verified and the state knows it. Members' limits.
 * - `recovering`: its certificate did not verify, but its key is on record. Strangers' limits, and
 *   only on a full handshake.
 * - `stranger`: it showed no certificate. Strangers' limits.
 * - `refused`: nothing. With a certificate that verified (a removed node) it is answered 403, so
 *   that it can say why; without one the connection is closed.
 */
export type Standing = "member" | "recovering" | "stranger" | "refused";
