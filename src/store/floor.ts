import {
  concatBytes,
  decodeBase32,
  encodeBase32,
  equalBytes,
  type Id,
  sha256,
} from "../base/mod.ts";
import { DataLostError } from "./errors.ts";

const VERSION = 2n;
const RECORD_BYTES = 64;
/** Each slot has a sector of its own: a torn write spoils one of them at most. */
const SLOT_STRIDE_BYTES = 4096;

/**
 * How far this member's promises go, in a small file of its own beside the database, fsynced before
 * each of them is given: the serial of the last save that something was promised on (`raft/mod.ts`).
 *
 * Why a second file: SQLite heals a damaged write-ahead log by leaving its tail out, and says
 * nothing. One flipped byte there gave a database with 51 of 200 acknowledged rows and an
 * integrity check that answered `ok`. A database with an older save than this floor has lost data.
 *
 * Two slots are written in turn, so that one is always whole. A record of 64 bytes, big endian:
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 8 | sequence: the greater is the newer |
 * | 8 | 16 | incarnation |
 * | 24 | 8 | serial |
 * | 32 | 8 | zero |
 * | 40 | 8 | version, 2 |
 * | 48 | 16 | first half of SHA-256 over the 48 bytes before |
 *
 * In version 0, which a manager wrote that was alone in any case, term and index of the last
 * acknowledged entry are in the place of the serial and what follows it.
 */
export class Floor {
  readonly incarnation: Id;
  /** What a file of version 0 says; `null` in a newer one, and as soon as it is raised. */
  legacy: { readonly term: number; readonly index: number } | null;
  readonly #file: Deno.FsFile;
  #sequence: bigint;
  #serial: number;

  private constructor(file: Deno.FsFile, record: FloorRecord) {
    this.#file = file;
    this.#sequence = record.sequence;
    this.#serial = record.serial;
    this.incarnation = record.incarnation;
    this.legacy = record.legacy;
  }

  /** Makes the file. @throws when it is there already, or the disk refuses */
  static create(path: string, incarnation: Id): Floor {
    const file = Deno.openSync(path, { createNew: true, read: true, write: true, mode: 0o600 });
    const floor = new Floor(file, { sequence: 0n, incarnation, serial: 0, legacy: null });
    floor.raise(0);
    return floor;
  }

  /** @throws {DataLostError} when neither slot is whole */
  static open(path: string): Floor {
    const file = Deno.openSync(path, { read: true, write: true });
    try {
      const records = [readSlot(file, 0), readSlot(file, 1)].filter((record) => record !== null);
      records.sort((left, right) => (left.sequence < right.sequence ? 1 : -1));
      const [newest] = records;
      if (newest === undefined) {
        throw new DataLostError(
          `${path} is damaged: how much of the log was acknowledged is not known any more`,
        );
      }
      return new Floor(file, newest);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The last serial that was recorded. */
  get serial(): number {
    return this.#serial;
  }

  /** Durable when it returns. @throws when the disk refuses: then nothing may be acknowledged */
  raise(serial: number): void {
    this.#sequence += 1n;
    this.#serial = serial;
    this.legacy = null;
    const record = encodeRecord(this.#sequence, this.incarnation, serial);
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
  readonly serial: number;
  readonly legacy: { readonly term: number; readonly index: number } | null;
}

function encodeRecord(sequence: bigint, incarnation: Id, serial: number): Uint8Array {
  const fields = new Uint8Array(48);
  const view = new DataView(fields.buffer);
  view.setBigUint64(0, sequence);
  fields.set(decodeBase32(incarnation), 8);
  view.setBigUint64(24, BigInt(serial));
  view.setBigUint64(40, VERSION);
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
  const version = view.getBigUint64(40);
  if (version !== 0n && version !== VERSION) {
    throw new Error(`The floor has version ${version}: run the agent that wrote it`);
  }
  const [first, second] = [Number(view.getBigUint64(24)), Number(view.getBigUint64(32))];
  return {
    sequence: view.getBigUint64(0),
    incarnation: encodeBase32(bytes.subarray(8, 24)),
    serial: version === 0n ? 0 : first,
    legacy: version === 0n ? { term: first, index: second } : null,
  };
}

function writeWhole(file: Deno.FsFile, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += file.writeSync(bytes.subarray(written));
}
