/** `00` … `ff`: a host with thousands of neighbours formats as many addresses at each look. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An Ethernet address as lower-case text, `02:00:0a:40:00:02`. */
export type MacText = string;

/**
 * Text of 6 bytes.
 *
 * @throws {RangeError} when there are not 6
 */
export function formatMac(bytes: Uint8Array): MacText {
  if (bytes.length !== 6) {
    throw new RangeError(`Cannot format MAC address: ${bytes.length} bytes are not 6`);
  }
  let text = "";
  for (const byte of bytes) text += text === "" ? HEX[byte] : `:${HEX[byte]}`;
  return text;
}

/**
 * 6 bytes of text in either case.
 *
 * @throws {TypeError} when `text` is not six pairs of digits with colons between
 */
export function parseMac(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    throw new TypeError(
      `Cannot parse MAC address: ${JSON.stringify(text)} is not xx:xx:xx:xx:xx:xx`,
    );
  }
  const bytes = new Uint8Array(6);
  for (let index = 0; index < 6; index++) {
    bytes[index] = (hexDigit(text, index * 3) << 4) | hexDigit(text, index * 3 + 1);
  }
  return bytes;
}

/**
 * The MAC address to which a node's probes go. It is locally administered, the state gives it to no
 * endpoint, and no bridge has an entry for it: with flooding off, what a workload sends there goes nowhere,
 * and what comes there from another host goes to no workload. Only a frame that was put into a VXLAN device
 * by hand gets to the other end's VXLAN device.
 */
export function probeMac(index: number): MacText {
  return formatMac(Uint8Array.of(0x06, 0x41, 0x47, 0x50, index >> 8, index & 0xff));
}

/** Whether an address is one that {@linkcode probeMac} gives. */
export function isProbeMac(mac: MacText): boolean {
  return mac.startsWith("06:41:47:50:");
}

/** Value of a character that is known to be a hexadecimal digit. */
function hexDigit(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code <= 57 ? code - 48 : (code | 32) - 87;
}

/** Whether the address can belong to one interface: not a group address, not all zero. */
export function isUnicastMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
