import { checkBigRange, putU64 } from "./integer.ts";

/** Limits of an SA or a policy; null is none. */
export interface Lifetimes {
  /** Bytes after which the kernel says that it expires (`soft`), once. */
  readonly softBytes: bigint | null;
  /** Bytes after which the kernel deletes it. */
  readonly hardBytes: bigint | null;
  /** The same in packets. */
  readonly softPackets: bigint | null;
  /** The same in packets. */
  readonly hardPackets: bigint | null;
  /** Seconds since it was made. */
  readonly softAddSeconds: bigint | null;
  /** Seconds since it was made. */
  readonly hardAddSeconds: bigint | null;
  /** Seconds since its first packet. */
  readonly softUseSeconds: bigint | null;
  /** Seconds since its first packet. */
  readonly hardUseSeconds: bigint | null;
}

/** What has been used of the limits. */
export interface LifetimeUse {
  /** Bytes of the packets, without the outer header. */
  readonly bytes: bigint;
  /** Packets. */
  readonly packets: bigint;
  /** When it was made, in seconds of the wall clock since 1970. */
  readonly addedSeconds: bigint;
  /** When its first packet came; null before it. */
  readonly usedSeconds: bigint | null;
}

/**
 * `struct xfrm_lifetime_cfg`: eight u64, in the order of {@linkcode Lifetimes}.
 *
 * No limit is `XFRM_INF` for bytes and packets: 0 expires with the first packet. For seconds it is 0,
 * for the kernel adds them to the time as they are, and `XFRM_INF`, being −1 there, expires at once.
 */
export const LIFETIMES_BYTES = 64;

/** `struct xfrm_lifetime_cur`: bytes, packets, time added, time used; each u64. */
export const LIFETIME_USE_BYTES = 32;

const XFRM_INF = 0xffffffffffffffffn;

const COUNTS = ["softBytes", "hardBytes", "softPackets", "hardPackets"] as const;
const SECONDS = ["softAddSeconds", "hardAddSeconds", "softUseSeconds", "hardUseSeconds"] as const;

/**
 * Writes limits; those left out are none.
 *
 * @throws {RangeError}
 */
export function putLifetimes(bytes: Uint8Array, offset: number, limits: Partial<Lifetimes>): void {
  bytes.fill(0xff, offset, offset + 32);
  for (const [index, name] of COUNTS.entries()) {
    const limit = limits[name] ?? null;
    if (limit === null) continue;
    checkBigRange(name, limit, 1n, XFRM_INF - 1n);
    putU64(bytes, offset + index * 8, limit);
  }
  for (const [index, name] of SECONDS.entries()) {
    const limit = limits[name] ?? null;
    if (limit === null) continue;
    // The kernel reckons with signed seconds.
    checkBigRange(name, limit, 1n, 0xffffffffn);
    putU64(bytes, offset + 32 + index * 8, limit);
  }
}

/** Reads limits within a payload whose length is known to suffice. */
export function readLifetimes(view: DataView, offset: number): Lifetimes {
  return {
    softBytes: readCount(view, offset),
    hardBytes: readCount(view, offset + 8),
    softPackets: readCount(view, offset + 16),
    hardPackets: readCount(view, offset + 24),
    softAddSeconds: readSeconds(view, offset + 32),
    hardAddSeconds: readSeconds(view, offset + 40),
    softUseSeconds: readSeconds(view, offset + 48),
    hardUseSeconds: readSeconds(view, offset + 56),
  };
}

function readCount(view: DataView, offset: number): bigint | null {
  // Almost always there is no limit: that is told without making a bigint.
  const unlimited = view.getUint32(offset, true) === 0xffffffff &&
    view.getUint32(offset + 4, true) === 0xffffffff;
  return unlimited ? null : view.getBigUint64(offset, true);
}

function readSeconds(view: DataView, offset: number): bigint | null {
  const none = view.getUint32(offset, true) === 0 && view.getUint32(offset + 4, true) === 0;
  return none ? null : view.getBigUint64(offset, true);
}

/** Reads counters within a payload whose length is known to suffice. */
export function readLifetimeUse(view: DataView, offset: number): LifetimeUse {
  return {
    bytes: view.getBigUint64(offset, true),
    packets: view.getBigUint64(offset + 8, true),
    addedSeconds: view.getBigUint64(offset + 16, true),
    usedSeconds: readSeconds(view, offset + 24),
  };
}

/** Sets to zero what {@linkcode readLifetimeUse} reads, but when it was made. */
export function blankLifetimeUse(payload: Uint8Array, offset: number): void {
  payload.fill(0, offset, offset + 16);
  payload.fill(0, offset + 24, offset + LIFETIME_USE_BYTES);
}
