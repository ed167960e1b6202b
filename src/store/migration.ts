import { type MemberId } from "../raft/mod.ts";
import { FORMAT_VERSION, type LogDatabase } from "./database.ts";
import { DataLostError } from "./errors.ts";
import type { Floor } from "./floor.ts";

/**
 * The only voter of a store that was made before it had a name. It is no node's id, and nobody else
 * has ever heard of it, so it can be given one.
 */
export const FOUNDER: MemberId = "founder";

/**
 * Brings a database to the present format, or refuses it.
 *
 * Version 1 was of a manager that was alone: every entry is data and of term 1, all of it is
 * committed, and the floor has the place of the last one that was acknowledged.
 *
 * @throws {DataLostError} when it has less than the floor says
 */
export function migrate(database: LogDatabase, floor: Floor, path: string): void {
  const format = database.format();
  if (format === FORMAT_VERSION) return;
  if (format === 0) {
    // In version 1 the database came to be when the store was first opened.
    if (floor.legacy?.index !== 0) throw new DataLostError(`${path} is missing or empty`);
    database.transaction(() => createVersionOne(database));
  } else if (format !== 1) {
    throw new Error(
      `${path} has format ${format}, this agent reads ${FORMAT_VERSION}: run the agent that wrote it`,
    );
  }
  const snapshot = database.readSnapshot() ?? { term: 0, index: 0, parts: 0 };
  const base = { term: snapshot.term, index: snapshot.index };
  const entry = database.lastEntry();
  const last = entry !== null && entry.index > base.index ? entry : base;
  const promised = floor.legacy?.index ?? 0;
  if (last.index < promised) {
    throw new DataLostError(
      `It ends at entry ${last.index}, and entry ${promised} was acknowledged`,
    );
  }
  database.transaction(() => {
    database.run("ALTER TABLE entry ADD COLUMN kind INTEGER NOT NULL DEFAULT 0");
    database.run("ALTER TABLE snapshot ADD COLUMN membership BLOB");
    database.run("CREATE TABLE hard_state (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT");
    database.writeSnapshot({
      ...base,
      parts: snapshot.parts,
      membership: { voters: [FOUNDER], learners: [] },
    });
    const state = { term: last.term, vote: FOUNDER, commit: last.index, serial: 1 };
    database.writeHardState({ ...state, base, last });
    database.run("UPDATE format SET version = ?", FORMAT_VERSION);
  });
  // After the database: the floor never promises what is not there.
  floor.raise(1);
}

/** Gives the founder of a store that was made without one its name. */
export function nameFounder(database: LogDatabase, memberId: MemberId): void {
  const snapshot = database.readSnapshot();
  const membership = snapshot?.membership;
  if (snapshot === null || membership === null || membership === undefined) return;
  if (membership.voters.length !== 1 || membership.voters[0] !== FOUNDER) return;
  if (memberId === FOUNDER) return;
  const { vote, ...state } = database.readHardState();
  database.transaction(() => {
    database.writeSnapshot({ ...snapshot, membership: { voters: [memberId], learners: [] } });
    database.writeHardState({ ...state, vote: vote === FOUNDER ? memberId : vote });
  });
}

function createVersionOne(database: LogDatabase): void {
  database.run("CREATE TABLE format (version INTEGER NOT NULL) STRICT");
  database.run("INSERT INTO format (version) VALUES (1)");
  database.run(
    `CREATE TABLE entry (
      position INTEGER PRIMARY KEY, term INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT`,
  );
  database.run(
    `CREATE TABLE snapshot (
      position INTEGER PRIMARY KEY, term INTEGER NOT NULL, parts INTEGER NOT NULL) STRICT`,
  );
  database.run(
    `CREATE TABLE snapshot_part (
      position INTEGER NOT NULL, part INTEGER NOT NULL, sealed BLOB NOT NULL,
      PRIMARY KEY (position, part)) STRICT, WITHOUT ROWID`,
  );
}
