import { equalBytes, type Id } from "../base/mod.ts";
import { type Certificate, CertificateError, readCertificate } from "./certificate.ts";
import { PeerRejectedError } from "./errors.ts";
import { VALUE } from "./profile.ts";
import { caFault, constrainedTo } from "./root.ts";
import { isSignedBy } from "./signature.ts";

/** Roots that were read and found to be of one cluster. */
export interface Anchors {
  readonly clusterId: Id;
  readonly roots: readonly Certificate[];
}

/** The longest chain that is looked at; ours have one intermediate at most. */
const MAX_CHAIN = 4;

/**
 * The authorities above a leaf, root last, each of which signed the one before it. Dates aside.
 *
 * @throws {PeerRejectedError} when no root stands above it
 */
export function findPath(
  leaf: Certificate,
  anchors: Anchors,
  chain: readonly Uint8Array[],
): readonly Certificate[] {
  const root = signerAmong(anchors.roots, leaf);
  if (root !== null) return [root];
  if (chain.length > MAX_CHAIN) {
    throw new PeerRejectedError("bad-chain", `The peer sent ${chain.length} issuers, not 1`);
  }
  for (const der of chain) {
    const intermediate = readIntermediate(der);
    if (!equalBytes(intermediate.subject, leaf.issuer)) continue;
    const above = rootOf(intermediate, anchors);
    if (!isSignedBy(leaf, intermediate.spki)) throw badSignature();
    return [intermediate, above];
  }
  throw new PeerRejectedError(
    "unknown-issuer",
    "The certificate's issuer is not a root of this cluster: it is self-signed, or of another cluster",
  );
}

/**
 * The root that signed the certificate, or null when none has its issuer's name.
 *
 * @throws {PeerRejectedError} when one has the name, but its key did not sign
 */
function signerAmong(roots: readonly Certificate[], signed: Certificate): Certificate | null {
  const named = roots.filter((root) => equalBytes(root.subject, signed.issuer));
  const signer = named.find((root) => isSignedBy(signed, root.spki));
  if (signer === undefined && named.length > 0) throw badSignature();
  return signer ?? null;
}

function badSignature(): PeerRejectedError {
  return new PeerRejectedError(
    "bad-signature",
    "The certificate is not signed by the key of the issuer it names: it is forged or damaged",
  );
}

function readIntermediate(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    throw new PeerRejectedError("bad-chain", `Of the chain: ${cause.message}`, { cause });
  }
}

/** @throws {PeerRejectedError} when it is not an intermediate of this cluster, signed by a root */
function rootOf(intermediate: Certificate, anchors: Anchors): Certificate {
  const root = signerAmong(anchors.roots, intermediate);
  if (root === null) {
    throw new PeerRejectedError("unknown-issuer", "No trusted root signed the chain");
  }
  const fault = caFault(intermediate, VALUE.intermediateCa);
  if (fault !== null) {
    throw new PeerRejectedError("bad-chain", `The issuer in the chain is no authority: ${fault}`);
  }
  if (!constrainedTo(intermediate, anchors.clusterId)) {
    throw new PeerRejectedError("bad-chain", "The issuer in the chain is not held to this cluster");
  }
  return root;
}
