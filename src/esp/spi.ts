/**
 * What an SPI says:
 *
 * | bits    | field                                          |
 * |---------|------------------------------------------------|
 * | 31 … 29 | tag of the epoch, 1 … 7: so no SPI is below 256 |
 * | 28 … 16 | slot of the network, 0 … 8191                  |
 * | 15 … 0  | index of the sender, 1 … 65535                 |
 *
 * A receiver tells SAs apart by its own address and the SPI. No two senders have an index in common, no
 * two networks a slot, no two epochs that live at once a tag: so no SPI collides at any receiver.
 */
export interface Spi {
  /** 1 … 7; see {@linkcode epochTag}. */
  readonly tag: number;
  /** Of the network, 0 … 8191. */
  readonly slot: number;
  /** Index of the sender, 1 … 65535. */
  readonly sender: number;
}

/** What an SPI is made of. */
export interface SpiParts {
  /** 1 and above; it only grows. */
  readonly epoch: number;
  /** Of the network, 0 … 8191. */
  readonly slot: number;
  /** Index of the sender, 1 … 65535. */
  readonly sender: number;
}

/** How many encrypted networks there can be at once. */
export const SLOTS = 8192;

const TAGS = 7;

/** In the upper half of a reqid, "AG": whoever looks at an SA or a policy sees whose it is. */
const REQID_MARK = 0x4147;

/**
 * The tag of an epoch in SPIs: 1 + (epoch − 1) mod 7.
 *
 * @throws {RangeError} when the epoch is not a whole number from 1 on
 */
export function epochTag(epoch: number): number {
  checkWhole("epoch", epoch, 1, Number.MAX_SAFE_INTEGER);
  return 1 + (epoch - 1) % TAGS;
}

/**
 * Makes an SPI.
 *
 * @throws {RangeError} when a part does not fit
 */
export function encodeSpi({ epoch, slot, sender }: SpiParts): number {
  checkSlot(slot);
  checkWhole("index of the sender", sender, 1, 0xffff);
  return ((epochTag(epoch) << 29) | (slot << 16) | sender) >>> 0;
}

/** Reads an SPI; null when it is none of ours. */
export function decodeSpi(spi: number): Spi | null {
  const parts = { tag: spi >>> 29, slot: (spi >>> 16) & (SLOTS - 1), sender: spi & 0xffff };
  return parts.tag === 0 || parts.sender === 0 ? null : parts;
}

/**
 * The UDP port of the network in a slot.
 *
 * @param firstPort that of slot 0, a setting of the cluster
 * @throws {RangeError} when the slot, or its port, does not fit
 */
export function slotPort(slot: number, firstPort: number): number {
  checkSlot(slot);
  checkWhole("first port", firstPort, 1, 0x10000 - SLOTS);
  return firstPort + slot;
}

/**
 * The reqid of the SAs and templates of the network in a slot.
 *
 * @throws {RangeError} when the slot does not fit
 */
export function slotReqid(slot: number): number {
  checkSlot(slot);
  return ((REQID_MARK << 16) | slot) >>> 0;
}

/** The slot of a reqid; null when it is none of ours. */
export function slotOfReqid(reqid: number): number | null {
  const slot = reqid & 0xffff;
  return reqid >>> 16 === REQID_MARK && slot < SLOTS ? slot : null;
}

function checkSlot(slot: number): void {
  checkWhole("slot", slot, 0, SLOTS - 1);
}

function checkWhole(what: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new RangeError(`Cannot use ${what}: ${value} is not in ${low}..${high}`);
  }
}
