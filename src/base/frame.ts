import { type Bytes, concatBytes, decodeUtf8, encodeUtf8 } from "./bytes.ts";
import type { JsonObject } from "./json.ts";

const LENGTH_BYTES = 4;
/** A frame's length field, version and kind, and its header's length. */
const PREFIX_BYTES = LENGTH_BYTES + 1 + 1 + 4;
/** The largest frame, its length field included. */
export const MAX_FRAME_BYTES = 1024 * 1024;
const VERSION = 1;

/** A message between members: a kind, a JSON header and raw bytes. */
export interface Frame {
  /** 0 … 255; what it means is the stream's business. */
  readonly kind: number;
  /** What the frame is about. */
  readonly header: JsonObject;
  /** Raw bytes, perhaps none. */
  readonly body: Uint8Array;
}

/** What the other side sent is not a frame; the stream is of no use any more. */
export class FrameError extends Error {
  /** `FrameError`. */
  override name = "FrameError";
}

/**
 * Bytes of a frame:
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | length of what follows, big endian |
 * | 4 | 1 | version, 1 |
 * | 5 | 1 | kind |
 * | 6 | 4 | length of the header, big endian |
 * | 10 | … | header, JSON in UTF-8 |
 * | … | … | body |
 *
 * @throws {RangeError} when the frame is over {@linkcode MAX_FRAME_BYTES}, or kind over 255
 */
export function encodeFrame(frame: Frame): Bytes {
  const header = encodeUtf8(JSON.stringify(frame.header));
  const total = PREFIX_BYTES + header.length + frame.body.length;
  if (total > MAX_FRAME_BYTES) {
    throw new RangeError(`Cannot encode frame: ${total} bytes are more than ${MAX_FRAME_BYTES}`);
  }
  if (!Number.isInteger(frame.kind) || frame.kind < 0 || frame.kind > 255) {
    throw new RangeError(`Cannot encode frame: kind ${frame.kind} is not in 0..255`);
  }
  const prefix = new Uint8Array(PREFIX_BYTES);
  const view = new DataView(prefix.buffer);
  view.setUint32(0, total - 4);
  view.setUint8(4, VERSION);
  view.setUint8(5, frame.kind);
  view.setUint32(6, header.length);
  return concatBytes(prefix, header, frame.body);
}

/**
 * Takes a stream of bytes in any pieces and gives frames.
 *
 * ```ts
 * const decoder = new FrameDecoder();
 * const frames = decoder.push(encodeFrame({ kind: 1, header: {}, body: new Uint8Array() }));
 * ```
 */
export class FrameDecoder {
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** How many bytes it takes to go on: the length field, then the whole frame. */
  #wanted = LENGTH_BYTES;

  /** How many bytes wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.#length;
  }

  /**
   * Adds bytes; gives the frames that are complete now.
   *
   * @throws {FrameError} when the bytes cannot be a frame: nothing after them can be read
   */
  push(bytes: Uint8Array): Frame[] {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    const frames: Frame[] = [];
    // Pieces are put together when there are enough of them: a large frame comes in dozens, and
    // copying all of it for each would leave megabytes of garbage.
    while (this.#length >= this.#wanted) {
      const buffer = this.#joined();
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
      const total = LENGTH_BYTES + view.getUint32(0);
      if (total < PREFIX_BYTES || total > MAX_FRAME_BYTES) {
        throw new FrameError(
          `A frame of ${total} bytes is not in ${PREFIX_BYTES}..${MAX_FRAME_BYTES}`,
        );
      }
      this.#wanted = total;
      if (buffer.length < total) break;
      frames.push(decodeFrame(buffer.subarray(0, total)));
      this.#pieces = [buffer.subarray(total)];
      this.#length = buffer.length - total;
      this.#wanted = LENGTH_BYTES;
    }
    return frames;
  }

  #joined(): Uint8Array {
    const [only] = this.#pieces;
    if (this.#pieces.length === 1 && only !== undefined) return only;
    const joined = concatBytes(...this.#pieces);
    this.#pieces = [joined];
    return joined;
  }
}

function decodeFrame(bytes: Uint8Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint8(4);
  if (version !== VERSION) throw new FrameError(`Frame version ${version} is not ${VERSION}`);
  const headerEnd = PREFIX_BYTES + view.getUint32(6);
  if (headerEnd > bytes.length) throw new FrameError("A frame's header is longer than the frame");
  let header: unknown;
  try {
    header = JSON.parse(decodeUtf8(bytes.subarray(PREFIX_BYTES, headerEnd)));
  } catch (cause) {
    throw new FrameError("A frame's header is not JSON", { cause });
  }
  if (header === null || typeof header !== "object" || Array.isArray(header)) {
    throw new FrameError("A frame's header is not a JSON object");
  }
  return { kind: view.getUint8(5), header: header as JsonObject, body: bytes.slice(headerEnd) };
}
