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
import type { TlsIdentity, Trust } from "../tls/mod.ts";
import type { IdentityStore, PendingKey } from "./identity.ts";
import type { LeaderLink } from "./leader_link.ts";
import { NodeError } from "./node_error.ts";

const RETRY_FIRST_MS = 1_000;
const RETRY_LONGEST_MS = 60_000;
const REQUEST_DEADLINE_MS = 10_000;
/** `setTimeout` cannot wait longer than 2³¹ − 1 ms; a day is soon enough to look again. */
const LONGEST_WAIT_MS = 24 * 3_600_000;

/** What {@linkcode Renewal} needs, and whom it tells. */
export interface RenewalOptions {
  readonly link: LeaderLink;
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The new pair is on disk: show it from now on. */
  readonly onRenewed: (identity: TlsIdentity, trust: Trust) => void;
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
  #notAfterMs: number;

  /** Schedules the next renewal of the certificate on disk. */
  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#notAfterMs = this.#schedule();
  }

  /** When the certificate of now ends. */
  get notAfterMs(): number {
    return this.#notAfterMs;
  }

  /** No more renewals. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): number {
    const { store, clock, random } = this.#options;
    const validity = certificateValidity(store.readTls().certificate);
    const atMs = renewalTime({ ...validity, fraction: 0.5 + random.below(3001) / 10_000 });
    this.#wait(Math.max(0, atMs - clock.nowMs()), RETRY_FIRST_MS);
    return validity.notAfterMs;
  }

  #wait(delayMs: number, retryMs: number): void {
    if (this.#closed) return;
    const step = Math.min(delayMs, LONGEST_WAIT_MS);
    this.#cancel = this.#options.clock.schedule(step, () => {
      if (delayMs > step) this.#wait(delayMs - step, retryMs);
      else this.#renew(retryMs);
    });
  }

  async #renew(retryMs: number): Promise<void> {
    const { logger } = this.#options;
    try {
      const { identity, trust } = await this.#requestCertificate();
      this.#options.onRenewed(identity, trust);
      this.#notAfterMs = this.#schedule();
      logger.info("The certificate was renewed", { notAfterMs: this.#notAfterMs });
    } catch (error) {
      logger.warn("The certificate was not renewed; trying again", {
        reason: error instanceof Error ? error.message : String(error),
        retryMs,
      });
      this.#wait(retryMs, Math.min(retryMs * 2, RETRY_LONGEST_MS));
    }
  }

  async #pendingKey(): Promise<PendingKey> {
    const { store } = this.#options;
    const earlier = store.readPending();
    if (earlier !== null) return earlier;
    const { privateKey, csr } = await createKeyAndCsr();
    const pending = { privateKey, csr: encodeBase64url(csr) };
    store.writePending(pending);
    return pending;
  }

  async #requestCertificate(): Promise<{ identity: TlsIdentity; trust: Trust }> {
    const { link, store, clock } = this.#options;
    const { privateKey, csr } = await this.#pendingKey();
    const answer = await link.request({
      method: "POST",
      path: "/v1/self/certificate",
      headers: { "content-type": "application/json" },
      body: encodeUtf8(JSON.stringify({ v: 1, csr })),
      freshConnection: true,
    }, { deadlineMs: REQUEST_DEADLINE_MS, repeatable: "yes" });
    const { certificate, roots } = parseReply(answer.status, answer.json());
    const { clusterId, nodeId } = store.readRecord();
    const trust: Trust = { clusterId, roots };
    const identity = verifyPeer(certificate, trust, clock.nowMs());
    if (identity.id !== nodeId) {
      throw new NodeError(
        "unavailable",
        `The leader answered with a certificate of ${identity.id}`,
      );
    }
    store.writeTls(privateKey, certificate, roots);
    return {
      identity: { privateKeyPem: privateKey, certificatePem: certificateToPem(certificate) },
      trust,
    };
  }
}

/** Of the node's own certificate, which may have run out, so nothing is verified. */
function certificateValidity(der: Bytes): { notBeforeMs: number; notAfterMs: number } {
  const { validFrom, validTo } = new X509Certificate(der);
  return { notBeforeMs: Date.parse(validFrom), notAfterMs: Date.parse(validTo) };
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
