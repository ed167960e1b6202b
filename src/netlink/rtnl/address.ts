import { addressBits, type IpAddress, type IpFamily } from "../../base/mod.ts";
import { AttributeReader, headView } from "../attribute_reader.ts";
import { AttributeWriter, checkRange } from "../attribute_writer.ts";
import {
  AF_UNSPEC,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
} from "../constants.ts";
import type { Message } from "../message.ts";
import type { Dump, Request } from "../request.ts";
import { checkIfindex } from "./check.ts";
import * as c from "./constants.ts";
import { addressFamily, checkFamily, ipFamily } from "./family.ts";

/**
 * `struct ifaddrmsg`:
 *
 * | offset | bytes | field                                       |
 * |--------|-------|---------------------------------------------|
 * | 0      | 1     | address family                              |
 * | 1      | 1     | prefix length                               |
 * | 2      | 1     | flags (`IFA_F_…`), the lowest 8             |
 * | 3      | 1     | scope (`RT_SCOPE_…`)                        |
 * | 4      | 4     | ifindex                                     |
 */
const IFADDRMSG_BYTES = 8;

/** An address to give to a link. */
export interface NewAddress {
  /** Ifindex of the link. */
  readonly index: number;
  /** IPv4 or IPv6; host bits are kept. */
  readonly address: IpAddress;
  /** How much of the address is the subnet. */
  readonly prefixLength: number;
  /** The other end's address, on a point-to-point link. */
  readonly peer?: IpAddress;
  /** IPv6: usable at once, without asking whether another host has it (a second). */
  readonly noDad?: boolean;
}

/** An address of a link. */
export interface InterfaceAddress {
  /** Ifindex of the link. */
  readonly index: number;
  /** The link's own address, host bits included. */
  readonly address: IpAddress;
  /** How much of the address is the subnet. */
  readonly prefixLength: number;
  /** The other end's address, on a point-to-point link. */
  readonly peer: IpAddress | null;
  /** `RT_SCOPE_…`: 0 anywhere, 253 this link, 254 this host. */
  readonly scope: number;
  /** No lifetime ends it. */
  readonly permanent: boolean;
  /** IPv6: not usable until the host knows that nobody else has it. */
  readonly tentative: boolean;
  /** IPv6: somebody else has it. */
  readonly duplicate: boolean;
}

/** What a dump of addresses leaves out. */
export interface AddressFilter {
  /** Only those of this link. */
  readonly index?: number;
  /** Only IPv4 or only IPv6. */
  readonly family?: IpFamily;
}

/**
 * Gives a link an address; `EEXIST` when it has it.
 *
 * @throws {RangeError}
 */
export function addAddress(address: NewAddress): Request {
  return changeAddress("add", c.RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address);
}

/**
 * The same whether the link has the address or not.
 *
 * @throws {RangeError}
 */
export function replaceAddress(address: NewAddress): Request {
  return changeAddress("replace", c.RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
}

/**
 * Takes an address from a link; `EADDRNOTAVAIL` when it has none such.
 *
 * @throws {RangeError}
 */
export function deleteAddress(address: NewAddress): Request {
  return changeAddress("delete", c.RTM_DELADDR, 0, address);
}

function changeAddress(verb: string, type: number, flags: number, spec: NewAddress): Request {
  const { index, address, prefixLength, peer } = spec;
  checkIfindex(index);
  checkRange("prefix length", prefixLength, 0, addressBits(address.family));
  if (peer !== undefined && peer.family !== address.family) {
    throw new RangeError(`Cannot encode peer: ${peer} is not of the family of ${address}`);
  }
  const head = encodeIfaddrmsg(addressFamily(address.family), prefixLength, index);
  if (spec.noDad === true) head[2] = c.IFA_F_NODAD;
  const writer = new AttributeWriter(head);
  writer.ip(c.IFA_LOCAL, address);
  writer.ip(c.IFA_ADDRESS, peer ?? address);
  return {
    describe: () => `${verb} address ${address}/${prefixLength} of ifindex ${index}`,
    type,
    flags: NLM_F_REQUEST | NLM_F_ACK | flags,
    payload: writer.finish(),
  };
}

/**
 * Asks for the addresses of the namespace, filtered in the kernel.
 *
 * @throws {RangeError}
 */
export function dumpAddresses(filter: AddressFilter = {}): Dump<InterfaceAddress> {
  const { family, index } = filter;
  if (index !== undefined) checkIfindex(index);
  return {
    answer: "many",
    describe: () => "dump addresses",
    type: c.RTM_GETADDR,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: encodeIfaddrmsg(
      family === undefined ? AF_UNSPEC : addressFamily(family),
      0,
      index ?? 0,
    ),
    decode: decodeAddress,
  };
}

function encodeIfaddrmsg(family: number, prefixLength: number, index: number): Uint8Array {
  const head = new Uint8Array(IFADDRMSG_BYTES);
  head[0] = family;
  head[1] = prefixLength;
  new DataView(head.buffer).setUint32(4, index, true);
  return head;
}

/**
 * Decodes `RTM_NEWADDR` and `RTM_DELADDR`; null when it is of neither IPv4 nor IPv6.
 *
 * @throws {DecodeError}
 */
export function decodeAddress(message: Message): InterfaceAddress | null {
  const view = headView(message.payload, IFADDRMSG_BYTES, "ifaddrmsg");
  const family = ipFamily(view.getUint8(0));
  if (family === null) return null;
  let flags = view.getUint8(2);
  let local: IpAddress | null = null;
  let address: IpAddress | null = null;
  const reader = new AttributeReader(message.payload, IFADDRMSG_BYTES);
  while (reader.next()) {
    switch (reader.type) {
      case c.IFA_LOCAL:
        local = checkFamily(reader.ip(), family);
        break;
      case c.IFA_ADDRESS:
        address = checkFamily(reader.ip(), family);
        break;
      case c.IFA_FLAGS:
        flags = reader.u32();
        break;
    }
  }
  // IFA_ADDRESS is the peer where there is one; IPv6 leaves IFA_LOCAL out otherwise.
  const own = local ?? address;
  if (own === null) return null;
  return {
    index: view.getUint32(4, true),
    address: own,
    prefixLength: Math.min(view.getUint8(1), addressBits(family)),
    peer: address === null || address.equals(own) ? null : address,
    scope: view.getUint8(3),
    permanent: (flags & c.IFA_F_PERMANENT) !== 0,
    tentative: (flags & c.IFA_F_TENTATIVE) !== 0,
    duplicate: (flags & c.IFA_F_DADFAILED) !== 0,
  };
}
