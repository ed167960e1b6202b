import type { JsonGeneralName } from "@peculiar/x509";
import { type Bytes, type Id, type IpAddress, isId, type Role } from "../base/mod.ts";
import { PeerRejectedError, RootRejectedError } from "./errors.ts";
import { formatMemberUri, managerServerName } from "./identity.ts";
import { loadX509 } from "./library.ts";
import { BACKDATE_MS, SECOND_MS, wholeSecond } from "./lifetime.ts";
import { formatSerial, isP256 } from "./profile.ts";
import { readRoot } from "./root.ts";
import { derOf, nameOf, P256, P256_SHA256 } from "./signing.ts";
import { verifyPeer } from "./verify.ts";

/** For {@linkcode issue}. */
export interface IssueOptions {
  /** DER. */
  readonly root: Uint8Array;
  /** PKCS #8 DER. */
  readonly rootKey: Uint8Array;
  /** SubjectPublicKeyInfo DER, as {@linkcode checkCsr} gives it. */
  readonly publicKey: Uint8Array;
  /** The cluster that the root is of. */
  readonly clusterId: Id;
  /** What the holder may be. */
  readonly role: Role;
  /** The holder. */
  readonly id: Id;
  /** 16 random bytes; the serial number is made of 126 bits of them. */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970, by the clock of the one who signs. */
  readonly nowMs: number;
  /** From `nowMs` to notAfter; at least a second. */
  readonly lifetimeMs: number;
  /** Addresses under which other programs may reach a manager; no identity here. */
  readonly addresses?: readonly IpAddress[];
}

/**
 * Signs a certificate for a member: DER. It is good from an hour before `nowMs`, for `lifetimeMs`
 * from `nowMs`, both in whole seconds, and no longer than the root. Only managers may be servers.
 *
 * What goes on record (serial number, key hash, notAfter) is to be read back from the answer with
 * {@linkcode verifyPeer}: it is not quite what was asked for.
 *
 * @throws {RootRejectedError} when `root` is not a root of `clusterId`, or not in its dates
 * @throws {TypeError} when an id is not one, the public key not P-256, or `rootKey` not the
 * root's
 * @throws {RangeError} when `serial` is not 16 bytes, or the lifetime under a second
 */
export async function issue(options: IssueOptions): Promise<Bytes> {
  const { clusterId, role, id } = options;
  if (!isId(clusterId) || !isId(id)) {
    throw new TypeError("Cannot issue certificate: the cluster or member id is not an id");
  }
  if (!isP256(options.publicKey)) {
    throw new TypeError("Cannot issue certificate: the public key is not P-256");
  }
  const serialNumber = formatSerial(options.serial);
  const { notBeforeMs, notAfterMs } = lifetimeOf(options);
  const x509 = await loadX509();
  const root = new x509.X509Certificate(Uint8Array.from(options.root));
  const publicKey = Uint8Array.from(options.publicKey);
  const written = await x509.X509CertificateGenerator.create({
    serialNumber,
    issuer: root.subjectName,
    subject: nameOf(x509, clusterId, `${role} ${id}`),
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey,
    signingKey: await importRootKey(options.rootKey),
    signingAlgorithm: P256_SHA256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        role === "manager"
          ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
          : [x509.ExtendedKeyUsage.clientAuth],
      ),
      new x509.SubjectAlternativeNameExtension(alternativeNames(options)),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  });
  return checked(derOf(written), options);
}

/** Nothing that members would refuse is handed out: not of another cluster's root, nor by another key. */
function checked(leaf: Bytes, options: IssueOptions): Bytes {
  const trust = { clusterId: options.clusterId, roots: [options.root] };
  try {
    verifyPeer(leaf, trust, wholeSecond(options.nowMs));
  } catch (error) {
    if (!(error instanceof PeerRejectedError && error.code === "bad-signature")) throw error;
    throw new TypeError("Cannot issue certificate: the root key is not the key of the root");
  }
  return leaf;
}

function lifetimeOf(options: IssueOptions): { notBeforeMs: number; notAfterMs: number } {
  const { certificate: root } = readRoot(options.root);
  if (!(options.lifetimeMs >= SECOND_MS)) {
    throw new RangeError(
      `Cannot issue certificate: a lifetime of ${options.lifetimeMs} ms is under a second`,
    );
  }
  const issuedMs = wholeSecond(options.nowMs);
  const notAfterMs = Math.min(issuedMs + wholeSecond(options.lifetimeMs), root.notAfterMs);
  if (notAfterMs <= issuedMs) {
    throw new RootRejectedError("expired", "The root has expired: nothing can be signed with it");
  }
  if (issuedMs < root.notBeforeMs) {
    throw new RootRejectedError(
      "not-yet-valid",
      "The root is not valid yet: set this host's clock, which is behind the one that made it",
    );
  }
  return { notBeforeMs: issuedMs - BACKDATE_MS, notAfterMs };
}

function alternativeNames(options: IssueOptions): JsonGeneralName[] {
  const names: JsonGeneralName[] = [{ type: "url", value: formatMemberUri(options) }];
  if (options.role === "manager") {
    names.push({ type: "dns", value: managerServerName(options.clusterId) });
  }
  for (const address of options.addresses ?? []) {
    names.push({ type: "ip", value: address.toString() });
  }
  return names;
}

async function importRootKey(pkcs8: Uint8Array): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("pkcs8", Uint8Array.from(pkcs8), P256, false, ["sign"]);
  } catch {
    // Without its cause: nothing that has seen a private key goes into an error.
    throw new TypeError("Cannot issue certificate: the root key is not a P-256 key in PKCS #8");
  }
}
