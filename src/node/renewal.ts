import { X509Certificate } from "node:crypto";
import {
  type Bytes,
  type Cancel,
  type Clock,
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  type Logger,
  type Random,
} from "../base/mod.ts";
import { certificateToPem, createKeyAndCsr, renewalTime, verifyPeer } from "../ca/mod.ts";
import type { CertifyRequest } from "../state/mod.ts";
import type { TlsIdentity, Trust } from "../tls/mod.ts";
import type { IdentityStore, PendingKey } from "./identity.ts";
import type { LeaderLink } from "./leader_link.ts";
import type { OwnLeader } from "./ports.ts";
import { NodeError } from "./node_error.ts";
import type { Membership } from "./projection_stream.ts";

const RETRY_FIRST_MS = 1_000;
const RETRY_LONGEST_MS = 60_000;
const REQUEST_DEADLINE_MS = 10_000;
/**
 * The date of renewal is one of the wall clock, which may be set, and stands still for no sleeping
 * machine, as a timer does: so it is looked at again and again.
 */
const LOOK_INTERVAL_MS = 30_000;
/** Where the leader's clock is far behind, each certificate that comes has run out already. */
const SHORTEST_INTERVAL_MS = 5_000;

/** What {@linkcode Renewal} needs, and whom it tells. */
export interface RenewalOptions {
  readonly link: LeaderLink;
  /** What leads in this very process, if anything may. */
  readonly ownLeader: OwnLeader | null;
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The new pair is on disk: show it from now on. */
  readonly onRenewed: (identity: TlsIdentity, trust: Trust) => void;
}

interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Renews the node's certificate by itself, with a new key, at a random moment between 50 and 80 %
 * of its life, so that the nodes of a cluster do not come all at once. A try that failed is made
 * again; the old certificate is good until it expires, and after that the recorded key still lets
 * the node ask.
 */
export class Renewal {
  readonly #options: RenewalOptions;
  #cancel: Cancel = () => {};
  #closed = false;
  #notAfterMs = 0;
  #renewAtMs = 0;
  #retryMs = RETRY_FIRST_MS;
  #running: Promise<Membership> | null = null;

  /** Schedules the next renewal of the certificate on disk. */
  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#plan();
    this.#lookIn(0);
  }

  /** When the certificate of now ends. */
  get notAfterMs(): number {
    return this.#notAfterMs;
  }

  /** Renews the certificate now; one that is being renewed is not renewed again. Never rejects. */
  renew(): Promise<Membership> {
    this.#running ??= this.#renew().finally(() => this.#running = null);
    return this.#running;
  }

  /** No more renewals. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  /** Draws the moment for the certificate on disk. */
  #plan(): void {
    const { store, random } = this.#options;
    const validity = validityOf(store.readTls().certificate);
    this.#notAfterMs = validity.notAfterMs;
    this.#renewAtMs = renewalTime({ ...validity, fraction: 0.5 + random.below(3001) / 10_000 });
  }

  #lookIn(delayMs: number): void {
    this.#cancel();
    if (!this.#closed) this.#cancel = this.#options.clock.schedule(delayMs, () => this.#look());
  }

  #look(): void {
    const leftMs = this.#renewAtMs - this.#options.clock.nowMs();
    if (leftMs > 0) this.#lookIn(Math.min(leftMs, LOOK_INTERVAL_MS));
    else void this.renew();
  }

  async #renew(): Promise<Membership> {
    const { logger } = this.#options;
    try {
      const membership = await this.#replaceCertificate();
      if (membership === "member") {
        this.#retryMs = RETRY_FIRST_MS;
        this.#lookIn(SHORTEST_INTERVAL_MS);
        logger.info("The certificate was renewed", { notAfterMs: this.#notAfterMs });
        return membership;
      }
      logger.warn("The cluster gives this node no certificate: it is not a member any more");
      this.#retry();
      return membership;
    } catch (error) {
      logger.warn("The certificate was not renewed; trying again", {
        reason: error instanceof Error ? error.message : String(error),
        retryMs: this.#retryMs,
      });
      this.#retry();
      return "unknown";
    }
  }

  #retry(): void {
    this.#lookIn(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LONGEST_MS);
  }

  async #replaceCertificate(): Promise<Membership> {
    const { store, onRenewed } = this.#options;
    const { privateKey, csr } = this.#pendingKey();
    const { status, body } = await this.#ask({ v: 1, csr });
    if (saysRemoved(status, body)) return "removed";
    const { certificate, roots } = parseReply(status, body);
    const trust = this.#verify(certificate, roots);
    store.writeTls(privateKey, certificate, roots);
    this.#plan();
    const identity = { privateKeyPem: privateKey, certificatePem: certificateToPem(certificate) };
    if (!this.#closed) onRenewed(identity, trust);
    return "member";
  }

  async #ask(
    request: CertifyRequest,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const { link, ownLeader, logger } = this.#options;
    try {
      if (ownLeader !== null) return { status: 200, body: await ownLeader.certify(request) };
    } catch (error) {
      logger.debug("This manager does not certify itself; asking the leader", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
    const answer = await link.request({
      method: "POST",
      path: "/v1/self/certificate",
      headers: { "content-type": "application/json" },
      body: encodeUtf8(JSON.stringify(request)),
      freshConnection: true,
      deadlineMs: REQUEST_DEADLINE_MS,
    });
    return { status: answer.status, body: answer.json() };
  }

  #pendingKey(): PendingKey {
    const { store } = this.#options;
    const earlier = store.readPending();
    if (earlier !== null) return earlier;
    const { privateKey, csr } = createKeyAndCsr();
    const pending = { privateKey, csr: encodeBase64url(csr) };
    store.writePending(pending);
    return pending;
  }

  /**
   * Its dates may lie in the past: the certificate that was issued for a pending key, whose answer
   * got lost long ago. The cluster has that key on record, so it is taken up, and renewed.
   */
  #verify(certificate: Bytes, roots: readonly Bytes[]): Trust {
    const { store, clock } = this.#options;
    const { clusterId, nodeId } = store.readRecord();
    const trust: Trust = { clusterId, roots };
    const { notBeforeMs, notAfterMs } = validityOf(certificate);
    const withinMs = Math.min(Math.max(clock.nowMs(), notBeforeMs), notAfterMs);
    const { id } = verifyPeer(certificate, trust, withinMs);
    if (id === nodeId) return trust;
    throw new NodeError("unavailable", `The leader answered with a certificate of ${id}`);
  }
}

/** What a certificate says, whether it is to be believed or not. */
function validityOf(der: Bytes): Validity {
  const { validFrom, validTo } = new X509Certificate(der);
  return { notBeforeMs: Date.parse(validFrom), notAfterMs: Date.parse(validTo) };
}

/** To a member a certificate is never refused for who it is. */
function saysRemoved(status: number, body: unknown): boolean {
  if (body === null || typeof body !== "object" || !("code" in body)) return false;
  return (status === 401 && body.code === "not-authenticated") ||
    (status === 403 && body.code === "not-permitted") ||
    (status === 404 && body.code === "not-found");
}

function parseReply(status: number, body: unknown): { certificate: Bytes; roots: Bytes[] } {
  if (
    status !== 200 || body === null || typeof body !== "object" || !("certificate" in body) ||
    typeof body.certificate !== "string" || !("roots" in body) || !Array.isArray(body.roots)
  ) {
    const detail = body !== null && typeof body === "object" && "detail" in body ? body.detail : "";
    throw new NodeError("unavailable", `The leader answered ${status}: ${detail}`);
  }
  const roots = body.roots.map((root: unknown) => decodeBase64url(String(root)));
  return { certificate: decodeBase64url(body.certificate), roots };
}
