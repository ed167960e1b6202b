import { BACKDATE_MS } from "./lifetime.ts";

/** When a certificate is good, and where in its life to renew it. */
export interface RenewalTimeOptions {
  /** As the certificate says. */
  readonly notBeforeMs: number;
  /** As the certificate says. */
  readonly notAfterMs: number;
  /** 0.5 … 0.8; draw it anew for each certificate, so that nodes do not renew all at once. */
  readonly fraction: number;
}

/**
 * When to renew: `fraction` of the way from issue to notAfter. The issue was an hour after
 * notBefore, for certificates are backdated.
 *
 * @throws {RangeError} when the fraction is not in 0.5 … 0.8, or the certificate ended before its issue
 */
export function renewalTime(options: RenewalTimeOptions): number {
  const { notBeforeMs, notAfterMs, fraction } = options;
  if (!(fraction >= 0.5 && fraction <= 0.8)) {
    throw new RangeError(`Cannot plan renewal: fraction ${fraction} is not in 0.5..0.8`);
  }
  const issuedMs = notBeforeMs + BACKDATE_MS;
  if (!(notAfterMs > issuedMs)) {
    throw new RangeError(
      `Cannot plan renewal: notAfter ${notAfterMs} is not after the issue at ${issuedMs}`,
    );
  }
  return Math.floor(issuedMs + fraction * (notAfterMs - issuedMs));
}
