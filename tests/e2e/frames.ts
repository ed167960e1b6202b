/**
 * What was captured, frame by frame, and what it is to somebody who must see ESP only.
 *
 * @module
 */

/** What stands in everything that the tests' workloads say to each other; 16 bytes, as ping takes. */
export const MARKER = "READABLE-MARKER.";

/** What a frame on the underlay is. `cleartext`: what nobody may see of an encrypted network. */
export type FrameKind = "esp" | "control" | "neighbours" | "icmp" | "vxlan" | "cleartext";

/** What may be on the underlay beside ESP. */
export interface Allowance {
  /** TCP port of the control plane, 7443. */
  readonly controlPort: number;
  /** UDP ports of networks that are not encrypted. */
  readonly plainPorts: readonly number[];
}

/** EtherType for local experiments (IEEE 802): what the tests themselves send. */
export const EXPERIMENT = 0x88b5;

const ETHERNET_BYTES = 14;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ESP = 50;
const ICMPV6 = 58;
/** ICMPv6 from router solicitations to redirects, and listener reports. */
const NEIGHBOUR_TYPES = [133, 134, 135, 136, 137, 143];
const ECHO_TYPES = [0, 8];

/** The frames of a file in pcap's format, of which the last may still be half written. */
export function parsePcap(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const frames: Uint8Array<ArrayBuffer>[] = [];
  if (file.length < 24) return frames;
  if (view.getUint32(0, true) !== 0xa1b2c3d4 || view.getUint32(20, true) !== 1) {
    throw new Error("Cannot read the capture: it is no pcap of Ethernet frames");
  }
  for (let at = 24; at + 16 <= file.length;) {
    const length = view.getUint32(at + 8, true);
    if (at + 16 + length > file.length) break;
    frames.push(file.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}

/** Whether it is a frame that a test sent to be seen. */
export function isExperiment(frame: Uint8Array): boolean {
  return etherType(frame) === EXPERIMENT;
}

function etherType(frame: Uint8Array): number {
  return u16(frame, 12);
}

/** Protocol and payload of an IP packet; null for a fragment that is not the first, and the like. */
function transport(packet: Uint8Array): { protocol: number; payload: Uint8Array } | null {
  if (packet.length >= 20 && (packet[0] ?? 0) >> 4 === 4) {
    // The rest of a packet that was cut up says what it is of, and nothing else of what it is.
    if ((u16(packet, 6) & 0x1fff) !== 0) {
      return packet[9] === ESP ? { protocol: ESP, payload: packet.subarray(packet.length) } : null;
    }
    return { protocol: packet[9] ?? 0, payload: packet.subarray(((packet[0] ?? 0) & 15) * 4) };
  }
  if (packet.length >= 40 && (packet[0] ?? 0) >> 4 === 6) {
    // Listener reports come behind a hop-by-hop header.
    return packet[6] === 0
      ? { protocol: packet[40] ?? 0, payload: packet.subarray(40 + 8 + (packet[41] ?? 0) * 8) }
      : { protocol: packet[6] ?? 0, payload: packet.subarray(40) };
  }
  return null;
}

/** What a frame is. Whatever is not known to be harmless is cleartext. */
export function classify(frame: Uint8Array, allowance: Allowance): FrameKind {
  const type = etherType(frame);
  if (type === 0x0806) return "neighbours";
  if (type !== 0x0800 && type !== 0x86dd) return "cleartext";
  return classifyPacket(frame.subarray(ETHERNET_BYTES), allowance);
}

function classifyPacket(packet: Uint8Array, allowance: Allowance): FrameKind {
  const found = transport(packet);
  if (found === null) return "cleartext";
  const { protocol, payload } = found;
  const ports = [u16(payload, 0), u16(payload, 2)];
  switch (protocol) {
    case ESP:
      return "esp";
    case TCP:
      return ports.includes(allowance.controlPort) ? "control" : "cleartext";
    case UDP:
      return allowance.plainPorts.includes(ports[1] ?? 0) ? "vxlan" : "cleartext";
    case ICMPV6:
      return NEIGHBOUR_TYPES.includes(payload[0] ?? 0) ? "neighbours" : "cleartext";
    case ICMP: {
      if (ECHO_TYPES.includes(payload[0] ?? 0)) return "icmp";
      // An error quotes what it is about: that has to be harmless, too.
      return classifyPacket(payload.subarray(8), allowance) === "cleartext" ? "cleartext" : "icmp";
    }
    default:
      return "cleartext";
  }
}

/** What somebody who looks for the reason has to see of a frame. */
export function describeFrame(frame: Uint8Array): string {
  const packet = frame.subarray(ETHERNET_BYTES);
  const type = etherType(frame).toString(16).padStart(4, "0");
  const found = transport(packet);
  if (found === null || (packet[0] ?? 0) >> 4 !== 4) return `type ${type}, ${hex(packet, 48)}`;
  const { protocol, payload } = found;
  const [from, to] = [12, 16].map((at) => packet.subarray(at, at + 4).join("."));
  const ports = protocol === TCP || protocol === UDP
    ? ` ports ${u16(payload, 0)} > ${u16(payload, 2)}`
    : "";
  return `${from} > ${to} protocol ${protocol}${ports}: ${hex(payload, 40)}`;
}

/** An ESP packet of a frame; null when it has none. RFC 4303 section 2, with an IV of 8 bytes. */
export interface EspPacket {
  readonly from: string;
  readonly to: string;
  readonly spi: number;
  /** The low half of the number: the high one is not sent. */
  readonly sequence: number;
  readonly iv: Uint8Array<ArrayBuffer>;
  /** With the ICV of 16 bytes at its end. */
  readonly sealed: Uint8Array<ArrayBuffer>;
}

export function espOf(frame: Uint8Array<ArrayBuffer>): EspPacket | null {
  if (etherType(frame) !== 0x0800 || frame[23] !== ESP) return null;
  // Short frames are padded: the packet ends where it says.
  const packet = frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + u16(frame, 16));
  const payload = packet.subarray(((packet[0] ?? 0) & 15) * 4);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    from: packet.subarray(12, 16).join("."),
    to: packet.subarray(16, 20).join("."),
    spi: view.getUint32(0),
    sequence: view.getUint32(4),
    iv: payload.subarray(8, 16),
    sealed: payload.subarray(16),
  };
}

/** Whether the text stands somewhere in the bytes. */
export function contains(bytes: Uint8Array, text: string): boolean {
  const wanted = new TextEncoder().encode(text);
  const first = wanted[0] ?? 0;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < wanted.length && bytes[at + same] === wanted[same]) same++;
    if (same === wanted.length) return true;
  }
  return false;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function hex(bytes: Uint8Array, limit: number): string {
  return Array.from(bytes.subarray(0, limit), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}
