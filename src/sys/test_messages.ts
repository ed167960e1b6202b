/**
 * The few netlink messages that the tests of the sockets need, by hand: they test what carries
 * messages, not what makes them.
 *
 * @module
 */
import type { Bytes } from "../base/mod.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWNSID = 88;
const NLM_F_REQUEST = 1;
const IFF_UP = 1;

export const NLM_F_ACK = 4;

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port ID. */
export function readHeader(datagram: Uint8Array) {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  return {
    type: view.getUint16(4, true),
    flags: view.getUint16(6, true),
    portId: view.getUint32(12, true),
  };
}

function message(type: number, flags: number, payloadBytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16 + payloadBytes));
  view.setUint32(0, view.byteLength, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST | flags, true);
  return view;
}

/** struct ifinfomsg: u8 family, u8, u16 type, i32 index, u32 flags, u32 change. Index 1 is `lo`. */
export function setLoopback(state: "up" | "down", flags: number): Bytes {
  const view = message(RTM_NEWLINK, flags, 16);
  view.setInt32(20, 1, true);
  view.setUint32(24, state === "up" ? IFF_UP : 0, true);
  view.setUint32(28, IFF_UP, true);
  return new Uint8Array(view.buffer);
}

export function getLink(index = 1): Bytes {
  const view = message(RTM_GETLINK, 0, 16);
  view.setInt32(20, index, true);
  return new Uint8Array(view.buffer);
}

/** struct rtgenmsg (4 bytes), then NETNSA_NSID (1) and NETNSA_FD (3). */
export function assignNsid(fd: number, nsid: number): Bytes {
  const view = message(RTM_NEWNSID, NLM_F_ACK, 4 + 8 + 8);
  for (const [offset, type, value] of [[20, 1, nsid], [28, 3, fd]] as const) {
    view.setUint16(offset, 8, true);
    view.setUint16(offset + 2, type, true);
    view.setInt32(offset + 4, value, true);
  }
  return new Uint8Array(view.buffer);
}
