import { assert, encodeBase64url, type Id, type Role, sha256 } from "../base/mod.ts";
import { type Certificate, CertificateError, readCertificate } from "./certificate.ts";
import { PeerRejectedError, RootRejectedError } from "./errors.ts";
import { memberOf } from "./leaf.ts";
import { type Anchors, findPath } from "./path.ts";
import { readRoot } from "./root.ts";

/** Whom to believe. */
export interface Trust {
  /** The cluster whose members are believed; each root must be of it. */
  readonly clusterId: Id;
  /** DER of each root. More than one while a root is being replaced. */
  readonly roots: readonly Uint8Array[];
}

/** Who a peer is: proved by its certificate, and by TLS's proof that it holds the key. */
export interface PeerIdentity {
  /** The cluster it is a member of: always the one of the {@linkcode Trust}. */
  readonly clusterId: Id;
  /** What its certificate lets it be; what it may do depends on the cluster's state too. */
  readonly role: Role;
  /** The node, or the operator. */
  readonly id: Id;
  /** Hexadecimal. */
  readonly serial: string;
  /** SHA-256 of the SubjectPublicKeyInfo, base64url. */
  readonly spkiHash: string;
  /** Good from here, in whole seconds; an hour before it was issued. */
  readonly notBeforeMs: number;
  /** Good to here, in whole seconds. */
  readonly notAfterMs: number;
  /** SHA-256 of the certificate's DER, base64url. */
  readonly fingerprint: string;
}

const DEFAULT_CAPACITY = 1024;

/**
 * Decides who the holder of a certificate is: signed by one of the roots, or by an intermediate of
 * `chain` (what the peer sent with it, in any order) that one of the roots signed; version 3; in its
 * dates, as all above it; no authority; key usages of its role; one identity, of this cluster; P-256, ECDSA with SHA-256,
 * strict DER throughout.
 *
 * @throws {PeerRejectedError} when it is anything else
 * @throws {RootRejectedError} when `trust` itself is broken
 */
export function verifyPeer(
  der: Uint8Array,
  trust: Trust,
  nowMs: number,
  chain: readonly Uint8Array[] = [],
): PeerIdentity {
  const verified = verifyUndated(der, readTrust(trust), chain);
  checkDates(verified, nowMs);
  return verified.identity;
}

/**
 * {@linkcode verifyPeer} for many connections: remembers certificates that were good, by
 * fingerprint, so that a known peer costs one hash. Dates are checked every time; what was refused
 * is not remembered, so strangers cannot push members out.
 */
export class PeerVerifier {
  readonly #capacity: number;
  readonly #known = new Map<string, Verified>();
  #anchors: Anchors;

  /**
   * Remembers at most `capacity` certificates, by default 1024.
   *
   * @throws {RootRejectedError} when `trust` is broken
   * @throws {RangeError} when `capacity` is not a whole number from 1
   */
  constructor(trust: Trust, options: { readonly capacity?: number } = {}) {
    const { capacity = DEFAULT_CAPACITY } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`Cannot make peer verifier: capacity ${capacity} is not 1 or more`);
    }
    this.#capacity = capacity;
    this.#anchors = readTrust(trust);
  }

  /**
   * From now on believes these roots only; everything remembered is forgotten.
   *
   * @throws {RootRejectedError} when `trust` is broken: then the old one stays
   */
  setTrust(trust: Trust): void {
    this.#anchors = readTrust(trust);
    this.#known.clear();
  }

  /**
   * Decides as {@linkcode verifyPeer} does.
   *
   * @throws {PeerRejectedError} as there
   */
  verify(der: Uint8Array, nowMs: number, chain: readonly Uint8Array[] = []): PeerIdentity {
    const fingerprint = encodeBase64url(sha256(der));
    const known = this.#known.get(fingerprint);
    const verified = known ?? verifyUndated(der, this.#anchors, chain);
    checkDates(verified, nowMs);
    this.#remember(fingerprint, verified);
    return verified.identity;
  }

  /** A Map gives its keys in the order in which they were set: the first is the least recently used. */
  #remember(fingerprint: string, verified: Verified): void {
    this.#known.delete(fingerprint);
    this.#known.set(fingerprint, verified);
    if (this.#known.size <= this.#capacity) return;
    const [oldest] = this.#known.keys();
    assert(oldest !== undefined, "a map over its capacity has a first key");
    this.#known.delete(oldest);
  }
}

/**
 * SHA-256 of the public key of a certificate whose dates, issuer, names or signature may say anything
 * at all, base64url. By it a member whose certificate has run out is recognised: TLS has proved that
 * it holds the key.
 *
 * @throws {PeerRejectedError} when the bytes are not a certificate of a P-256 key
 */
export function spkiHashOf(der: Uint8Array): string {
  return encodeBase64url(sha256(read(der).spki));
}

/** A certificate that is good in all but its dates, and the authorities above it. */
interface Verified {
  readonly identity: PeerIdentity;
  readonly authorities: readonly Certificate[];
}

function readTrust(trust: Trust): Anchors {
  if (trust.roots.length === 0) {
    throw new RootRejectedError("not-a-root", "There is no root to trust");
  }
  const roots = trust.roots.map((der) => {
    const { certificate, clusterId } = readRoot(der);
    if (clusterId === trust.clusterId) return certificate;
    throw new RootRejectedError("wrong-cluster", "A trusted root is of another cluster");
  });
  return { clusterId: trust.clusterId, roots };
}

function read(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    throw new PeerRejectedError(cause.code, cause.message, { cause });
  }
}

function verifyUndated(
  der: Uint8Array,
  anchors: Anchors,
  chain: readonly Uint8Array[],
): Verified {
  const leaf = read(der);
  // The signature first: what is said after it is about a certificate that the cluster made.
  const authorities = findPath(leaf, anchors, chain);
  return {
    authorities,
    identity: {
      ...memberOf(leaf, anchors.clusterId),
      serial: leaf.serial,
      spkiHash: encodeBase64url(sha256(leaf.spki)),
      notBeforeMs: leaf.notBeforeMs,
      notAfterMs: leaf.notAfterMs,
      fingerprint: encodeBase64url(sha256(der)),
    },
  };
}

/** Both ends are in (RFC 5280 section 4.1.2.5). */
function checkDates({ identity, authorities }: Verified, nowMs: number): void {
  for (const { notBeforeMs, notAfterMs } of [identity, ...authorities]) {
    if (nowMs < notBeforeMs) {
      throw new PeerRejectedError(
        "not-yet-valid",
        `The certificate, or an authority above it, is not valid before ${isoTime(notBeforeMs)}; ` +
          `the clock here says ${isoTime(nowMs)}: compare both hosts' clocks`,
      );
    }
    if (!(nowMs <= notAfterMs)) {
      throw new PeerRejectedError(
        "expired",
        `The certificate, or an authority above it, expired at ${isoTime(notAfterMs)}; ` +
          `the clock here says ${isoTime(nowMs)}: compare both hosts' clocks`,
      );
    }
  }
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
