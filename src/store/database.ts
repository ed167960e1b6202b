import { DatabaseSync, type StatementSync } from "node:sqlite";
import { assert, type Bytes, decodeUtf8, encodeUtf8, type Id, type Json } from "../base/mod.ts";
import type { Entry, EntryKind, HardState, Membership, Position } from "../raft/mod.ts";
import { DataLostError } from "./errors.ts";
import type { Sealer } from "./seal.ts";

/** What is in a database of this version that is not in one before, `migration.ts` adds. */
export const FORMAT_VERSION = 2;
const KINDS: readonly EntryKind[] = ["data", "noop", "membership"];
const [DATA_KIND] = KINDS;

/** The hard state, with the ends of the log that it was saved with: missing rows are noticed. */
export interface SavedState extends HardState {
  /** Right before the first entry. */
  readonly base: Position;
  /** The last entry. */
  readonly last: Position;
}

/** The snapshot that counts. */
export interface SavedSnapshot extends Position {
  /** In how many rows its bytes are. */
  readonly parts: number;
  /** Who took part as of its place. */
  readonly membership: Membership;
}

/**
 * The rows, in SQLite: write-ahead log, `synchronous=FULL`, so a transaction that has committed is on
 * the disk. Every row is sealed for its place and its incarnation.
 */
export class LogDatabase {
  readonly database: DatabaseSync;
  readonly #sealer: Sealer;
  readonly #incarnation: Id;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, sealer: Sealer, incarnation: Id) {
    this.database = new DatabaseSync(path);
    this.#sealer = sealer;
    this.#incarnation = incarnation;
    this.database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
    `);
  }

  /** Makes the tables of a new store. */
  createTables(): void {
    this.database.exec(`
      CREATE TABLE format (version INTEGER NOT NULL) STRICT;
      CREATE TABLE entry (
        position INTEGER PRIMARY KEY, term INTEGER NOT NULL, sealed BLOB NOT NULL,
        kind INTEGER NOT NULL DEFAULT 0) STRICT;
      CREATE TABLE snapshot (
        position INTEGER PRIMARY KEY, term INTEGER NOT NULL, parts INTEGER NOT NULL,
        membership BLOB) STRICT;
      CREATE TABLE snapshot_part (
        position INTEGER NOT NULL, part INTEGER NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (position, part)) STRICT, WITHOUT ROWID;
      CREATE TABLE hard_state (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
    `);
    this.run("INSERT INTO format (version) VALUES (?)", FORMAT_VERSION);
  }

  /** The version of the format; 0 when there are no tables at all. */
  format(): number {
    const sql = "SELECT count(*) AS count FROM sqlite_schema WHERE name = 'format'";
    if (this.#get(sql)?.count === 0) return 0;
    return Number(this.#get("SELECT version FROM format")?.version ?? 0);
  }

  /** One transaction, durable when it returns; or none, and it throws. */
  transaction(body: () => void): void {
    this.run("BEGIN IMMEDIATE");
    try {
      body();
      this.run("COMMIT");
    } catch (error) {
      if (this.database.isTransaction) this.run("ROLLBACK");
      throw error;
    }
  }

  /** As {@linkcode transaction}, but it may be lost until the next one that is durable. */
  transactionWithoutSync(body: () => void): void {
    this.database.exec("PRAGMA synchronous = NORMAL");
    try {
      this.transaction(body);
    } finally {
      this.database.exec("PRAGMA synchronous = FULL");
    }
  }

  run(sql: string, ...values: (number | Uint8Array)[]): void {
    this.#prepare(sql).run(...values);
  }

  insertEntry(entry: Entry): void {
    const sealed = this.#sealer.seal(entry.data, this.#entryPlace(entry.kind, entry));
    this.run(
      "INSERT INTO entry (position, term, sealed, kind) VALUES (?, ?, ?, ?)",
      entry.index,
      entry.term,
      sealed,
      KINDS.indexOf(entry.kind),
    );
  }

  /**
   * Entries `from` … `to`, in order.
   *
   * @throws {DataLostError} when one is missing or damaged
   */
  *entries(from: number, to: number): Generator<Entry> {
    const rows = this.#prepare(
      "SELECT position, term, sealed, kind FROM entry " +
        "WHERE position BETWEEN ? AND ? ORDER BY position",
    ).iterate(from, to);
    let expected = from;
    for (const row of rows) {
      const place = { index: Number(row.position), term: Number(row.term) };
      if (place.index !== expected) {
        throw new DataLostError(`The log jumps from entry ${expected - 1} to ${place.index}`);
      }
      expected++;
      const kind = KINDS[Number(row.kind)] ?? "data";
      yield { ...place, kind, data: this.#open(row.sealed, this.#entryPlace(kind, place)) };
    }
  }

  /** Place of the last entry, if there is any. */
  lastEntry(): Position | null {
    const row = this.#get("SELECT position, term FROM entry ORDER BY position DESC LIMIT 1");
    return row === undefined ? null : { index: Number(row.position), term: Number(row.term) };
  }

  writeHardState(state: SavedState): void {
    const { term, vote, commit, serial, base, last } = state;
    const sealed = this.#sealJson(
      { term, vote, commit, serial, base: [base.term, base.index], last: [last.term, last.index] },
      this.#place("hard-state"),
    );
    this.run("INSERT OR REPLACE INTO hard_state (id, sealed) VALUES (1, ?)", sealed);
  }

  /** @throws {DataLostError} when it is missing or damaged */
  readHardState(): SavedState {
    const sealed = this.#get("SELECT sealed FROM hard_state")?.sealed;
    if (sealed === undefined) throw new DataLostError("Term and vote are missing");
    const { base, last, ...state } = this.#openJson(sealed, this.#place("hard-state")) as
      & HardState
      & { readonly base: [number, number]; readonly last: [number, number] };
    return {
      ...state,
      base: { term: base[0], index: base[1] },
      last: { term: last[0], index: last[1] },
    };
  }

  /** Makes a snapshot of which all parts are there the one that counts. */
  writeSnapshot(snapshot: SavedSnapshot): void {
    const { index, term, parts, membership: { voters, learners } } = snapshot;
    this.run("DELETE FROM snapshot");
    this.run(
      "INSERT INTO snapshot (position, term, parts, membership) VALUES (?, ?, ?, ?)",
      index,
      term,
      parts,
      this.#sealJson({ voters, learners }, this.#place(`membership/${parts}`, snapshot)),
    );
    this.run("DELETE FROM snapshot_part WHERE position < ?", index);
  }

  /** The snapshot that counts; in a database of version 1 its membership is `null`. */
  readSnapshot():
    | Position & { readonly parts: number; readonly membership: Membership | null }
    | null {
    const row = this.#get("SELECT * FROM snapshot");
    if (row === undefined) return null;
    const { position, term, parts, membership } = row;
    const place = { index: Number(position), term: Number(term) };
    return {
      ...place,
      parts: Number(parts),
      membership: membership === undefined || membership === null ? null : this.#openJson(
        membership,
        this.#place(`membership/${parts}`, place),
      ) as Membership,
    };
  }

  insertPart(snapshot: Position, part: number, data: Uint8Array): void {
    this.run(
      "INSERT OR REPLACE INTO snapshot_part (position, part, sealed) VALUES (?, ?, ?)",
      snapshot.index,
      part,
      this.#sealer.seal(data, this.#place(`snapshot/${part}`, snapshot)),
    );
  }

  /** @throws {DataLostError} when it is missing or damaged */
  readPart(snapshot: Position, part: number): Bytes {
    const sealed = this.#get(
      "SELECT sealed FROM snapshot_part WHERE position = ? AND part = ?",
      snapshot.index,
      part,
    )?.sealed;
    if (sealed === undefined) {
      throw new DataLostError(`Part ${part} of the snapshot at entry ${snapshot.index} is missing`);
    }
    return this.#open(sealed, this.#place(`snapshot/${part}`, snapshot));
  }

  close(): void {
    this.database.close();
  }

  #get(sql: string, ...values: number[]) {
    return this.#prepare(sql).get(...values);
  }

  /** Preparing takes as long as a small statement. */
  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #sealJson(value: Json, place: Uint8Array): Bytes {
    return this.#sealer.seal(encodeUtf8(JSON.stringify(value)), place);
  }

  /** What this manager has sealed it has also written, so its shape is known. */
  #openJson(sealed: unknown, place: Uint8Array): unknown {
    return JSON.parse(decodeUtf8(this.#open(sealed, place)));
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

  /** Entries of data have the place that they have in version 1. */
  #entryPlace(kind: EntryKind, position: Position): Uint8Array {
    return this.#place(kind === DATA_KIND ? "entry" : kind, position);
  }

  #place(what: string, position?: Position): Uint8Array {
    const at = position === undefined ? "" : `/${position.term}/${position.index}`;
    return encodeUtf8(`${this.#incarnation}/${what}${at}`);
  }
}
