import {
  assert,
  type Bytes,
  decodeUtf8,
  encodeHex,
  equalBytes,
  type Id,
  isId,
} from "../base/mod.ts";
import { type Certificate, CertificateError, readCertificate } from "./certificate.ts";
import { DerError, DerReader, TAG } from "./der.ts";
import { RootRejectedError } from "./errors.ts";
import { loadX509 } from "./library.ts";
import { BACKDATE_MS, wholeSecond } from "./lifetime.ts";
import {
  EXTENSION,
  formatSerial,
  nameConstraints,
  rootCommonName,
  rootName,
  VALUE,
} from "./profile.ts";
import { isSignedBy } from "./signature.ts";
import { derOf, exportPrivateKey, generateKeys, nameOf, P256_SHA256 } from "./signing.ts";

/** 10 years of 365.25 days. */
const ROOT_LIFETIME_MS = 87_660 * 3_600_000;
const NAME_CONSTRAINTS_OID = "2.5.29.30";

/** For {@linkcode createRoot}. */
export interface CreateRootOptions {
  /** The new cluster. */
  readonly clusterId: Id;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** A root and its key. */
export interface Root {
  /** DER. */
  readonly certificate: Bytes;
  /** PKCS #8 DER. It never leaves the managers. */
  readonly privateKey: Bytes;
}

/**
 * Makes a cluster's root: a new P-256 key, 10 years from `nowMs` (backdated by an hour), path length 1 (0
 * would leave no room for a cross-signed successor), names only in the cluster's DNS domain.
 *
 * @throws {TypeError} when `clusterId` is not an id
 * @throws {RangeError} when `serial` is not 16 bytes
 */
export async function createRoot(options: CreateRootOptions): Promise<Root> {
  const { clusterId, nowMs } = options;
  if (!isId(clusterId)) throw new TypeError("Cannot create root: the cluster id is not an id");
  const serial = formatSerial(options.serial);
  const x509 = await loadX509();
  const keys = await generateKeys();
  const written = await x509.X509CertificateGenerator.createSelfSigned({
    name: nameOf(x509, clusterId, rootCommonName(serial)),
    serialNumber: serial,
    notBefore: new Date(wholeSecond(nowMs) - BACKDATE_MS),
    notAfter: new Date(wholeSecond(nowMs) + ROOT_LIFETIME_MS),
    keys,
    signingAlgorithm: P256_SHA256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      new x509.Extension(NAME_CONSTRAINTS_OID, true, nameConstraints(clusterId)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificate = derOf(written);
  // What nobody would accept must not become the root of a cluster.
  assert(clusterIdOfRoot(certificate) === clusterId, "the new root is of the cluster");
  return { certificate, privateKey: await exportPrivateKey(keys.privateKey) };
}

/**
 * The cluster that a root certificate is of: read from a certificate that has been checked to be
 * what {@linkcode createRoot} makes, its own signature included. Whether it is the *right* root, only
 * the pin of a token can say; whether it is in its dates, {@linkcode verifyPeer} does.
 *
 * @throws {RootRejectedError} when it is not such a root
 */
export function clusterIdOfRoot(der: Uint8Array): Id {
  const root = readRoot(der);
  if (!isSignedBy(root.certificate, root.certificate.spki)) {
    throw new RootRejectedError("bad-signature", "The root is not signed by its own key");
  }
  return root.clusterId;
}

/** A root whose profile and names are checked; its signature is not. */
export interface ReadRoot {
  readonly certificate: Certificate;
  readonly clusterId: Id;
}

/** @throws {RootRejectedError} when the profile or the names are not those of a root */
export function readRoot(der: Uint8Array): ReadRoot {
  const certificate = read(der);
  const fault = caFault(certificate, VALUE.rootCa);
  if (fault !== null) throw new RootRejectedError("not-a-root", `Not a root: ${fault}`);
  const clusterId = organizationOf(certificate.subject);
  const name = clusterId === null ? null : rootName(clusterId, certificate.serial);
  if (
    clusterId === null || name === null || !equalBytes(certificate.subject, name) ||
    !equalBytes(certificate.issuer, name) || !constrainedTo(certificate, clusterId)
  ) {
    throw new RootRejectedError(
      "wrong-name",
      "The root's subject, issuer and name constraint are not those of one cluster",
    );
  }
  return { certificate, clusterId };
}

function read(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    const code = cause.code === "not-a-certificate" ? cause.code : "not-a-root";
    throw new RootRejectedError(code, cause.message, { cause });
  }
}

const CA_EXTENSIONS: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.nameConstraints,
]);

/**
 * What keeps a certificate from being an authority with these basic constraints, or null. An
 * extended key usage would bound what it signs (as most verifiers read it), so it has none.
 */
export function caFault(certificate: Certificate, basicConstraints: string): string | null {
  const { extensions } = certificate;
  for (const [id, { kind }] of extensions) {
    if (kind === "critical" && !CA_EXTENSIONS.has(id)) return `critical extension ${id} is unknown`;
  }
  const constraints = extensions.get(EXTENSION.basicConstraints);
  if (
    constraints?.kind !== "critical" || encodeHex(constraints.value) !== basicConstraints
  ) {
    return "basic constraints are missing, or not those of its place in the chain";
  }
  const usage = extensions.get(EXTENSION.keyUsage);
  if (usage?.kind !== "critical" || encodeHex(usage.value) !== VALUE.caKeyUsage) {
    return "key usage is not to sign certificates and revocation lists";
  }
  return extensions.has(EXTENSION.extendedKeyUsage) ? "it has an extended key usage" : null;
}

/** Whether the certificate's name constraint is the cluster's, in the one spelling it has. */
export function constrainedTo(certificate: Certificate, clusterId: Id): boolean {
  const constraint = certificate.extensions.get(EXTENSION.nameConstraints);
  return constraint?.kind === "critical" &&
    equalBytes(constraint.value, nameConstraints(clusterId));
}

/** The id in the first attribute of a name; the caller compares the whole name after. */
function organizationOf(name: Uint8Array): Id | null {
  try {
    const attribute = new DerReader(name).enter(TAG.sequence).enter(TAG.set).enter(TAG.sequence);
    attribute.oid();
    const text = decodeUtf8(attribute.content(TAG.utf8String));
    return isId(text) ? text : null;
  } catch (error) {
    if (error instanceof DerError || error instanceof TypeError) return null;
    throw error;
  }
}
