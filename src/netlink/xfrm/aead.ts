import type { SecretBytes } from "../../base/mod.ts";
import { headView } from "../attribute_reader.ts";
import { type AttributeWriter, checkRange, putU32 } from "../attribute_writer.ts";
import { XFRMA_ALG_AEAD } from "./constants.ts";

/** An algorithm that encrypts and authenticates, with its key. */
export interface Aead {
  /** The kernel's own name: `rfc4106(gcm(aes))`. */
  readonly name: string;
  /** The key, and what the algorithm wants behind it: for RFC 4106 a salt of 4 bytes. */
  readonly key: SecretBytes;
  /** Length of the integrity check value (ICV) in bits. */
  readonly icvBits: number;
}

/**
 * What the kernel says of an algorithm. The key is left in the kernel's message: who may compare keys
 * would also keep them, and a kernel in lockdown gives zeros instead.
 */
export interface AeadInfo {
  /** The kernel's own name: `rfc4106(gcm(aes))`. */
  readonly name: string;
  /** Length of the key, and of what stands behind it, in bits. */
  readonly keyBits: number;
  /** Length of the integrity check value (ICV) in bits. */
  readonly icvBits: number;
}

/**
 * `struct xfrm_algo_aead`:
 *
 * | offset | bytes | field                     |
 * |--------|-------|---------------------------|
 * | 0      | 64    | name, ends with a zero    |
 * | 64     | 4     | length of the key in bits |
 * | 68     | 4     | length of the ICV in bits |
 * | 72     | …     | key                       |
 */
const AEAD_BYTES = 72;
const MAX_NAME_BYTES = 63;

/**
 * Writes `XFRMA_ALG_AEAD`.
 *
 * @throws {RangeError}
 */
export function writeAead(writer: AttributeWriter, { name, key, icvBits }: Aead): void {
  checkRange("length of an algorithm's name", name.length, 1, MAX_NAME_BYTES);
  checkRange("length of an ICV in bits", icvBits, 0, 1024);
  const bytes = new Uint8Array(AEAD_BYTES + key.length);
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    checkRange("character of an algorithm's name", code, 1, 0x7f);
    bytes[index] = code;
  }
  putU32(bytes, 64, key.length * 8);
  putU32(bytes, 68, icvBits);
  bytes.set(key.reveal(), AEAD_BYTES);
  writer.bytes(XFRMA_ALG_AEAD, bytes);
}

/** @throws {DecodeError} */
export function readAead(bytes: Uint8Array): AeadInfo {
  const view = headView(bytes, AEAD_BYTES, "xfrm_algo_aead");
  let name = "";
  for (let index = 0; index <= MAX_NAME_BYTES; index++) {
    const code = view.getUint8(index);
    if (code === 0) break;
    name += String.fromCharCode(code);
  }
  return { name, keyBits: view.getUint32(64, true), icvBits: view.getUint32(68, true) };
}
