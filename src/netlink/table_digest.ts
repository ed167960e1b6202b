import { createHash, type Hash } from "node:crypto";
import { align4 } from "./align.ts";
import { DecodeError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { ComparableDump } from "./request.ts";

/** What a dump is read by. */
export interface TableReader {
  /** Forgets what it has: the table changed on the way, and is read again. */
  begin(): void;
  /** Takes in one object. @throws {DecodeError} */
  take(message: Message): void;
}

/**
 * What a table was like when it was last read: tells whether it still is, for a fraction of what it takes
 * to understand it again.
 */
export class TableDigest {
  #value: string | null = null;

  /** Whether something is noted. */
  get isKnown(): boolean {
    return this.#value !== null;
  }

  /** Has the table count as changed. */
  forget(): void {
    this.#value = null;
  }

  /** Notes the digest of what was read. */
  note(digest: string): void {
    this.#value = digest;
  }

  /** Whether this is the digest of what was read: the same objects in the same order. */
  matches(digest: string): boolean {
    return this.#value === digest;
  }
}

/** As much as this is hashed at a time. The kernel fills datagrams up to 32 KB. */
const SCRATCH_BYTES = 64 * 1024;

/** The SHA-256 of a dump, without what its `blank` takes out. */
export class TableReading implements TableReader {
  readonly #blank: (payload: Uint8Array) => void;
  #hash: Hash = createHash("sha256");
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #view = new DataView(this.#scratch.buffer);
  #used = 0;

  constructor({ blank }: Pick<ComparableDump<unknown>, "blank">) {
    this.#blank = blank;
  }

  begin(): void {
    this.#scratch.fill(0, 0, this.#used);
    this.#used = 0;
    this.#hash = createHash("sha256");
  }

  /** @throws {DecodeError} also when it is longer than any object of a table can be */
  take({ type, payload }: Message): void {
    const bytes = 4 + align4(payload.length);
    if (this.#used + bytes > SCRATCH_BYTES) this.#flush();
    if (bytes > SCRATCH_BYTES) throw new DecodeError(`An object of a table has ${bytes} bytes`);
    const start = this.#used + 4;
    this.#view.setUint32(this.#used, (payload.length << 16) | type, true);
    this.#scratch.set(payload, start);
    this.#used += bytes;
    this.#blank(this.#scratch.subarray(start, start + payload.length));
  }

  /** The digest of all that was taken in; afterwards only {@linkcode begin} may follow. */
  finish(): string {
    this.#flush();
    return this.#hash.digest("base64");
  }

  #flush(): void {
    this.#hash.update(this.#scratch.subarray(0, this.#used));
    // Keys of SAs may be among it.
    this.#scratch.fill(0, 0, this.#used);
    this.#used = 0;
  }
}
