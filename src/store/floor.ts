import {
  concatBytes,
  decodeBase32,
  encodeBase32,
  equalBytes,
  type Id,
  sha256,
} from "../base/mod.ts";
import { DataLostError } from "./errors.ts";

/** A place in the log: compared by term first, then by index, as votes are. */
export interface LogPosition {
  readonly term: number;
  readonly index: number;
}

/** Whether `left` is before `right`. */
export function isBefore(left: LogPosition, right: LogPosition): boolean {
  return left.term !== right.term ? left.term < right.term : left.index < right.index;
}

const RECORD_BYTES = 64;
/** Each slot has a sector of its own: a torn write spoils one of them at most. */
const SLOT_STRIDE_BYTES = 4096;

/**
 * How far the log had come when anything was last acknowledged, in a small file of its own beside
 * the database, which is fsynced before each acknowledgement.
 *
 * Why a second file: SQLite heals a damaged write-ahead log by leaving its tail out, and says
 * nothing. One flipped byte there gave a database with 51 of 200 acknowledged rows and an
 * integrity check that answered `ok`. A log that ends before this floor has lost data.
 *
 * Two slots are written in turn, so that one is always whole. A record of 64 bytes, big endian:
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 8 | sequence: the greater is the newer |
 * | 8 | 16 | incarnation |
 * | 24 | 8 | term |
 * | 32 | 8 | index |
 * | 40 | 8 | zero |
 * | 48 | 16 | first half of SHA-256 over the 48 bytes before |
 */
export class Floor {
  readonly incarnation: Id;
  readonly #file: Deno.FsFile;
  #sequence: bigint;
  #position: LogPosition;

  private constructor(file: Deno.FsFile, record: FloorRecord) {
    this.#file = file;
    this.#sequence = record.sequence;
    this.#position = record.position;
    this.incarnation = record.incarnation;
  }

  /** Makes the file. @throws when it is there already, or the disk refuses */
  static create(path: string, incarnation: Id): Floor {
    const file = Deno.openSync(path, { createNew: true, read: true, write: true, mode: 0o600 });
    const record = { sequence: 0n, incarnation, position: { term: 0, index: 0 } };
    const floor = new Floor(file, record);
    floor.raise(record.position);
    return floor;
  }

  /** @throws {DataLostError} when neither slot is whole */
  static open(path: string): Floor {
    const file = Deno.openSync(path, { read: true, write: true });
    const records = [readSlot(file, 0), readSlot(file, 1)].filter((record) => record !== null);
    records.sort((left, right) => (left.sequence < right.sequence ? 1 : -1));
    const [newest] = records;
    if (newest === undefined) {
      file.close();
      throw new DataLostError(
        `${path} is damaged: how much of the log was acknowledged is not known any more`,
      );
    }
    return new Floor(file, newest);
  }

  get position(): LogPosition {
    return this.#position;
  }

  /** Durable when it returns. @throws when the disk refuses: then nothing may be acknowledged */
  raise(position: LogPosition): void {
    this.#sequence += 1n;
    this.#position = position;
    const record = encodeRecord({
      sequence: this.#sequence,
      incarnation: this.incarnation,
      position,
    });
    const slot = Number(this.#sequence % 2n);
    this.#file.seekSync(slot * SLOT_STRIDE_BYTES, Deno.SeekMode.Start);
    writeWhole(this.#file, record);
    this.#file.syncDataSync();
  }

  close(): void {
    this.#file.close();
  }
}

interface FloorRecord {
  readonly sequence: bigint;
  readonly incarnation: Id;
  readonly position: LogPosition;
}

function encodeRecord(record: FloorRecord): Uint8Array {
  const fields = new Uint8Array(48);
  const view = new DataView(fields.buffer);
  view.setBigUint64(0, record.sequence);
  fields.set(decodeBase32(record.incarnation), 8);
  view.setBigUint64(24, BigInt(record.position.term));
  view.setBigUint64(32, BigInt(record.position.index));
  return concatBytes(fields, sha256(fields).subarray(0, 16));
}

function readSlot(file: Deno.FsFile, slot: number): FloorRecord | null {
  file.seekSync(slot * SLOT_STRIDE_BYTES, Deno.SeekMode.Start);
  const bytes = new Uint8Array(RECORD_BYTES);
  let length = 0;
  while (length < RECORD_BYTES) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null) return null;
    length += count;
  }
  const fields = bytes.subarray(0, 48);
  if (!equalBytes(sha256(fields).subarray(0, 16), bytes.subarray(48))) return null;
  const view = new DataView(bytes.buffer);
  return {
    sequence: view.getBigUint64(0),
    incarnation: encodeBase32(bytes.subarray(8, 24)),
    position: {
      term: Number(view.getBigUint64(24)),
      index: Number(view.getBigUint64(32)),
    },
  };
}

function writeWhole(file: Deno.FsFile, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += file.writeSync(bytes.subarray(written));
}
