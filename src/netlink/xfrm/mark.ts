import type { AttributeReader } from "../attribute_reader.ts";
import { headView } from "../attribute_reader.ts";
import { type AttributeWriter, checkRange, putU32 } from "../attribute_writer.ts";
import { XFRMA_MARK } from "./constants.ts";

/** A packet's mark that a policy or an SA asks for: the bits under the mask are those of the value. */
export interface Mark {
  /** The bits. */
  readonly value: number;
  /** Which bits count. */
  readonly mask: number;
}

/**
 * Writes `XFRMA_MARK`: `struct xfrm_mark` is value and mask, each u32.
 *
 * @throws {RangeError}
 */
export function writeMark(writer: AttributeWriter, mark: Mark | null | undefined): void {
  if (mark === null || mark === undefined) return;
  checkRange("mark", mark.value, 0, 0xffffffff);
  checkRange("mask of a mark", mark.mask, 0, 0xffffffff);
  const bytes = new Uint8Array(8);
  putU32(bytes, 0, mark.value);
  putU32(bytes, 4, mark.mask);
  writer.bytes(XFRMA_MARK, bytes);
}

/** @throws {DecodeError} */
export function readMark(reader: AttributeReader): Mark {
  const view = headView(reader.bytes(), 8, "xfrm_mark");
  return { value: view.getUint32(0, true), mask: view.getUint32(4, true) };
}
