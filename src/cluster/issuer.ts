import { type Bytes, decodeBase64url, encodeBase64url, type Id, present } from "../base/mod.ts";
import type { Clock, Random } from "../base/mod.ts";
import {
  checkCsr,
  type CheckedCsr,
  CsrRejectedError,
  issue,
  type Trust,
  verifyPeer,
} from "../ca/mod.ts";
import type { CertificateRecord, ClusterState } from "../state/mod.ts";
import { RefusedError } from "./refused_error.ts";

/**
 * Signs node certificates with the cluster's root key. Only the leader does; the record has to be
 * committed before the certificate leaves the process.
 */
export class Issuer {
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * The key that a request is for; nothing else of it is used.
   *
   * @throws {RefusedError} `csr-rejected`
   */
  readRequest(csr: string): CheckedCsr {
    try {
      return checkCsr(decodeBase64url(csr));
    } catch (error) {
      if (!(error instanceof CsrRejectedError || error instanceof TypeError)) throw error;
      throw new RefusedError({ code: "csr-rejected", message: error.message, field: "/csr" });
    }
  }

  /** Signs; who may have it has been decided. */
  async issueNode(
    state: ClusterState,
    node: {
      readonly id: Id;
      readonly role: "manager" | "worker";
      readonly publicKey: Uint8Array;
    },
  ): Promise<CertificateRecord> {
    const { roots, rootKey } = state.authority;
    const root = decodeBase64url(present(roots[0], "the root certificate"));
    const nowMs = this.#clock.nowMs();
    const certificate = await issue({
      root,
      rootKey: decodeBase64url(rootKey),
      publicKey: node.publicKey,
      clusterId: state.clusterId,
      role: node.role,
      id: node.id,
      serial: this.#random.bytes(16),
      nowMs,
      lifetimeMs: state.settings.certificateValidityMs,
    });
    return recordOf(certificate, { clusterId: state.clusterId, roots: [root] }, nowMs);
  }
}

/** What the cluster remembers of a certificate that it has just signed, as the certificate says it. */
export function recordOf(certificate: Bytes, trust: Trust, nowMs: number): CertificateRecord {
  const { serial, spkiHash, notAfterMs } = verifyPeer(certificate, trust, nowMs);
  return { serial, spkiHash, notAfterMs, certificate: encodeBase64url(certificate) };
}
