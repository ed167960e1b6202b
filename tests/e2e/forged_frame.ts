/** What a forged frame says of itself. */
export interface ForgedFrame {
  readonly vni: number;
  readonly toMac: string;
  readonly fromMac: string;
  readonly toIp: string;
  readonly fromIp: string;
}

/** UDP port that a forged frame's own packet is for, so that captures can tell it. */
export const FORGED_PORT = 31337;

/**
 * What a VTEP takes from the network, as the payload of a UDP datagram: a VXLAN header (RFC 7348
 * section 5), then an Ethernet frame with a UDP packet.
 *
 * ```text
 *  0 VXLAN: flags 0x08, 3 reserved, VNI 3, reserved 1
 *  8 Ethernet: destination 6, source 6, type 2
 * 22 IPv4: 20 without options (RFC 791)
 * 42 UDP: ports 2 + 2, length 2, checksum 2 (0: none)
 * ```
 */
export function forgedVxlan(frame: ForgedFrame): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(50);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x08);
  view.setUint32(4, frame.vni << 8);
  bytes.set(macBytes(frame.toMac), 8);
  bytes.set(macBytes(frame.fromMac), 14);
  view.setUint16(20, 0x0800);
  view.setUint8(22, 0x45);
  view.setUint16(24, 28);
  view.setUint8(30, 64);
  view.setUint8(31, 17);
  bytes.set(ipBytes(frame.fromIp), 34);
  bytes.set(ipBytes(frame.toIp), 38);
  view.setUint16(32, internetChecksum(bytes.subarray(22, 42)));
  view.setUint16(42, FORGED_PORT);
  view.setUint16(44, FORGED_PORT);
  view.setUint16(46, 8);
  return bytes;
}

/** Ends of a packet on the underlay. */
export interface UnderlayPath {
  readonly fromMac: string;
  readonly toMac: string;
  readonly fromIp: string;
  readonly toIp: string;
  readonly fromPort: number;
  readonly toPort: number;
}

/** A whole Ethernet frame with a UDP packet, which says of itself whatever it likes. */
export function forgedUdp(path: UnderlayPath, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(42 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(macBytes(path.toMac), 0);
  bytes.set(macBytes(path.fromMac), 6);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, 28 + payload.length);
  view.setUint8(22, 64);
  view.setUint8(23, 17);
  bytes.set(ipBytes(path.fromIp), 26);
  bytes.set(ipBytes(path.toIp), 30);
  view.setUint16(24, internetChecksum(bytes.subarray(14, 34)));
  view.setUint16(34, path.fromPort);
  view.setUint16(36, path.toPort);
  view.setUint16(38, 8 + payload.length);
  bytes.set(payload, 42);
  return bytes;
}

/** A message that says a packet of ESP was too large. */
export interface ForgedMtu {
  readonly fromMac: string;
  readonly toMac: string;
  /** Whom the packet was for. */
  readonly fromIp: string;
  /** Who had sent it. */
  readonly toIp: string;
  /** Of the packet. */
  readonly spi: number;
  readonly mtuBytes: number;
}

/**
 * A whole Ethernet frame with an ICMP message "fragmentation needed" (RFC 792, RFC 1191 section 4) that
 * quotes the IPv4 header of a packet of ESP and 8 bytes of it.
 */
export function forgedFragmentationNeeded(message: ForgedMtu): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(14 + 20 + 8 + 28);
  const view = new DataView(bytes.buffer);
  bytes.set(macBytes(message.toMac), 0);
  bytes.set(macBytes(message.fromMac), 6);
  view.setUint16(12, 0x0800);
  const header = (at: number, packet: { from: string; to: string; protocol: number }) => {
    view.setUint8(at, 0x45);
    view.setUint16(at + 2, at === 14 ? bytes.length - 14 : 1500);
    view.setUint8(at + 8, 64);
    view.setUint8(at + 9, packet.protocol);
    bytes.set(ipBytes(packet.from), at + 12);
    bytes.set(ipBytes(packet.to), at + 16);
    view.setUint16(at + 10, internetChecksum(bytes.subarray(at, at + 20)));
  };
  header(14, { from: message.fromIp, to: message.toIp, protocol: 1 });
  view.setUint8(34, 3);
  view.setUint8(35, 4);
  view.setUint16(40, message.mtuBytes);
  header(42, { from: message.toIp, to: message.fromIp, protocol: 50 });
  view.setUint32(62, message.spi);
  view.setUint32(66, 1);
  view.setUint16(36, internetChecksum(bytes.subarray(34)));
  return bytes;
}

/** RFC 1071. */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const macBytes = (text: string) => text.split(":").map((pair) => Number.parseInt(pair, 16));
const ipBytes = (text: string) => text.split(".").map(Number);
