/**
 * The cluster's certificate authority, and the one check that decides who a peer is.
 *
 * The contract:
 *
 * - {@linkcode verifyPeer} is the only verdict on a certificate, in both directions and on every
 *   connection, resumed ones too: the runtime's own is not to be relied on. It is synchronous (as
 *   `checkServerIdentity` has to be), takes 0.7 ms, and throws nothing but
 *   {@linkcode PeerRejectedError} for whatever bytes a peer may send.
 * - A peer's identity is the one URI in its certificate, `agent://<cluster>/<role>/<id>`; names and
 *   addresses beside it are never identity.
 * - The authority takes nothing but the public key from a request, and signs P-256 with SHA-256 only.
 * - Time and random bytes are arguments; only keys are drawn here. A private key never is in an
 *   error's message.
 *
 * ```ts
 * import { type Clock, newId, type Random } from "../base/mod.ts";
 * import { checkCsr, createKeyAndCsr, createRoot, issue, verifyPeer } from "./mod.ts";
 *
 * declare const clock: Clock;
 * declare const random: Random;
 * const nowMs = clock.nowMs();
 * const clusterId = newId(random);
 * const root = await createRoot({ clusterId, serial: random.bytes(16), nowMs });
 * const joiner = createKeyAndCsr();
 * const certificate = await issue({
 *   root: root.certificate,
 *   rootKey: root.privateKey,
 *   publicKey: checkCsr(joiner.csr).publicKey,
 *   clusterId,
 *   role: "worker",
 *   id: newId(random),
 *   serial: random.bytes(16),
 *   nowMs,
 *   lifetimeMs: 90 * 24 * 3_600_000,
 * });
 * verifyPeer(certificate, { clusterId, roots: [root.certificate] }, nowMs).role; // "worker"
 * ```
 *
 * @module
 */
export { checkCsr, type CheckedCsr, createKeyAndCsr, type KeyAndCsr } from "./csr.ts";
export {
  type CsrRejectedCode,
  CsrRejectedError,
  type PeerRejectedCode,
  PeerRejectedError,
  type RootRejectedCode,
  RootRejectedError,
  type TokenRejectedCode,
  TokenRejectedError,
} from "./errors.ts";
export { managerServerName, type Member, parseMemberUri } from "./identity.ts";
export { issue, type IssueOptions } from "./issue.ts";
export { certificateToPem, pemToCertificates, pemToPrivateKey, privateKeyToPem } from "./pem.ts";
export { renewalTime, type RenewalTimeOptions } from "./renewal.ts";
export { clusterIdOfRoot, createRoot, type CreateRootOptions, type Root } from "./root.ts";
export {
  hashSecret,
  type JoinToken,
  makeToken,
  parseToken,
  rootMatchesPin,
  rootPinOf,
} from "./token.ts";
export { type PeerIdentity, PeerVerifier, spkiHashOf, type Trust, verifyPeer } from "./verify.ts";
