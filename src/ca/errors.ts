/**
 * Why a peer's certificate was refused:
 *
 * - `not-a-certificate`: not the DER of one X.509 certificate, or more bytes than that;
 * - `wrong-version`: not X.509 version 3;
 * - `wrong-key`: its key is not P-256;
 * - `wrong-algorithm`: not signed by ECDSA with SHA-256;
 * - `bad-extension`: an extension that is malformed, there twice, missing, or critical and unknown;
 * - `unknown-issuer`: no trusted root, nor a certificate of the chain, has its issuer's name;
 * - `bad-chain`: what the peer sent as its issuer is not an intermediate of this cluster;
 * - `bad-signature`: its issuer's key did not sign it;
 * - `is-ca`: it may sign others, so it names nobody;
 * - `wrong-usage`: key usage or extended key usage are not those of its role;
 * - `bad-identity`: its names are not exactly those of one member;
 * - `wrong-cluster`: it names a member of another cluster;
 * - `not-yet-valid`, `expired`: ours in everything, but the clock says no. Only said of a
 *   certificate whose signature is good.
 */
export type PeerRejectedCode =
  | "not-a-certificate"
  | "wrong-version"
  | "wrong-key"
  | "wrong-algorithm"
  | "bad-extension"
  | "unknown-issuer"
  | "bad-chain"
  | "bad-signature"
  | "is-ca"
  | "wrong-usage"
  | "bad-identity"
  | "wrong-cluster"
  | "not-yet-valid"
  | "expired";

/** A peer's certificate does not prove that the peer is a member. */
export class PeerRejectedError extends Error {
  /** The class, by name. */
  override name = "PeerRejectedError";
  /** Which of the reasons it is. */
  readonly code: PeerRejectedCode;

  /** `message` is one sentence for a person. */
  constructor(code: PeerRejectedCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why a certificate is not a root that this authority made. */
export type RootRejectedCode =
  | "not-a-certificate"
  | "not-a-root"
  | "wrong-name"
  | "wrong-cluster"
  | "bad-signature"
  | "not-yet-valid"
  | "expired";

/** What was given as a cluster's root is not one. */
export class RootRejectedError extends Error {
  /** The class, by name. */
  override name = "RootRejectedError";
  /** Which of the reasons it is. */
  readonly code: RootRejectedCode;

  /** `message` is one sentence for a person. */
  constructor(code: RootRejectedCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why a certificate signing request was refused. */
export type CsrRejectedCode =
  | "too-large"
  | "not-a-csr"
  | "wrong-key"
  | "wrong-algorithm"
  | "bad-signature";

/** A certificate signing request cannot be answered with a certificate. */
export class CsrRejectedError extends Error {
  /** The class, by name. */
  override name = "CsrRejectedError";
  /** Which of the reasons it is. */
  readonly code: CsrRejectedCode;

  /** `message` is one sentence for a person. */
  constructor(code: CsrRejectedCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Which part of a join token is malformed. */
export type TokenRejectedCode =
  | "not-a-token"
  | "unknown-version"
  | "wrong-parts"
  | "bad-pin"
  | "bad-secret";

/** A text is not a join token. The message never quotes it: most of it may be the secret. */
export class TokenRejectedError extends Error {
  /** The class, by name. */
  override name = "TokenRejectedError";
  /** Which of the reasons it is. */
  readonly code: TokenRejectedCode;

  /** `message` is one sentence for a person. */
  constructor(code: TokenRejectedCode, message: string) {
    super(message);
    this.code = code;
  }
}
