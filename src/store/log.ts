import { DatabaseSync, type StatementSync } from "node:sqlite";
import { assert, type Bytes, concatBytes, encodeUtf8, type Id } from "../base/mod.ts";
import { DataLostError } from "./errors.ts";
import { isBefore, type LogPosition } from "./floor.ts";
import type { Sealer } from "./seal.ts";

/** A larger row holds the thread: one of 20 MiB does so for 110 ms. */
const SNAPSHOT_PART_BYTES = 256 * 1024;
const FORMAT_VERSION = 1;

/** An entry of the log, with its place. */
export interface LogEntry extends LogPosition {
  readonly data: Uint8Array;
}

/** A snapshot with the place of the last entry that is in it. */
export interface LogSnapshot extends LogPosition {
  readonly data: Uint8Array;
}

/**
 * The log and its snapshot in SQLite: write-ahead log, `synchronous=FULL`, so a transaction that
 * has committed is on the disk. Every row is sealed for its place.
 */
export class LogDatabase {
  readonly #database: DatabaseSync;
  readonly #sealer: Sealer;
  readonly #incarnation: Id;
  readonly #insertEntry: StatementSync;

  constructor(path: string, sealer: Sealer, incarnation: Id) {
    this.#database = new DatabaseSync(path);
    this.#sealer = sealer;
    this.#incarnation = incarnation;
    this.#database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS entry (
        position INTEGER PRIMARY KEY, term INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS snapshot (
        position INTEGER PRIMARY KEY, term INTEGER NOT NULL, parts INTEGER NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS snapshot_part (
        position INTEGER NOT NULL, part INTEGER NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (position, part)) STRICT, WITHOUT ROWID;
    `);
    this.#checkFormat(path);
    this.#insertEntry = this.#database.prepare(
      "INSERT INTO entry (position, term, sealed) VALUES (?, ?, ?)",
    );
  }

  /** Appends in one transaction: all of them are durable when it returns, or it throws. */
  append(entries: readonly LogEntry[]): void {
    this.#transaction(() => {
      for (const entry of entries) {
        const sealed = this.#sealer.seal(entry.data, this.#place("entry", entry));
        this.#insertEntry.run(entry.index, entry.term, sealed);
      }
    });
  }

  /**
   * Entries after `after`, in order.
   *
   * @throws {DataLostError} when one is missing or damaged
   */
  *entriesAfter(after: number): Generator<LogEntry> {
    const rows = this.#database
      .prepare("SELECT position, term, sealed FROM entry WHERE position > ? ORDER BY position")
      .iterate(after);
    let expected = after + 1;
    for (const row of rows) {
      const place = { index: Number(row.position), term: Number(row.term) };
      if (place.index !== expected) {
        throw new DataLostError(`The log jumps from entry ${expected - 1} to ${place.index}`);
      }
      expected++;
      yield { ...place, data: this.#open(row.sealed, this.#place("entry", place)) };
    }
  }

  /** The place of the last entry, or of the snapshot where the log is empty. */
  lastPosition(): LogPosition {
    const entry = this.#database
      .prepare("SELECT position, term FROM entry ORDER BY position DESC LIMIT 1").get();
    const snapshot = this.#snapshotRow();
    const last = entry === undefined
      ? { index: 0, term: 0 }
      : { index: Number(entry.position), term: Number(entry.term) };
    return snapshot !== null && isBefore(last, snapshot)
      ? { index: snapshot.index, term: snapshot.term }
      : last;
  }

  /**
   * The newest complete snapshot, if any.
   *
   * @throws {DataLostError} when a part is missing or damaged
   */
  readSnapshot(): LogSnapshot | null {
    const row = this.#snapshotRow();
    if (row === null) return null;
    const parts: Uint8Array[] = [];
    const select = this.#database.prepare(
      "SELECT sealed FROM snapshot_part WHERE position = ? AND part = ?",
    );
    for (let part = 0; part < row.parts; part++) {
      const sealed = select.get(row.index, part)?.sealed;
      if (sealed === undefined) {
        throw new DataLostError(`Part ${part} of the snapshot at entry ${row.index} is missing`);
      }
      parts.push(this.#open(sealed, this.#partPlace(row, part)));
    }
    return { index: row.index, term: row.term, data: concatBytes(...parts) };
  }

  /**
   * Writes a snapshot and drops the entries that are in it. Parts go in transactions of their own;
   * the last one makes the snapshot count. A crash before it leaves parts that nobody reads and
   * that the next snapshot removes.
   */
  writeSnapshot(snapshot: LogSnapshot): void {
    const parts = Math.max(1, Math.ceil(snapshot.data.length / SNAPSHOT_PART_BYTES));
    const insert = this.#database.prepare(
      "INSERT OR REPLACE INTO snapshot_part (position, part, sealed) VALUES (?, ?, ?)",
    );
    for (let part = 0; part < parts; part++) {
      const data = snapshot.data.subarray(
        part * SNAPSHOT_PART_BYTES,
        (part + 1) * SNAPSHOT_PART_BYTES,
      );
      insert.run(snapshot.index, part, this.#sealer.seal(data, this.#partPlace(snapshot, part)));
    }
    this.#transaction(() => {
      const run = (sql: string, ...values: number[]) => this.#database.prepare(sql).run(...values);
      run("DELETE FROM snapshot");
      run(
        "INSERT INTO snapshot (position, term, parts) VALUES (?, ?, ?)",
        snapshot.index,
        snapshot.term,
        parts,
      );
      run("DELETE FROM snapshot_part WHERE position <> ?", snapshot.index);
      run("DELETE FROM entry WHERE position <= ?", snapshot.index);
    });
  }

  close(): void {
    this.#database.close();
  }

  #checkFormat(path: string): void {
    const found = this.#database.prepare("SELECT version FROM format").get()?.version;
    if (found === undefined) {
      this.#database.prepare("INSERT INTO format (version) VALUES (?)").run(FORMAT_VERSION);
    } else if (found !== FORMAT_VERSION) {
      this.#database.close();
      throw new Error(
        `${path} has format ${found}, this agent reads ${FORMAT_VERSION}: run the agent that wrote it`,
      );
    }
  }

  #snapshotRow(): (LogPosition & { parts: number }) | null {
    const row = this.#database.prepare("SELECT position, term, parts FROM snapshot").get();
    if (row === undefined) return null;
    return { index: Number(row.position), term: Number(row.term), parts: Number(row.parts) };
  }

  #transaction(body: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #open(sealed: unknown, place: Uint8Array): Bytes {
    assert(sealed instanceof Uint8Array, "the column is a BLOB");
    try {
      return this.#sealer.open(sealed, place);
    } catch (cause) {
      throw new DataLostError("The log holds bytes that this manager did not write there", {
        cause,
      });
    }
  }

  #place(what: string, position: LogPosition): Uint8Array {
    return encodeUtf8(`${this.#incarnation}/${what}/${position.term}/${position.index}`);
  }

  #partPlace(position: LogPosition, part: number): Uint8Array {
    return this.#place(`snapshot/${part}`, position);
  }
}
