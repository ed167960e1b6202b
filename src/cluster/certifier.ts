import type { Clock, Id } from "../base/mod.ts";
import type { CertifyReply, CertifyRequest, Node } from "../state/mod.ts";
import type { AdmissionLedger } from "./admission.ts";
import type { CertifiedPrincipal } from "./calls.ts";
import type { Issuer } from "./issuer.ts";
import { RefusedError } from "./refused_error.ts";

/** A recovering node is answered once in this time: its key alone proves less than a certificate. */
const RECOVERY_INTERVAL_MS = 60_000;

/** Signs new certificates for members, and for those who only prove to hold a member's key. */
export class Certifier {
  readonly #ledger: Pick<AdmissionLedger, "state" | "writeOnce">;
  readonly #issuer: Issuer;
  readonly #clock: Clock;
  readonly #recoveredAtMs = new Map<Id, number>();

  constructor(
    ledger: Pick<AdmissionLedger, "state" | "writeOnce">,
    issuer: Issuer,
    clock: Clock,
  ) {
    this.#ledger = ledger;
    this.#issuer = issuer;
    this.#clock = clock;
  }

  /** @throws {RefusedError} when its request is no good, or comes too soon */
  async certify(
    principal: CertifiedPrincipal,
    { id, role, certificates }: Node,
    request: CertifyRequest,
  ): Promise<CertifyReply> {
    const { publicKey, spkiHash } = this.#issuer.readRequest(request.csr);
    const isKnown = certificates.some((record) => record.spkiHash === spkiHash);
    const allowRecovery = principal.kind === "recovering" && !isKnown
      ? this.#limitRecovery(id)
      : () => {};
    try {
      const record = await this.#issuer.issueNode(this.#ledger.state, { id, role, publicKey });
      const { certificate } = await this.#ledger.writeOnce(principal, {
        kind: "node.certify",
        body: { id, certificate: record },
      });
      return { v: 1, certificate, roots: this.#ledger.state.authority.roots };
    } catch (error) {
      allowRecovery();
      throw error;
    }
  }

  /** It is no member any more, or has another role. */
  forget(id: Id): void {
    this.#recoveredAtMs.delete(id);
  }

  /** Counts this try; what it gives takes that back, for a try that came to nothing. */
  #limitRecovery(id: Id): () => void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#recoveredAtMs.get(id);
    if (last !== undefined && nowMs - last < RECOVERY_INTERVAL_MS) {
      const message = "This node was given a new certificate less than a minute ago: wait a minute";
      throw new RefusedError({ code: "recovering-too-often", message });
    }
    this.#recoveredAtMs.set(id, nowMs);
    return () => this.#recoveredAtMs.delete(id);
  }
}
