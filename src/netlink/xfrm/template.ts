import type { IpAddress } from "../../base/mod.ts";
import { checkRange, putU16, putU32 } from "../attribute_writer.ts";
import { DecodeError } from "../errors.ts";
import { addressFamily, ipFamily } from "../rtnl/family.ts";
import { checkOneFamily, putAddress, readAddress } from "./address.ts";
import * as c from "./constants.ts";
import { putU32be } from "./integer.ts";
import { decodeMode, encodeMode, type XfrmMode, type XfrmModeInfo } from "./mode.ts";

/** An SA that a policy asks for. */
export interface NewTemplate {
  /** Who sends with it. */
  readonly source: IpAddress;
  /** Who receives with it, of the same family. */
  readonly destination: IpAddress;
  /** By default ESP. */
  readonly protocol?: number;
  /** By default any SA that fits the rest. */
  readonly spi?: number | null;
  /** By default any. */
  readonly reqid?: number;
  /** What it wraps. */
  readonly mode: XfrmMode;
  /** Packets pass without it too. By default they do not. */
  readonly optional?: boolean;
}

/** An SA that a policy asks for, as the kernel describes it. */
export interface Template {
  /** Who sends with it. */
  readonly source: IpAddress;
  /** Who receives with it. */
  readonly destination: IpAddress;
  /** Number of an IP protocol: 50 is ESP. */
  readonly protocol: number;
  /** Null is any. */
  readonly spi: number | null;
  /** 0 is any. */
  readonly reqid: number;
  /** What it wraps. */
  readonly mode: XfrmModeInfo;
  /** Packets pass without it too. */
  readonly optional: boolean;
}

/**
 * `struct xfrm_user_tmpl`:
 *
 * | offset | bytes | field                                                |
 * |--------|-------|------------------------------------------------------|
 * | 0      | 16    | destination                                          |
 * | 16     | 4     | SPI, in network order                                |
 * | 20     | 1     | protocol                                             |
 * | 24     | 2     | address family                                       |
 * | 28     | 16    | source                                               |
 * | 44     | 4     | reqid                                                |
 * | 48     | 1     | mode                                                 |
 * | 49     | 1     | share                                                |
 * | 50     | 1     | optional                                             |
 * | 52     | 4 × 3 | algorithms that may be used; the kernel's default is all |
 */
const TEMPLATE_BYTES = 64;

/** `XFRM_MAX_DEPTH` */
const MAX_TEMPLATES = 6;

/**
 * The value of `XFRMA_TMPL`.
 *
 * @throws {RangeError}
 */
export function encodeTemplates(templates: readonly NewTemplate[]): Uint8Array {
  checkRange("number of templates", templates.length, 1, MAX_TEMPLATES);
  const bytes = new Uint8Array(templates.length * TEMPLATE_BYTES);
  for (const [index, template] of templates.entries()) {
    putTemplate(bytes, index * TEMPLATE_BYTES, template);
  }
  return bytes;
}

function putTemplate(bytes: Uint8Array, offset: number, template: NewTemplate): void {
  const { source, destination, protocol = c.IPPROTO_ESP, mode, optional = false } = template;
  const spi = template.spi ?? 0;
  const reqid = template.reqid ?? 0;
  checkOneFamily("template", source, destination);
  checkRange("protocol", protocol, 1, 255);
  checkRange("SPI", spi, 0, 0xffffffff);
  checkRange("reqid", reqid, 0, 0xffffffff);
  putAddress(bytes, offset, destination);
  putU32be(bytes, offset + 16, spi);
  bytes[offset + 20] = protocol;
  putU16(bytes, offset + 24, addressFamily(source.family));
  putAddress(bytes, offset + 28, source);
  putU32(bytes, offset + 44, reqid);
  bytes[offset + 48] = encodeMode(mode);
  bytes[offset + 50] = optional ? 1 : 0;
  // Masks of algorithms: AEAD has no bit in them, and passes only where all are set.
  bytes.fill(0xff, offset + 52, offset + TEMPLATE_BYTES);
}

/**
 * Reads the value of `XFRMA_TMPL`.
 *
 * @throws {DecodeError}
 */
export function readTemplates(bytes: Uint8Array): Template[] {
  if (bytes.length % TEMPLATE_BYTES !== 0) {
    throw new DecodeError(`${bytes.length} bytes are not templates of ${TEMPLATE_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const templates: Template[] = [];
  for (let offset = 0; offset < bytes.length; offset += TEMPLATE_BYTES) {
    const family = ipFamily(view.getUint16(offset + 24, true));
    if (family === null) throw new DecodeError("A template has no address family");
    templates.push({
      source: readAddress(view, offset + 28, family),
      destination: readAddress(view, offset, family),
      protocol: view.getUint8(offset + 20),
      spi: view.getUint32(offset + 16) || null,
      reqid: view.getUint32(offset + 44, true),
      mode: decodeMode(view.getUint8(offset + 48)),
      optional: view.getUint8(offset + 50) !== 0,
    });
  }
  return templates;
}
